// A conversation with an agent: what was said, what is being said, and what to say next.

import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";

import { api, type Schemas, take, Trouble } from "../api/client";
import { client, sessionsQuery, useMe } from "../api/queries";
import { StateLine } from "../agents/state";
import { ago } from "../lib/format";
import { freshKey } from "../lib/key";
import { navigate } from "../lib/router";
import { useAct, useNow } from "../lib/use";
import { Button, Empty, Notice } from "../ui/basics";
import { Icon } from "../ui/icons";
import { Menu, MenuItem, MenuLine } from "../ui/menu";
import { Composer } from "./Composer";
import { begun, messagesQuery } from "./messages";
import { AgentSaid, UserSaid } from "./Said";
import { Starting } from "./Starting";

/** A message is sent again under the same key, so that it is one turn. */
const TRIES = 6;

async function send(agent: string, session: string, message: string): Promise<Schemas["Turn"]> {
  const key = freshKey();
  for (let tries = 0; ; tries += 1) {
    try {
      const asked = api.POST("/v1/agents/{agent}/chat", {
        params: { path: { agent }, header: { "Idempotency-Key": key, Prefer: "respond-async" } },
        body: { message, session },
      });
      return (await take(asked as Promise<{ data?: Schemas["Turn"]; error?: unknown; response: Response }>));
    } catch (error) {
      const passing = error instanceof Trouble && (error.status === 0 || error.status >= 502);
      if (!passing || tries >= TRIES) throw error;
      await new Promise((done) => setTimeout(done, 250 * 2 ** tries));
    }
  }
}

function Sessions({ agent, session }: { agent: string; session: string }) {
  const sessions = useQuery(sessionsQuery(agent)).data ?? [];
  const now = useNow(30);
  const others = sessions.filter((one) => one.name !== session);
  const to = (name: string) => navigate(`/agents/${agent}/chat${name === "main" ? "" : `/${encodeURIComponent(name)}`}`);
  const fresh = () => {
    const stamp = new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, "").replace("T", "-");
    to(`web-${stamp}`);
  };
  return (
    <Menu align="start" trigger={<Button kind="quiet" aria-label={`Conversation: ${session}. Others`}><span className="max-w-48 truncate">{session}</span><Icon name="down" className="size-3.5" /></Button>}>
      <MenuItem onSelect={fresh}><Icon name="plus" />New conversation</MenuItem>
      {(others.length > 0 || session !== "main") && <MenuLine />}
      {session !== "main" && !others.some((one) => one.name === "main") && <MenuItem onSelect={() => to("main")}>main</MenuItem>}
      <div className="max-h-72 overflow-y-auto">
        {others.slice(0, 50).map((one) => (
          <MenuItem key={one.name} onSelect={() => to(one.name)}>
            <span className="flex-1 truncate">{one.name}</span><span className="text-xs text-soft">{ago(one.last_at, now)}</span>
          </MenuItem>
        ))}
      </div>
    </Menu>
  );
}

/** Keeps the end in sight while somebody is there, and leaves them alone where they read. */
function useBottom() {
  const box = useRef<HTMLDivElement>(null);
  const stuck = useRef(true);
  const [away, setAway] = useState(false);
  const follow = useCallback(() => {
    const node = box.current;
    if (node && stuck.current) node.scrollTop = node.scrollHeight;
  }, []);
  const scrolled = () => {
    const node = box.current;
    if (!node) return;
    stuck.current = node.scrollHeight - node.scrollTop - node.clientHeight < 80;
    setAway(!stuck.current);
  };
  const jump = () => {
    stuck.current = true;
    setAway(false);
    follow();
  };
  useEffect(() => {
    const node = box.current?.firstElementChild;
    if (!node) return undefined;
    const observer = new ResizeObserver(follow);
    observer.observe(node);
    return () => observer.disconnect();
  }, [follow]);
  return { box, away, scrolled, jump, follow };
}

