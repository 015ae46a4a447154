// The few pictures there are, drawn in the text's colour; a word stands beside each of them.

const PATHS = {
  agents: "M4 7a3 3 0 0 1 3-3h10a3 3 0 0 1 3 3v7a3 3 0 0 1-3 3H9l-5 4V7Zm5 3v1m6-1v1",
  usage: "M4 20V10m6 10V4m6 16v-7m5 7H2",
  members: "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7Zm-7 9c0-3.5 3-6 7-6s7 2.5 7 6m0-9a3 3 0 1 0-1-5.8M22 19c0-2.8-1.8-4.8-4.5-5.3",
  key: "M14 10a5 5 0 1 1-4.5-5M14 10l7 0m-3 0v4",
  audit: "M6 3h9l4 4v14H6V3Zm3 8h7m-7 4h7",
  host: "M4 4h16v7H4V4Zm0 9h16v7H4v-7Zm4-5.5h.01M8 16.5h.01",
  menu: "M4 7h16M4 12h16M4 17h16",
  search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14Zm9 2-4-4",
  plus: "M12 5v14M5 12h14",
  down: "m6 9 6 6 6-6",
  user: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8Zm-8 9c0-4 3.5-6.5 8-6.5s8 2.5 8 6.5",
  send: "M5 12h14m-6-6 6 6-6 6",
  stop: "M7 7h10v10H7z",
  tool: "m4 17 6-6-6-6m8 14h8",
  file: "M6 3h8l4 4v14H6V3Zm8 0v4h4",
  folder: "M3 6h6l2 2h10v11H3V6Z",
  back: "m14 6-6 6 6 6",
  providers: "M12 3v6m0 6v6M5 9h14v6H5V9Zm-2 3h2m14 0h2",
};

export type IconName = keyof typeof PATHS;

export function Icon({ name, className = "size-4" }: { name: IconName; className?: string }) {
  return (
    <svg viewBox="0 0 24 24" aria-hidden="true" className={`${className} shrink-0`} fill="none" stroke="currentColor" strokeWidth="1.7" strokeLinecap="round" strokeLinejoin="round">
      <path d={PATHS[name]} />
    </svg>
  );
}

export function Logo() {
  return (
    <svg viewBox="0 0 32 32" aria-hidden="true" className="size-7 shrink-0">
      <rect width="32" height="32" rx="8" className="fill-accent" />
      <g fill="none" className="stroke-on-accent" strokeWidth="2.2" strokeLinecap="round">
        <path d="M7 12h18l-2.2 11.2a2 2 0 0 1-2 1.6H11.2a2 2 0 0 1-2-1.6Z" />
        <path d="M11 12a5 5 0 0 1 10 0" />
        <path d="M8.6 18.4h14.8M13.5 12.5l.8 12M18.5 12.5l-.8 12" />
      </g>
    </svg>
  );
}
