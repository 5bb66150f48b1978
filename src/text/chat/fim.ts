// Fill-in-the-middle prompts: the text before and after a gap, the model writes what belongs between and then ends
// (prefix-suffix-middle order, as in the README of DeepSeek-Coder).

import { PromptBuilder, type RenderedPrompt } from "./format.ts";
import { BOS, FIM_BEGIN, FIM_END, FIM_HOLE } from "./marks.ts";

/** The marks that a vocabulary must have for the prompt to mean anything to the model. */
export const FIM_MARKS = [FIM_BEGIN, FIM_HOLE, FIM_END];

export function fillInMiddle(prefix: string, suffix: string): RenderedPrompt {
  return new PromptBuilder()
    .mark(BOS + FIM_BEGIN)
    .words(prefix)
    .mark(FIM_HOLE)
    .words(suffix)
    .mark(FIM_END)
    .done();
}
