// Tool calls in DSML, the XML-like markup of V3.2 (function_calls) and V4 (tool_calls). Parameters come back as one JSON object.

import type { AnswerStart } from "./format.ts";
import { DSML, EOS } from "./marks.ts";
import type { State } from "./scanner.ts";
import { ThinkingParser } from "./thinking-parser.ts";

const BLOCKS = ["function_calls", "tool_calls"];
const BLOCK_BEGINS = BLOCKS.map((name) => `<${DSML}${name}>`);
const BLOCK_ENDS = BLOCKS.map((name) => `</${DSML}${name}>`);
const INVOKE = `<${DSML}invoke`;
const INVOKE_END = `</${DSML}invoke>`;
const PARAMETER = `<${DSML}parameter`;
const PARAMETER_END = `</${DSML}parameter>`;
const BLOCK_MARKS = [INVOKE, ...BLOCK_ENDS, INVOKE_END, ...BLOCK_BEGINS];
const INVOKE_MARKS = [PARAMETER, INVOKE_END, ...BLOCK_ENDS, INVOKE, EOS];
const VALUE_MARKS = [PARAMETER_END, PARAMETER, INVOKE_END, ...BLOCK_ENDS, INVOKE, EOS];

export class DsmlParser extends ThinkingParser {
  private parameters = 0;
  /** Whether the value being read is text as it is; undefined when the tag does not say. */
  private isString: boolean | undefined;
  private value = "";

  constructor(start: AnswerStart) {
    super(start, { thinks: true, newlines: false, toolMarks: [...BLOCK_BEGINS, INVOKE] });
  }

  protected override beginTools(mark: string): void {
    this.state = mark === INVOKE ? this.inInvokeTag : this.inBlock;
  }

  /** Between invocations: anything but white space and marks ends the block (the end was forgotten). */
  private inBlock: State = () => {
    this.drop(/^\s*/.exec(this.buffer)![0].length);
    if (this.buffer === "") return "more";
    let waits = false;
    for (const mark of BLOCK_MARKS) {
      const here = this.starts(mark);
      waits ||= here === "maybe";
      if (here !== true) continue;
      this.drop(mark.length);
      if (mark === INVOKE) this.state = this.inInvokeTag;
      else if (BLOCK_ENDS.includes(mark)) this.state = this.afterTools;
      return "again";
    }
    if (waits) return "more";
    this.state = this.afterTools;
    return "again";
  };

  /** The attributes of a tag up to its ">", or undefined while they are incomplete. A tag ends with its line at the latest. */
  private attributes(): Map<string, string> | undefined {
    const line = this.buffer.search(new RegExp(`\\n|</?${DSML}`));
    const text = line < 0 ? this.buffer : this.buffer.slice(0, line);
    // A ">" inside quotes is part of a name.
    const tag = /^(?:[^>"]|"[^"]*")*>/.exec(text)?.[0] ?? (line < 0 && !this.ended ? undefined : text);
    if (tag === undefined) return undefined;
    this.drop(tag.length);
    return new Map(Array.from(tag.matchAll(/([\w-]+)\s*=\s*"([^"]*)"/g), ([, key, value]) => [key, value]));
  }

  private inInvokeTag: State = () => {
    const attributes = this.attributes();
    if (!attributes) return "more";
    const name = attributes.get("name");
    // A call without a name cannot be made; its parameters are read and dropped.
    if (name) this.startCall(unescapeName(name));
    this.parameters = 0;
    this.hasInline = false;
    this.state = this.inInvoke;
    return "again";
  };

  private inline = "";
  /** Between parameters. Text here is the inline form: the arguments as one JSON value. */
  private inInvoke: State = () => {
    const found = this.until(INVOKE_MARKS, (text) => {
      this.inline += text;
    });
    if (!found) {
      if (this.ended) this.flushInline();
      return "more";
    }
    this.inline += found.before;
    this.flushInline();
    if (found.mark === PARAMETER) this.state = this.inParameterTag;
    else this.afterInvoke(found.mark);
    return "again";
  };

  private hasInline = false;
  private flushInline(): void {
    const text = this.inline.trim();
    this.inline = "";
    if (text === "" || this.parameters > 0) return;
    this.callArguments(text);
    this.hasInline = true;
  }

  private inParameterTag: State = () => {
    const attributes = this.attributes();
    if (!attributes) return "more";
    this.isString = attributes.has("string") ? attributes.get("string") === "true" : undefined;
    const name = unescapeName(attributes.get("name") ?? "");
    this.emit(`${this.parameters === 0 ? "{" : ", "}${JSON.stringify(name)}: ${this.isString ? '"' : ""}`);
    this.parameters++;
    this.value = "";
    this.state = this.inValue;
    return "again";
  };

  /** A string goes out as it comes, escaped; anything else must be whole to be known as JSON. */
  private inValue: State = () => {
    const found = this.until(VALUE_MARKS, (text) => this.valueText(text));
    if (!found) {
      if (this.ended && !this.isString) this.emit(this.value.trimStart());
      if (this.ended) this.value = "";
      return "more";
    }
    this.valueText(found.before);
    this.emit(this.isString ? '"' : asJson(this.value));
    this.value = "";
    this.state = this.inInvoke;
    if (found.mark === PARAMETER) this.state = this.inParameterTag;
    else if (found.mark !== PARAMETER_END) this.afterInvoke(found.mark);
    return "again";
  };

  private valueText(text: string): void {
    if (this.isString) this.emit(escaped(text));
    else this.value += text;
  }

  /** Arguments from parameters; after an inline JSON value there are none. */
  private emit(text: string): void {
    if (!this.hasInline) this.callArguments(text);
  }

  private afterInvoke(mark: string): void {
    this.emit(this.parameters > 0 ? "}" : "{}");
    this.endCall();
    if (mark === EOS) this.buffer = EOS + this.buffer;
    if (mark === INVOKE) this.state = this.inInvokeTag;
    else this.state = mark === INVOKE_END ? this.inBlock : this.afterTools;
  }
}

/** The inside of a JSON string. */
function escaped(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

/** A value that claims to be JSON; one that is not becomes a string. */
function asJson(text: string): string {
  const value = text.trim();
  try {
    JSON.parse(value);
    return value;
  } catch {
    return JSON.stringify(text);
  }
}

/** Names are written between quotes; a quote in one is written as an entity. */
function unescapeName(name: string): string {
  return name.replaceAll("&quot;", '"').replaceAll("&amp;", "&");
}
