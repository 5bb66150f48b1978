// Finds added tokens (special ones, user-defined ones) in text: exact matches, the longest at each place, by a trie.

export interface AddedToken {
  id: number;
  content: string;
  /** Steers the model (turn marks, tags); text that must not steer is never read as such a token. */
  control: boolean;
  /** Takes the white space on its left or right with it (tokenizer.json's `lstrip`, `rstrip`). */
  lstrip?: boolean;
  rstrip?: boolean;
}

interface Node {
  next: Map<number, Node>;
  token?: AddedToken;
}

export interface Match {
  start: number;
  end: number;
  id: number;
}

/** [start, end) ranges of UTF-16 indices, ascending, in which control tokens count as ordinary text. */
export type LiteralRanges = readonly number[];

export class AddedTokens {
  readonly tokens: AddedToken[];
  private readonly all: Node = { next: new Map() };
  private readonly ordinary: Node = { next: new Map() };

  constructor(tokens: AddedToken[]) {
    this.tokens = tokens;
    for (const token of tokens) {
      if (token.content === "") continue;
      insert(this.all, token);
      if (!token.control) insert(this.ordinary, token);
    }
  }

  /** The matches in `text`, left to right. Control tokens are found only if `control` is set and outside `literal`. */
  find(text: string, control: boolean, literal: LiteralRanges = []): Match[] {
    const root = control ? this.all : this.ordinary;
    const found: Match[] = [];
    if (root.next.size === 0) return found;
    let range = 0;
    let done = 0;
    for (let i = 0; i < text.length; ) {
      const first = root.next.get(text.charCodeAt(i));
      if (first === undefined) {
        i++;
        continue;
      }
      while (range < literal.length && literal[range + 1] <= i) range += 2;
      // A control token must end before the next literal range begins, and not begin inside one.
      const limit = range < literal.length ? Math.max(literal[range], i) : text.length;
      let best: AddedToken | undefined;
      let end = i;
      let node: Node | undefined = first;
      for (let j = i + 1; node !== undefined; node = node.next.get(text.charCodeAt(j++))) {
        if (node.token && (!node.token.control || j <= limit)) {
          best = node.token;
          end = j;
        }
        if (j >= text.length) break;
      }
      if (best === undefined) {
        i++;
        continue;
      }
      let start = i;
      if (best.lstrip) while (start > done && isSpace(text, start - 1)) start--;
      if (best.rstrip) while (end < text.length && isSpace(text, end)) end++;
      found.push({ start, end, id: best.id });
      done = i = end;
    }
    return found;
  }
}

function insert(root: Node, token: AddedToken): void {
  let node = root;
  for (let i = 0; i < token.content.length; i++) {
    const unit = token.content.charCodeAt(i);
    let next = node.next.get(unit);
    if (next === undefined) node.next.set(unit, (next = { next: new Map() }));
    node = next;
  }
  node.token ??= token;
}

function isSpace(text: string, i: number): boolean {
  return /\p{White_Space}/u.test(text[i]);
}

/** Whether an added token that the vocabulary does not call special still looks like a mark: a tag or DeepSeek's bars. */
export function looksLikeMark(content: string): boolean {
  return /^<\/?[^<>\s]+>$/.test(content) || content.includes("｜");
}