export function Chat({ agent, session }: { agent: Schemas["Agent"]; session: string }) {
  const me = useMe();
  const may = me.may("chat:write");
  const name = agent.name;
  const messages = useInfiniteQuery(messagesQuery(name, session));
  const [text, setText] = useState("");
  const [pending, setPending] = useState<string | null>(null);
  const { box, away, scrolled, jump, follow } = useBottom();
  const items = (messages.data?.pages ?? []).toReversed().flatMap((page) => page.items);
  const running = items.find((message) => message.state === "running")?.turn ?? null;
  const lastTurn = items.at(-1)?.turn;
  const refresh = useCallback(() => {
    void client.invalidateQueries({ queryKey: ["messages", name, session] });
    void client.invalidateQueries({ queryKey: ["sessions", name] });
  }, [name, session]);
  const say = useAct(async () => {
    const message = text;
    setText("");
    setPending(message);
    jump();
    try {
      begun(name, session, await send(name, session, message));
    } catch (error) {
      setText(message);
      throw error;
    } finally {
      setPending(null);
    }
    refresh();
  });
  const stop = useAct(async (turn: string) => {
    await take(api.DELETE("/v1/agents/{agent}/turns/{turn}", { params: { path: { agent: name, turn } } }));
  });
  const retry = useAct(async (turn: string) => {
    const key = freshKey();
    const again = await take(api.POST("/v1/agents/{agent}/turns/{turn}/retry", { params: { path: { agent: name, turn }, header: { "Idempotency-Key": key } } }));
    begun(name, session, again);
    jump();
    refresh();
  });
  const { run: runRetry } = retry;
  const again = useCallback(() => void (lastTurn && runRetry(lastTurn)), [lastTurn, runRetry]);
  useLayoutEffect(follow, [items.length, pending, follow]);
  const older = async () => {
    const node = box.current;
    const before = node?.scrollHeight ?? 0;
    await messages.fetchNextPage();
    requestAnimationFrame(() => {
      if (node) node.scrollTop += node.scrollHeight - before;
    });
  };
  const runs = agent.status.state === "running" || agent.status.state === "asleep";
  return (
    <div className="flex min-h-0 flex-1 flex-col">
      <title>{`${name}: chat · Creel`}</title>
      <div className="flex min-h-11 items-center gap-2 border-b border-line px-2 sm:px-4">
        <Sessions agent={name} session={session} />
        <span className="flex-1" />
        <span className="truncate text-xs text-soft">{agent.model}{agent.model.startsWith("demo/") && ": a demo that answers by rote"}</span>
      </div>
      <div ref={box} onScroll={scrolled} className="min-h-0 flex-1 overflow-y-auto" tabIndex={0} role="log" aria-label="Conversation" aria-live="polite">
        <div className="mx-auto grid w-full max-w-3xl grid-cols-[minmax(0,1fr)] content-start gap-4 p-4">
          {messages.hasNextPage && <p className="text-center"><Button kind="quiet" busy={messages.isFetchingNextPage} onClick={() => void older()}>Earlier messages</Button></p>}
          {messages.isPending && <div aria-hidden="true" className="grid gap-4"><div className="skeleton ml-auto h-9 w-2/5" /><div className="skeleton h-16 w-3/5" /></div>}
          {messages.error && !messages.data && <Notice>{messages.error.message}</Notice>}
          {messages.data && items.length === 0 && pending === null && (runs || !may
            ? <Empty title={`This is the beginning of your conversation with ${name}`}>{may ? "Ask it something, or have it do something: it has a computer of its own." : "Your role lets you read conversations, not begin them."}</Empty>
            : null)}
          {!runs && <Starting agent={agent} />}
          {items.map((message) => {
            const key = `${message.turn} ${message.role}`;
            if (message.role === "user") return <UserSaid key={key} text={message.text} at={message.at} />;
            return <AgentSaid key={key} agent={name} message={message} ended={refresh} grew={follow} retry={may && message.turn === lastTurn ? again : undefined} />;
          })}
          {pending !== null && <UserSaid text={pending} pending />}
        </div>
      </div>
      <div className="relative mx-auto grid w-full max-w-3xl gap-2 p-3 pt-1 sm:p-4 sm:pt-1">
        {away && <Button className="absolute -top-10 left-1/2 -translate-x-1/2 shadow-md" onClick={jump}>To the latest</Button>}
        <Notice>{say.trouble ?? stop.trouble ?? retry.trouble}</Notice>
        {may && <Composer agent={name} text={text} setText={setText} send={() => void say.run()} busy={say.busy} stop={running ? () => void stop.run(running) : null} />}
        {agent.status.state === "asleep" && <p className="text-xs text-soft"><StateLine status={agent.status} />. A message wakes it.</p>}
      </div>
    </div>
  );
}
