// Reasoning and content of every format that thinks; tool calls are left to subclasses. The rules for malformed answers are
// in docs/chat-formats.md, "Recovery".

import type { AnswerStart } from "./format.ts";
import { END_THINK, EOS, THINK } from "./marks.ts";
import { type State, StateParser } from "./scanner.ts";

export interface ThinkingStyle {
  thinks: boolean;
  /** R1 writes a newline after <think>, one before </think> and two after it; they belong to the format. */
  newlines: boolean;
  /** Marks that begin a tool block, in reasoning as in content. White space before them belongs to the format. */
  toolMarks: readonly string[];
  /** Further texts that end the answer. */
  ends?: readonly string[];
}

export class ThinkingParser extends StateParser {
  protected state: State;
  private wroteThink = false;
  private newlinesAfter = 0;
  private readonly style: ThinkingStyle;
  private readonly ends: readonly string[];
  private readonly reasoningMarks: readonly string[];
  private readonly contentMarks: readonly string[];

  constructor(start: AnswerStart, style: ThinkingStyle) {
    super(start);
    this.style = style;
    this.ends = [EOS, ...(style.ends ?? [])];
    const tools = style.toolMarks.flatMap((mark) => [mark, `\n${mark}`, `\n\n${mark}`]);
    this.reasoningMarks = [END_THINK, ...(style.newlines ? [`\n${END_THINK}`] : []), ...tools, ...this.ends];
    this.contentMarks = [...tools, ...this.ends];
    if (start.startsInThinking) this.state = this.atReasoning;
    else if (start.continuesContent) this.state = this.inContent;
    else this.state = style.thinks ? this.atStart : this.inContent;
  }

  /** Before anything: the model may open thinking itself, or repeat the end that the prompt has written. */
  private atStart: State = () => {
    const space = /^\s*/.exec(this.buffer)![0].length;
    const rest = this.buffer.slice(space);
    if (rest === "" && !this.ended) return "more";
    for (const mark of [THINK, END_THINK]) {
      if (rest.startsWith(mark)) {
        this.drop(space + mark.length);
        this.wroteThink = true;
        this.state = mark === THINK ? this.atReasoning : this.afterReasoning;
        return "again";
      }
      if (!this.ended && mark.startsWith(rest)) return "more";
    }
    this.state = this.inContent;
    return "again";
  };

  /** At the start of thinking: a repeated <think> is dropped, and R1's newline after one that the model wrote. */
  private atReasoning: State = () => {
    if (this.buffer === "" && !this.ended) return "more";
    const repeated = this.starts(THINK);
    if (repeated === "maybe") return "more";
    if (repeated === true) {
      this.drop(THINK.length);
      this.wroteThink = true;
      return "again";
    }
    if (this.wroteThink && this.style.newlines && this.buffer.startsWith("\n")) this.drop(1);
    this.state = this.inReasoning;
    return "again";
  };

  private inReasoning: State = () => {
    const found = this.until(this.reasoningMarks, (text) => this.reasoning(text));
    if (!found) return "more";
    this.reasoning(found.before);
    if (found.mark.endsWith(END_THINK)) this.state = this.afterReasoning;
    else this.leave(found.mark);
    return "again";
  };

  /** Right after </think>: R1's two newlines are the format's. */
  private afterReasoning: State = () => {
    if (!this.style.newlines) {
      this.state = this.inContent;
      return "again";
    }
    if (this.buffer === "") return "more";
    if (this.newlinesAfter < 2 && this.buffer.startsWith("\n")) {
      this.newlinesAfter++;
      this.drop(1);
      return "again";
    }
    this.state = this.inContent;
    return "again";
  };

  protected inContent: State = () => {
    const found = this.until(this.contentMarks, (text) => this.content(text));
    if (!found) return "more";
    this.content(found.before);
    this.leave(found.mark);
    return "again";
  };

  /** What follows the end of an answer is none of it. */
  private afterEnd: State = () => {
    this.buffer = "";
    return "more";
  };

  private leave(mark: string): void {
    if (this.ends.includes(mark)) this.state = this.afterEnd;
    else this.beginTools(mark.trimStart());
  }

  /** A tool block has begun with `mark`. */
  protected beginTools(_mark: string): void {
    this.state = this.inContent;
  }

  /** After a tool block: further blocks are read, white space is dropped, other text is content. */
  protected afterTools: State = () => {
    const space = /^\s*/.exec(this.buffer)![0].length;
    this.drop(space);
    if (this.buffer === "") return "more";
    this.state = this.inContent;
    return "again";
  };
}
