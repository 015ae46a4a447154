// A table as a file for a spreadsheet (RFC 4180).

/** A field that begins like a formula is told to be text: whoever named an agent does not run anything in a spreadsheet. */
function field(value: string | number): string {
  if (typeof value === "number") return String(value);
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function csv(heads: string[], rows: (string | number)[][]): string {
  return [heads, ...rows].map((row) => `${row.map(field).join(",")}\r\n`).join("");
}

/** Has the browser keep the pieces, one after the other, as a file. */
export function save(name: string, pieces: string[], kind = "text/csv;charset=utf-8") {
  const at = URL.createObjectURL(new Blob(pieces, { type: kind }));
  const link = document.createElement("a");
  link.href = at;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(at), 60_000);
}
