// Dialogs. Radix keeps the focus in and gives it back; its own overlay and scroll lock are not used, because they write
// a <style> element, which the page's rules refuse.

import * as Radix from "@radix-ui/react-dialog";
import { type ReactNode, useState } from "react";

import type { Act } from "../lib/use";
import { Button, cx, Field, Notice } from "./basics";

interface DialogProps {
  open: boolean;
  onClose: () => void;
  title: string;
  children: ReactNode;
  className?: string;
  hideTitle?: boolean;
  /** Only a button closes it: what it shows or holds would be lost by a slip. */
  firm?: boolean;
}

export function Dialog({ open, onClose, title, children, className, hideTitle, firm }: DialogProps) {
  const stay = (event: Event) => firm && event.preventDefault();
  return (
    <Radix.Root open={open} onOpenChange={(opens) => !opens && onClose()}>
      <Radix.Portal>
        <div className="fixed inset-0 z-40 bg-black/45" />
        <Radix.Content
          aria-describedby={undefined} onInteractOutside={stay} onEscapeKeyDown={stay}
          className={cx("fixed left-1/2 top-[8vh] z-50 max-h-[84vh] w-[min(32rem,calc(100vw-1.5rem))] -translate-x-1/2 overflow-y-auto rounded-xl border border-line bg-panel shadow-xl", className)}
        >
          <Radix.Title className={hideTitle ? "sr-only" : "border-b border-line px-4 py-3 text-base font-semibold"}>{title}</Radix.Title>
          {children}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}

/** Asks before something that cannot be taken back; with `type`, only whoever types that word may. */
export function Confirm({ title, children, action, act, onClose, type }: { title: string; children: ReactNode; action: string; act: Act<[]>; onClose: () => void; type?: string }) {
  const [typed, setTyped] = useState("");
  return (
    <Dialog open onClose={onClose} title={title}>
      <form
        className="grid gap-3 p-4"
        onSubmit={async (event) => {
          event.preventDefault();
          if (await act.run()) onClose();
        }}
      >
        <div className="text-soft">{children}</div>
        {type && <Field label={`Type ${type} to go on`} value={typed} onChange={(event) => setTyped(event.target.value)} autoComplete="off" autoCapitalize="none" spellCheck={false} />}
        <Notice>{act.trouble}</Notice>
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" kind="bad" busy={act.busy} disabled={type !== undefined && typed !== type}>{action}</Button>
        </div>
      </form>
    </Dialog>
  );
}
