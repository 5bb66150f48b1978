// The machinery under the answer parsers: text arrives in pieces, marks may be cut anywhere, and what may still become a mark
// is held back. Parsers are states, functions that consume from the buffer.

import type { Delta } from "../conversation.ts";
import type { AnswerParser, AnswerStart } from "./format.ts";

/** One state: consumes text and emits deltas; "again" when it made progress, "more" when it needs more text. */
export type State = () => "again" | "more";

export interface Found {
  mark: string;
  before: string;
}

function randomCallId(): string {
  return `call_${crypto.randomUUID().replaceAll("-", "").slice(0, 24)}`;
}

/** A parser whose subclass sets `state`. */
export abstract class StateParser implements AnswerParser {
  /** Text not consumed yet. */
  protected buffer = "";
  /** No more text will come: nothing needs to be held back. */
  protected ended = false;
  protected abstract state: State;
  private half = "";
  private deltas: Delta[] = [];
  private calls = 0;
  private open = false;
  /** Whether the open call has got arguments. */
  protected hasArguments = false;
  private readonly newCallId: () => string;

  constructor(start: AnswerStart) {
    this.newCallId = start.newCallId ?? randomCallId;
  }

  push(text: string): Delta[] {
    const all = this.half + text;
    // Half a surrogate pair waits for its other half.
    const cut = /[\ud800-\udbff]$/.test(all) ? all.length - 1 : all.length;
    this.half = all.slice(cut);
    if (cut > 0) {
      this.buffer += all.slice(0, cut);
      this.run();
    }
    return this.take();
  }

  end(): Delta[] {
    this.buffer += this.half;
    this.half = "";
    this.ended = true;
    this.run();
    this.endCall();
    return this.take();
  }

  private run(): void {
    while (this.state() === "again");
  }

  private take(): Delta[] {
    const { deltas } = this;
    this.deltas = [];
    return deltas;
  }

  protected reasoning(text: string): void {
    this.add("reasoning", text);
  }

  protected content(text: string): void {
    this.add("content", text);
  }

  private add(type: "reasoning" | "content", text: string): void {
    if (text === "") return;
    const last = this.deltas.at(-1);
    if (last?.type === type) last.text += text;
    else this.deltas.push({ type, text });
  }

  protected startCall(name: string): void {
    this.endCall();
    this.open = true;
    this.hasArguments = false;
    this.deltas.push({ type: "tool-call-start", index: this.calls, id: this.newCallId(), name });
  }

  /** More of the open call's arguments; without one (a call whose name is missing) they are dropped. */
  protected callArguments(text: string): void {
    if (text === "" || !this.open) return;
    this.hasArguments = true;
    const last = this.deltas.at(-1);
    if (last?.type === "tool-call-arguments" && last.index === this.calls) last.text += text;
    else this.deltas.push({ type: "tool-call-arguments", index: this.calls, text });
  }

  protected endCall(): void {
    if (!this.open) return;
    this.deltas.push({ type: "tool-call-end", index: this.calls++ });
    this.open = false;
  }

  /**
   * Takes text up to the first of `marks`, and the mark. Without one, `release` gets what cannot be part of a mark and the
   * result is undefined. Of marks that start at one place the longest counts, so a mark that begins another one waits.
   */
  protected until(marks: readonly string[], release: (text: string) => void): Found | undefined {
    const { buffer } = this;
    let at = -1;
    let mark = "";
    for (const candidate of marks) {
      const found = buffer.indexOf(candidate);
      if (found >= 0 && (at < 0 || found < at || (found === at && candidate.length > mark.length))) {
        at = found;
        mark = candidate;
      }
    }
    // An unfinished longer mark that starts no later than the one found may still win.
    const held = this.ended ? buffer.length : heldFrom(buffer, marks);
    if (at >= 0 && at < held) {
      this.buffer = buffer.slice(at + mark.length);
      return { mark, before: buffer.slice(0, at) };
    }
    const free = this.ended ? buffer.length : held;
    this.buffer = buffer.slice(free);
    release(buffer.slice(0, free));
    return undefined;
  }

  /** Whether the buffer starts with `text`: "maybe" while it is too short to tell. */
  protected starts(text: string): boolean | "maybe" {
    if (this.buffer.startsWith(text)) return true;
    return !this.ended && this.buffer.length < text.length && text.startsWith(this.buffer) ? "maybe" : false;
  }

  protected drop(length: number): void {
    this.buffer = this.buffer.slice(length);
  }
}

/** Where the longest tail of `text` starts that is a proper beginning of one of the marks; its length when none is. */
function heldFrom(text: string, marks: readonly string[]): number {
  let from = text.length;
  for (const mark of marks) {
    for (let length = Math.min(mark.length - 1, text.length); length > text.length - from; length--) {
      if (text.endsWith(mark.slice(0, length))) {
        from = text.length - length;
        break;
      }
    }
  }
  return from;
}
