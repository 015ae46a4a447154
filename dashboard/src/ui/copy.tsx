// Something that is shown once and is to be kept: a code, a token, a link.

import { useState } from "react";

import { Button } from "./basics";

export function Copy({ text, label }: { text: string; label: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
    } catch {
      // Browsers refuse it at plain addresses: the text is there to be marked.
      setCopied(false);
    }
  };
  return (
    <div className="flex items-center gap-2">
      <code aria-label={label} className="min-w-0 flex-1 select-all rounded-md border border-line bg-sunken px-2.5 py-2 [overflow-wrap:anywhere]">{text}</code>
      {navigator.clipboard && <Button onClick={copy}><span aria-live="polite">{copied ? "Copied" : "Copy"}</span></Button>}
    </div>
  );
}
