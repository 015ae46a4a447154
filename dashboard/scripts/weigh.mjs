// What a first visit loads, compressed by gzip, against its bound. What is loaded later, when it is needed, does not count.

import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";

const DIST = new URL("../dist/web/", import.meta.url).pathname;
const BOUND_BYTES = 200 * 1024;

const page = readFileSync(join(DIST, "index.html"), "utf8");
const files = ["/index.html", ...[...page.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map((found) => found[1])];
let bytes = 0;
for (const file of files) bytes += statSync(join(DIST, `${file}.gz`)).size;
console.log(`First load: ${(bytes / 1024).toFixed(1)} KiB of ${BOUND_BYTES / 1024} KiB, ${files.length} files`);
if (bytes > BOUND_BYTES) {
  console.error(`error: the first load is larger than its bound: load something later, or leave it out`);
  process.exit(1);
}
