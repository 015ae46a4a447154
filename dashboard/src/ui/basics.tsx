// What every page is made of: buttons, fields, notices, cards.

import { type ButtonHTMLAttributes, type InputHTMLAttributes, type ReactNode, type SelectHTMLAttributes, type TextareaHTMLAttributes, useEffect, useId, useRef } from "react";

import { Link } from "../lib/router";

export const cx = (...names: (string | false | null | undefined)[]) => names.filter(Boolean).join(" ");

const KINDS = {
  main: "bg-accent text-on-accent hover:bg-accent-strong border-transparent",
  plain: "bg-panel text-text border-line hover:bg-sunken",
  bad: "bg-panel text-bad border-line hover:bg-bad-tint",
  quiet: "bg-transparent text-soft border-transparent hover:text-text hover:bg-sunken",
};
const BUTTON = "inline-flex items-center justify-center gap-1.5 rounded-md border px-3 min-h-9 text-sm font-medium whitespace-nowrap transition-colors disabled:opacity-55 disabled:pointer-events-none";

type ButtonKind = keyof typeof KINDS;

export function Button({ kind = "plain", busy = false, className, children, ...rest }: ButtonHTMLAttributes<HTMLButtonElement> & { kind?: ButtonKind; busy?: boolean }) {
  return (
    <button type="button" {...rest} disabled={busy || rest.disabled} aria-busy={busy || undefined} className={cx(BUTTON, KINDS[kind], className)}>
      {children}
    </button>
  );
}

export function LinkButton({ kind = "plain", className, href, children }: { kind?: ButtonKind; className?: string; href: string; children: ReactNode }) {
  return <Link href={href} className={cx(BUTTON, KINDS[kind], className)}>{children}</Link>;
}

/** A link to what is not a page of the dashboard. */
export function OutButton({ kind = "plain", className, ...rest }: React.AnchorHTMLAttributes<HTMLAnchorElement> & { kind?: ButtonKind }) {
  return <a {...rest} className={cx(BUTTON, KINDS[kind], className)} />;
}

export const INPUT = "w-full rounded-md border border-edge bg-panel px-2.5 min-h-9 text-sm text-text aria-invalid:border-bad";

interface Around {
  label: ReactNode;
  hint?: ReactNode;
  trouble?: string | null;
  className?: string;
}

function Frame({ id, label, hint, trouble, className, children }: Around & { id: string; children: ReactNode }) {
  return (
    <div className={cx("grid gap-1", className)}>
      <label htmlFor={id} className="text-[0.8125rem] font-medium">{label}</label>
      {children}
      {hint && <p id={`${id}-hint`} className="text-xs text-soft">{hint}</p>}
      {trouble && <p id={`${id}-trouble`} role="alert" className="text-[0.8125rem] text-bad">{trouble}</p>}
    </div>
  );
}

/** The attributes that tie a field to its hint and to what is wrong with it. */
function tied(id: string, hint: unknown, trouble?: string | null) {
  const described = [hint && `${id}-hint`, trouble && `${id}-trouble`].filter(Boolean).join(" ");
  return { id, "aria-describedby": described || undefined, "aria-invalid": trouble ? true : undefined };
}

export function Field({ label, hint, trouble, className, ...rest }: Around & InputHTMLAttributes<HTMLInputElement>) {
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (trouble) input.current?.focus();
  }, [trouble]);
  return (
    <Frame {...{ id, label, hint, trouble, className }}>
      <input ref={input} {...tied(id, hint, trouble)} {...rest} className={INPUT} />
    </Frame>
  );
}

export function Area({ label, hint, trouble, className, mono, ...rest }: Around & TextareaHTMLAttributes<HTMLTextAreaElement> & { mono?: boolean }) {
  const id = useId();
  return (
    <Frame {...{ id, label, hint, trouble, className }}>
      <textarea {...tied(id, hint, trouble)} {...rest} className={cx(INPUT, "py-2 leading-relaxed", mono && "font-mono text-[0.8125rem]")} />
    </Frame>
  );
}

export function Select({ label, hint, trouble, className, children, ...rest }: Around & SelectHTMLAttributes<HTMLSelectElement>) {
  const id = useId();
  return (
    <Frame {...{ id, label, hint, trouble, className }}>
      <select {...tied(id, hint, trouble)} {...rest} className={INPUT}>{children}</select>
    </Frame>
  );
}

