// What an agent wrote, as Markdown. Its HTML is shown as text, its pictures as links: nothing is fetched by reading.

import Renderer, { type Components } from "react-markdown";
import gfm from "remark-gfm";

const COMPONENTS: Components = {
  a: ({ href, children }) => <a href={href} target="_blank" rel="noopener noreferrer nofollow">{children}</a>,
  img: ({ src, alt }) => <a href={typeof src === "string" ? src : undefined} target="_blank" rel="noopener noreferrer nofollow">{alt || "picture"}</a>,
  // Its boxes scroll, so the keyboard reaches them.
  pre: ({ children }) => <pre tabIndex={0}>{children}</pre>,
  table: ({ children }) => <table tabIndex={0}>{children}</table>,
  input: ({ checked }) => <span>{checked ? "☑" : "☐"} </span>,
};
const PLUGINS = [gfm];

export default function Markdown({ text }: { text: string }) {
  return <div className="prose"><Renderer remarkPlugins={PLUGINS} components={COMPONENTS}>{text}</Renderer></div>;
}
