// Picks the chat format of a model from what its files say.

import { TextError } from "../errors.ts";
import { v4Format, v32Format } from "./dsml.ts";
import type { ChatFormat } from "./format.ts";
import { coderFormat, v2Format } from "./plain.ts";
import { r1Format, v3Format, v31Format } from "./v3.ts";

export const CHAT_FORMATS: readonly ChatFormat[] = [
  v2Format,
  coderFormat,
  v3Format,
  r1Format,
  v31Format,
  v32Format,
  v4Format,
];

/** The format of that name. @throws TextError naming those there are. */
export function chatFormatNamed(name: string): ChatFormat {
  const found = CHAT_FORMATS.find((format) => format.name === name);
  if (found) return found;
  throw new TextError(
    `there is no chat format '${name}'; there are ${CHAT_FORMATS.map((format) => format.name).join(", ")}`,
  );
}

/** What is known of a model; everything but the vocabulary may be missing. */
export interface ModelHints {
  /** Name of a format, where the model's files state one (`weir_chat_format` in config.json). */
  stated?: string;
  /** `model_type` of config.json, or GGUF's general.architecture. */
  architecture?: string;
  /** The checkpoint's Jinja template. */
  chatTemplate?: string | null;
  /** Whether the vocabulary has a token of this text. */
  hasToken(text: string): boolean;
}

/**
 * The chat format a model was trained with: the template that Weir writes first; then V3.2 and V4 by their architectures, which publish no
 * template; then the template, since V2.5, V3, R1 and V3.1 share an architecture; then which marks the vocabulary has.
 */
export function chatFormatFor(hints: ModelHints): ChatFormat {
  if (hints.stated !== undefined) return chatFormatNamed(hints.stated);
  const template = hints.chatTemplate ?? "";
  const architecture = (hints.architecture ?? "").toLowerCase().replaceAll(/[^a-z0-9]/g, "");
  // Weir trains every architecture with R1's format.
  if (template === r1Format.jinja) return r1Format;
  if (/^deepseek(v)?4/.test(architecture)) return v4Format;
  if (/^deepseek(v)?32/.test(architecture)) return v32Format;
  if (template.includes("｜DSML｜")) return template.includes("tool_calls>") ? v4Format : v32Format;
  if (template.includes("### Instruction:")) return coderFormat;
  if (template.includes("<｜Assistant｜>")) {
    if (!template.includes("</think>")) return v3Format;
    // R1's prompt opens thinking with a newline; V3.1's templates switch by a variable.
    if (/<think>\\n|<think>\n/.test(template)) return r1Format;
    return v31Format;
  }
  if (template.includes("Assistant:")) return v2Format;
  if (hints.hasToken("<｜Assistant｜>")) {
    if (hints.hasToken("｜DSML｜")) return v4Format;
    return hints.hasToken("<think>") ? r1Format : v3Format;
  }
  // Coder's vocabulary marks the end of a turn with a token of its own.
  if (hints.hasToken("<|EOT|>")) return coderFormat;
  return v2Format;
}