export function Check({ label, className, ...rest }: { label: ReactNode } & InputHTMLAttributes<HTMLInputElement>) {
  return (
    <label className={cx("flex items-start gap-2 text-sm", className)}>
      <input type="checkbox" {...rest} className="mt-0.5 size-4 shrink-0 accent-accent" />
      <span>{label}</span>
    </label>
  );
}

const TONES = {
  bad: "bg-bad-tint text-bad",
  good: "bg-good-tint text-good",
  wait: "bg-wait-tint text-wait",
  rest: "bg-rest-tint text-rest",
  plain: "bg-sunken text-soft",
};
export type Tone = keyof typeof TONES;

/** A sentence that somebody should see: what failed is told at once, the rest when there is a pause. */
export function Notice({ tone = "bad", children, className }: { tone?: Tone; children: ReactNode; className?: string }) {
  if (!children) return null;
  return (
    <div role={tone === "bad" ? "alert" : "status"} className={cx("rounded-md px-3 py-2 text-sm", TONES[tone], className)}>
      {children}
    </div>
  );
}

export function Badge({ tone = "plain", children }: { tone?: Tone; children: ReactNode }) {
  return <span className={cx("inline-block rounded px-1.5 py-0.5 text-xs font-medium whitespace-nowrap", TONES[tone])}>{children}</span>;
}

export function Card({ title, actions, children, className, flush }: { title?: ReactNode; actions?: ReactNode; children: ReactNode; className?: string; flush?: boolean }) {
  const id = useId();
  return (
    <section aria-labelledby={title ? id : undefined} className={cx("min-w-0 rounded-lg border border-line bg-panel", className)}>
      {(title || actions) && (
        <div className="flex min-h-12 flex-wrap items-center gap-2 border-b border-line px-4 py-1.5">
          {title && <h2 id={id} tabIndex={-1} className="mr-auto text-sm font-semibold">{title}</h2>}
          {actions}
        </div>
      )}
      <div className={flush ? "" : "grid gap-3 p-4"}>{children}</div>
    </section>
  );
}

/** A page: its title, which is also the tab's, what can be done on it, and the rest. */
export function Page({ title, tab, lead, actions, children, narrow }: { title: ReactNode; tab?: string; lead?: ReactNode; actions?: ReactNode; children: ReactNode; narrow?: boolean }) {
  return (
    <div className={cx("mx-auto grid w-full grid-cols-[minmax(0,1fr)] content-start gap-4 p-4 sm:p-6", narrow ? "max-w-3xl" : "max-w-6xl")}>
      <title>{`${tab ?? String(title)} · Creel`}</title>
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <div className="mr-auto min-w-0">
          <h1 className="text-xl font-semibold tracking-tight">{title}</h1>
          {lead && <p className="mt-0.5 text-soft">{lead}</p>}
        </div>
        {actions}
      </div>
      {children}
    </div>
  );
}

export function Empty({ title, children, action }: { title: string; children?: ReactNode; action?: ReactNode }) {
  return (
    <div className="grid justify-items-center gap-2 px-4 py-10 text-center">
      <p className="font-semibold">{title}</p>
      {children && <div className="max-w-md text-soft">{children}</div>}
      {action && <div className="mt-2">{action}</div>}
    </div>
  );
}

/** Grey lines of the height of what is to come. */
export function Lines({ rows = 4, height = "h-11" }: { rows?: number; height?: string }) {
  return (
    <div aria-hidden="true" className="divide-y divide-line">
      {Array.from({ length: rows }, (_, at) => (
        <div key={at} className={cx("flex items-center px-4", height)}>
          <div className={cx("skeleton h-3.5", ["w-2/5", "w-1/3", "w-1/2"][at % 3])} />
        </div>
      ))}
    </div>
  );
}

/** Of what is loaded: the lines while it comes, the sentence when it does not. */
export function Loaded<T>({ query, rows, children }: { query: { data: T | undefined; error: Error | null; refetch: () => unknown }; rows?: number; children: (data: T) => ReactNode }) {
  if (query.data !== undefined) return <>{children(query.data)}</>;
  if (query.error) {
    return (
      <div className="grid justify-items-start gap-2 p-4">
        <Notice>{query.error.message}</Notice>
        <Button onClick={() => query.refetch()}>Try again</Button>
      </div>
    );
  }
  return <Lines rows={rows} />;
}
