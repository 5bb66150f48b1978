// Tool calls between special tokens with JSON arguments: V2.5, V3 and R1 (with the word "function" and a code fence), V3.1
// (bare).

import type { AnswerStart } from "./format.ts";
import { CALL_BEGIN, CALL_END, CALLS_BEGIN, CALLS_END, EOS, TOOL_SEP } from "./marks.ts";
import type { State } from "./scanner.ts";
import { ThinkingParser } from "./thinking-parser.ts";

const BLOCK_MARKS = [CALL_BEGIN, CALLS_END, CALLS_BEGIN];
const HEADER_MARKS = [TOOL_SEP, CALL_END, CALL_BEGIN, CALLS_END, EOS];
const ARGUMENT_MARKS = [CALL_END, CALL_BEGIN, CALLS_END, EOS];

export class JsonCallsParser extends ThinkingParser {
  /** Before the name in the fenced form. */
  private readonly word = "function";
  private fenced = false;
  /** White space and backticks at the end of arguments, which may be the closing fence. */
  private tail = "";

  constructor(start: AnswerStart, style: { thinks: boolean; newlines: boolean }) {
    super(start, { ...style, toolMarks: [CALLS_BEGIN, CALL_BEGIN] });
  }

  protected override beginTools(mark: string): void {
    this.state = mark === CALL_BEGIN ? this.inHeader : this.inBlock;
  }

  /** Between calls: anything but white space and marks ends the block (the end mark was forgotten). */
  private inBlock: State = () => {
    this.drop(/^\s*/.exec(this.buffer)![0].length);
    if (this.buffer === "") return "more";
    for (const mark of BLOCK_MARKS) {
      const here = this.starts(mark);
      if (here === "maybe") return "more";
      if (!here) continue;
      this.drop(mark.length);
      if (mark === CALL_BEGIN) this.state = this.inHeader;
      else if (mark === CALLS_END) this.state = this.afterTools;
      return "again";
    }
    this.state = this.afterTools;
    return "again";
  };

  private header = "";
  /** From the call's begin mark to the separator: the name, or the word "function" before it. */
  private inHeader: State = () => {
    const found = this.until(HEADER_MARKS, (text) => {
      this.header += text;
    });
    if (!found) return "more";
    const header = (this.header + found.before).trim();
    this.header = "";
    if (found.mark !== TOOL_SEP) {
      // A call without a separator has no arguments and perhaps no name; it is dropped.
      this.afterCall(found.mark);
      return "again";
    }
    if (header === this.word || header === "") this.state = this.inName;
    else {
      this.startCall(header);
      this.state = this.atArguments;
    }
    return "again";
  };

  /** The name in the fenced form, on the line after the separator; a brace or fence right there means there is no line. */
  private inName: State = () => {
    this.drop(/^\s*/.exec(this.buffer)![0].length);
    const text = this.buffer;
    const newline = text.search(/[\n{]|```|<｜tool/);
    if (newline < 0 && !this.ended) return "more";
    const name = (newline < 0 ? text : text.slice(0, newline)).trim();
    // V3.1 may well have a tool that is called "function".
    if (name !== "") this.startCall(name);
    else if (text[newline] === "{") this.startCall(this.word);
    this.drop(newline < 0 ? text.length : newline);
    this.state = this.atArguments;
    return "again";
  };

  /** Before the arguments: white space and the opening fence are the format's. */
  private atArguments: State = () => {
    const opening = /^\s*(?:`{1,2}$|```\w*\s*)?/.exec(this.buffer)![0];
    // Until something else follows, the fence may go on.
    if (opening.length === this.buffer.length && !this.ended) return "more";
    this.fenced = opening.includes("```");
    this.drop(this.fenced ? opening.length : /^\s*/.exec(opening)![0].length);
    this.tail = "";
    this.state = this.inArguments;
    return "again";
  };

  private inArguments: State = () => {
    const found = this.until(ARGUMENT_MARKS, (text) => this.argumentText(text));
    if (!found) {
      if (this.ended && !this.fenced) this.callArguments(this.tail);
      else if (this.ended) this.callArguments(this.tail.replace(/\s*`{0,3}\s*$/, ""));
      if (this.ended) this.tail = "";
      return "more";
    }
    this.argumentText(found.before);
    this.callArguments(this.fenced ? this.tail.replace(/\s*(?:```)?\s*$/, "") : this.tail.trimEnd());
    this.tail = "";
    if (!this.hasArguments) this.callArguments("{}");
    this.endCall();
    this.afterCall(found.mark);
    return "again";
  };

  /** Passes arguments on but for what may be the end of the fenced block. */
  private argumentText(text: string): void {
    const all = this.tail + text;
    const end = /[\s`]*$/.exec(all)!.index;
    this.callArguments(all.slice(0, end));
    this.tail = all.slice(end);
  }

  private afterCall(mark: string): void {
    if (mark === EOS) this.buffer = EOS + this.buffer;
    this.state = mark === CALL_BEGIN ? this.inHeader : mark === CALL_END ? this.inBlock : this.afterTools;
  }
}
