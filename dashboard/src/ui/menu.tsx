// A menu below a button. Not modal: what Radix does for modal ones writes a <style> element, which the page's rules refuse.

import * as Radix from "@radix-ui/react-dropdown-menu";
import type { ReactNode } from "react";

import { cx } from "./basics";

export function Menu({ trigger, children, align = "end" }: { trigger: ReactNode; children: ReactNode; align?: "start" | "end" }) {
  return (
    <Radix.Root modal={false}>
      <Radix.Trigger asChild>{trigger}</Radix.Trigger>
      <Radix.Portal>
        <Radix.Content align={align} sideOffset={4} collisionPadding={8} className="z-50 min-w-48 max-w-80 rounded-lg border border-line bg-panel p-1 shadow-lg">
          {children}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}

const ITEM = "flex min-h-8 items-center gap-2 rounded-md px-2 text-sm outline-none data-[highlighted]:bg-sunken data-[disabled]:opacity-50";

export function MenuItem({ onSelect, children, bad, disabled }: { onSelect: () => void; children: ReactNode; bad?: boolean; disabled?: boolean }) {
  return <Radix.Item onSelect={onSelect} disabled={disabled} className={cx(ITEM, bad && "text-bad")}>{children}</Radix.Item>;
}

export function MenuChoice({ value, onChange, choices, label }: { value: string; onChange: (value: string) => void; choices: [string, string][]; label: string }) {
  return (
    <Radix.RadioGroup value={value} onValueChange={onChange} aria-label={label}>
      <Radix.Label className="px-2 pt-1 pb-0.5 text-xs font-medium text-soft">{label}</Radix.Label>
      {choices.map(([key, text]) => (
        <Radix.RadioItem key={key} value={key} className={ITEM} onSelect={(event) => event.preventDefault()}>
          <span aria-hidden="true" className={cx("size-2 rounded-full border border-edge", key === value && "border-accent bg-accent")} />
          {text}
        </Radix.RadioItem>
      ))}
    </Radix.RadioGroup>
  );
}

export const MenuLine = () => <Radix.Separator className="my-1 border-t border-line" />;
