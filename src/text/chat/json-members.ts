// The members of a JSON object with their values as they were written, so that long numbers, key order and spelling survive.

/** [key, raw value] pairs in order, or undefined when the text is not a JSON object. */
export function jsonMembers(text: string): [string, string][] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (value === null || typeof value !== "object" || Array.isArray(value)) return undefined;
  } catch {
    return undefined;
  }
  // The text is valid, so braces, brackets and quotes outside strings are all that structure it.
  const members: [string, string][] = [];
  let depth = 0;
  let start = -1;
  let key: string | undefined;
  const close = (end: number) => {
    if (key !== undefined) members.push([key, text.slice(start, end).trim()]);
    key = undefined;
  };
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (char === '"') {
      const from = i;
      for (i++; text[i] !== '"'; i++) if (text[i] === "\\") i++;
      if (depth === 1 && key === undefined) key = JSON.parse(text.slice(from, i + 1)) as string;
    } else if (char === "{" || char === "[") depth++;
    else if (char === "}" || char === "]") {
      if (depth === 1) close(i);
      depth--;
    } else if (depth === 1 && char === ":") start = i + 1;
    else if (depth === 1 && char === ",") close(i);
  }
  return members;
}
