// Which names fit what was typed, the best first.

/** Null: it does not fit. Smaller is better. */
export function fit(name: string, typed: string): number | null {
  const text = name.toLowerCase();
  const wanted = typed.trim().toLowerCase();
  if (wanted === "") return 0;
  const at = text.indexOf(wanted);
  if (at === 0) return 0;
  if (at > 0) return /[^a-z0-9]/.test(text[at - 1] ?? "") ? 1 : 2;
  // Its letters in their order, with others between them.
  let from = -1;
  let gaps = 0;
  for (const letter of wanted.replaceAll(" ", "")) {
    const next = text.indexOf(letter, from + 1);
    if (next < 0) return null;
    if (from >= 0) gaps += next - from - 1;
    from = next;
  }
  return 3 + gaps;
}

export function rank<T>(items: T[], typed: string, name: (item: T) => string): T[] {
  return items
    .map((item, at) => ({ item, at, value: fit(name(item), typed) }))
    .filter((found): found is { item: T; at: number; value: number } => found.value !== null)
    .sort((a, b) => a.value - b.value || a.at - b.at)
    .map((found) => found.item);
}
