// Shows growing Markdown in an element, in time proportional to what is new: complete blocks are rendered once and never
// touched again; only the open block is rendered anew, and no more often than its cost allows.
import remend from "remend";
import { BlockCutter, cutBlocks } from "./blocks.ts";
import { renderBlock } from "./html.ts";
import { upgrade } from "./upgrade.ts";

/** An open block longer than this is shown as plain text until it is complete. */
const longestTail = 12_000;

/**
 * What one frame may do about complete blocks; what is left waits for the next frame. The number matters beside the time, since
 * the browser's own work (styles, layout, painting) grows with what is new and comes after ours.
 */
const budget = 8;
const mostBlocks = 4;

export class MarkdownStream {
  #cutter = new BlockCutter();
  #tail: HTMLElement;
  #tailText = "";
  #plain: Text | undefined;
  /** Complete blocks not yet shown: many after a pause, or when a page opens in the middle of an answer. */
  #waiting: string[] = [];
  #frame = 0;
  #nextAt = 0;
  #timer = 0;

  constructor(element: HTMLElement) {
    this.#tail = document.createElement("div");
    this.#tail.className = "tail";
    element.replaceChildren(this.#tail);
  }

  /** The whole text so far. */
  update(text: string): void {
    this.#waiting.push(...this.#cutter.push(text));
    if (this.#frame === 0) this.#work();
  }

  #work(): void {
    this.#frame = 0;
    const until = performance.now() + budget;
    if (this.#waiting.length > 0) this.#clearTail();
    for (let made = 1; this.#waiting.length > 0; made++) {
      const holder = blockElement(this.#waiting.shift()!);
      this.#tail.before(holder);
      upgrade(holder, false);
      if ((made === mostBlocks || performance.now() > until) && this.#waiting.length > 0) {
        this.#frame = requestAnimationFrame(() => this.#work());
        return;
      }
    }
    const now = performance.now();
    if (now >= this.#nextAt) this.#showTail();
    else if (this.#timer === 0)
      this.#timer = window.setTimeout(() => {
        this.#timer = 0;
        if (this.#frame === 0) this.#showTail();
      }, this.#nextAt - now);
  }

  #clearTail(): void {
    this.#tail.replaceChildren();
    this.#tailText = "";
    this.#plain = undefined;
  }

  #showTail(): void {
    const started = performance.now();
    const text = this.#cutter.tail;
    if (text === this.#tailText) return;
    if (this.#cutter.inFence || text.length > longestTail) this.#appendPlain(text);
    else {
      this.#plain = undefined;
      this.#tail.replaceChildren(renderBlock(remend(text), false));
      this.#tailText = text;
    }
    // At most a fifth of the time goes into the open block.
    const cost = performance.now() - started;
    this.#nextAt = performance.now() + Math.min(1000, cost * 4);
  }

  /** Fenced code and very long blocks grow by appending to one text node. */
  #appendPlain(text: string): void {
    const fenced = this.#cutter.inFence && /^[^\n]*\n/.exec(text);
    const from = fenced ? fenced[0].length : 0;
    if (!this.#plain) {
      const pre = document.createElement("pre");
      const code = document.createElement("code");
      this.#plain = document.createTextNode(text.slice(from));
      code.append(this.#plain);
      pre.append(code);
      const holder = document.createElement("div");
      holder.className = fenced ? "code" : "plain";
      holder.append(pre);
      this.#tail.replaceChildren(holder);
    } else {
      const shown = this.#plain.length + from;
      if (text.length > shown) this.#plain.appendData(text.slice(shown));
    }
    this.#tailText = text;
  }

  end(): void {
    clearTimeout(this.#timer);
    cancelAnimationFrame(this.#frame);
  }
}

function blockElement(source: string): HTMLElement {
  const holder = document.createElement("div");
  holder.className = "block";
  holder.append(renderBlock(source, true));
  return holder;
}

/** Renders finished Markdown into an element, the first blocks now, the rest as frames allow. Returns how to stop. */
export function showMarkdown(element: HTMLElement, text: string): () => void {
  const blocks = cutBlocks(text);
  let next = 0;
  let frame = 0;
  const work = (): void => {
    const until = performance.now() + (next === 0 ? 24 : 8);
    const made = document.createDocumentFragment();
    const holders: HTMLElement[] = [];
    while (next < blocks.length && performance.now() < until) {
      const holder = blockElement(blocks[next++]);
      holders.push(holder);
      made.append(holder);
    }
    element.append(made);
    for (const holder of holders) upgrade(holder, true);
    if (next < blocks.length) frame = requestAnimationFrame(work);
  };
  element.replaceChildren();
  work();
  return () => cancelAnimationFrame(frame);
}
