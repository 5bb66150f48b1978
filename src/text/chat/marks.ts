// The marks of DeepSeek's chat formats. The bars are U+FF5C and the blocks U+2581, unlike the ASCII characters they resemble
// (tokenizer.json of their repositories).

export const BOS = "<｜begin▁of▁sentence｜>";
export const EOS = "<｜end▁of▁sentence｜>";
export const USER = "<｜User｜>";
export const ASSISTANT = "<｜Assistant｜>";
export const THINK = "<think>";
export const END_THINK = "</think>";
export const LATEST_REMINDER = "<｜latest_reminder｜>";
/** Coder's end of turn; really ASCII. */
export const EOT = "<|EOT|>";

export const CALLS_BEGIN = "<｜tool▁calls▁begin｜>";
export const CALLS_END = "<｜tool▁calls▁end｜>";
export const CALL_BEGIN = "<｜tool▁call▁begin｜>";
export const CALL_END = "<｜tool▁call▁end｜>";
export const TOOL_SEP = "<｜tool▁sep｜>";
export const OUTPUTS_BEGIN = "<｜tool▁outputs▁begin｜>";
export const OUTPUTS_END = "<｜tool▁outputs▁end｜>";
export const OUTPUT_BEGIN = "<｜tool▁output▁begin｜>";
export const OUTPUT_END = "<｜tool▁output▁end｜>";

export const DSML = "｜DSML｜";

export const FIM_BEGIN = "<｜fim▁begin｜>";
export const FIM_HOLE = "<｜fim▁hole｜>";
export const FIM_END = "<｜fim▁end｜>";
