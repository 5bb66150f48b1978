// Turns text into the words that the search index holds: lower-case words for alphabets, single characters and pairs for
// Chinese, Japanese and Korean, where words are not set apart and SQLite's own tokenizers find no two-character word.

const pieces = /([\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]+)|([\p{L}\p{N}_]+)/gu;

/** Words of a text for the index, each once, in order. */
export function indexWords(text: string): string[] {
  const found = new Set<string>();
  for (const [, ideographs, word] of text.normalize("NFKC").toLowerCase().matchAll(pieces)) {
    if (word) found.add(word.slice(0, 64));
    else {
      const characters = [...ideographs];
      for (let at = 0; at < characters.length; at++) {
        found.add(characters[at]);
        if (at + 1 < characters.length) found.add(characters[at] + characters[at + 1]);
      }
    }
  }
  return [...found];
}

/** An FTS5 expression for what a person typed: all words must occur, alphabetic ones as beginnings. Empty: no words. */
export function searchExpression(query: string): string {
  const parts: string[] = [];
  for (const [, ideographs, word] of query.slice(0, 500).normalize("NFKC").toLowerCase().matchAll(pieces)) {
    if (word) parts.push(`"${word.slice(0, 64)}"*`);
    else {
      const characters = [...ideographs];
      if (characters.length === 1) parts.push(`"${characters[0]}"`);
      for (let at = 0; at + 1 < characters.length; at++) parts.push(`"${characters[at]}${characters[at + 1]}"`);
    }
  }
  return parts.slice(0, 32).join(" AND ");
}

/** The stretch of text around the first hit, and where in it the hits lie. */
export function snippet(text: string, query: string): { text: string; hits: [number, number][] } {
  const wanted = [...query.normalize("NFKC").toLowerCase().matchAll(pieces)].map(([whole]) => whole);
  const lower = text.toLowerCase();
  const first = Math.min(...wanted.map((word) => lower.indexOf(word)).filter((at) => at >= 0), text.length);
  const start = first === text.length ? 0 : Math.max(0, first - 40);
  const cut = text.slice(start, start + 160).replace(/\s/g, " ");
  const hits: [number, number][] = [];
  for (const word of wanted)
    for (
      let at = cut.toLowerCase().indexOf(word);
      at >= 0 && hits.length < 20;
      at = cut.toLowerCase().indexOf(word, at + word.length)
    )
      hits.push([at, at + word.length]);
  return { text: cut, hits: hits.sort((a, b) => a[0] - b[0]) };
}
