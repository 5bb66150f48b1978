// Cuts Markdown into blocks that can be rendered alone, as the text arrives: each character is looked at once, and what is
// before the last cut never changes again.

export class BlockCutter {
  #text = "";
  /** Start of the block that is still open. */
  #start = 0;
  /** Start of the first line not yet looked at. */
  #line = 0;
  #fence: string | undefined;
  #math: "$$" | "\\[" | undefined;
  #list = false;
  #blank = false;

  /** The open block: it may still change its meaning. */
  get tail(): string {
    return this.#text.slice(this.#start);
  }

  /** Whether the open block is fenced code, whose text only grows. */
  get inFence(): boolean {
    return this.#fence !== undefined;
  }

  get length(): number {
    return this.#text.length;
  }

  /** Takes the whole text so far (it must begin with what was given before) and returns the blocks that are complete. */
  push(text: string): string[] {
    this.#text = text;
    const complete: string[] = [];
    for (let end = text.indexOf("\n", this.#line); end >= 0; end = text.indexOf("\n", this.#line)) {
      const at = this.#line;
      this.#line = end + 1;
      if (this.#look(text.slice(at, end), at)) {
        complete.push(text.slice(this.#start, at));
        this.#start = at;
      }
    }
    return complete;
  }

  /** Looks at one complete line; true when a new block begins with it. */
  #look(line: string, at: number): boolean {
    if (this.#fence !== undefined) {
      const closing = /^ {0,3}(`{3,}|~{3,})\s*$/.exec(line)?.[1];
      if (closing?.startsWith(this.#fence)) {
        this.#fence = undefined;
        this.#blank = true;
      }
      return false;
    }
    if (this.#math !== undefined) {
      if (line.includes(this.#math === "$$" ? "$$" : "\\]")) this.#math = undefined;
      return false;
    }
    if (line.trim() === "") {
      this.#blank = true;
      return false;
    }
    const item = /^ {0,3}(?:[-*+]|\d{1,9}[.)])\s/.test(line);
    const indented = /^(?: {2,}|\t)/.test(line);
    const opening = /^ {0,3}(`{3,}|~{3,})[^`]*$/.exec(line)?.[1];
    // After a blank line a list goes on with items and indented lines; everything else begins anew.
    const begins = at > this.#start && this.#blank && !(this.#list && (item || indented));
    if (begins || at === this.#start) this.#list = item;
    this.#blank = false;
    if (opening && !(this.#list && indented)) this.#fence = opening;
    else if (/^ {0,3}\$\$/.test(line) && line.trim().indexOf("$$", 2) < 0) this.#math = "$$";
    else if (/^ {0,3}\\\[/.test(line) && !line.includes("\\]")) this.#math = "\\[";
    return begins;
  }
}

/** All blocks of a finished text. Link definitions bind blocks together, so a text that has them is one block. */
export function cutBlocks(text: string): string[] {
  if (text.length < 50_000 && /^ {0,3}\[[^\]\n]+\]:\s/m.test(text)) return [text];
  const cutter = new BlockCutter();
  const blocks = cutter.push(text);
  if (cutter.tail.trim() !== "") blocks.push(cutter.tail);
  return blocks;
}
