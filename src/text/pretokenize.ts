// Splits text into the pieces that byte-pair merging never crosses: by a hand-written scanner where the pre-tokenizer is
// one of the published ones, by its regular expressions in sequence otherwise.

import { TextError } from "./errors.ts";
import { compilePattern, PATTERNS, type PatternName } from "./patterns.ts";
import { deepseekV3Scanner, gpt2Scanner, llama3Scanner, type Scanner } from "./scanners.ts";

/** Pieces as [start, end) pairs of UTF-16 indices, in order. */
export type Pieces = number[];

/** Splits the given pieces of `text` further. */
export type Split = (text: string, pieces: Pieces) => Pieces;

export interface PreTokenizer {
  /** Set where one function gives the pieces one by one; they then cover the text without gaps. */
  scan?: Scanner;
  split: Split;
  /** Whether a space goes before a text that has none (ByteLevel's `add_prefix_space`). */
  prefixSpace: boolean;
}

export type Behavior = "Isolated" | "Removed" | "MergedWithPrevious" | "MergedWithNext" | "Contiguous";

/** One `Split` of tokenizer.json: what becomes of the matches of a pattern; `invert` swaps matches and gaps. */
function splitBy(pattern: RegExp, behavior: Behavior, invert = false): Split {
  return (text, pieces) => {
    const out: Pieces = [];
    for (let p = 0; p < pieces.length; p += 2) {
      const start = pieces[p];
      splitPiece(text.slice(start, pieces[p + 1]), start, pattern, behavior, invert, out);
    }
    return out;
  };
}

function splitPiece(piece: string, base: number, pattern: RegExp, behavior: Behavior, invert: boolean, out: Pieces) {
  // Ranges of matches and gaps alternate as [start, end, isMatch] in one flat list.
  const ranges: [number, number, boolean][] = [];
  let at = 0;
  pattern.lastIndex = 0;
  for (let match = pattern.exec(piece); match !== null; match = pattern.exec(piece)) {
    if (match[0].length === 0) {
      pattern.lastIndex += (piece.codePointAt(pattern.lastIndex) ?? 0) > 0xffff ? 2 : 1;
      continue;
    }
    if (match.index > at) ranges.push([at, match.index, invert]);
    at = match.index + match[0].length;
    ranges.push([match.index, at, !invert]);
  }
  if (at < piece.length) ranges.push([at, piece.length, invert]);

  let previous: boolean | undefined;
  const grow = (end: number) => {
    out[out.length - 1] = base + end;
  };
  for (let r = 0; r < ranges.length; r++) {
    const [start, end, isMatch] = ranges[r];
    if (behavior === "Removed") {
      if (!isMatch) out.push(base + start, base + end);
    } else if (behavior === "Contiguous" && previous === isMatch) grow(end);
    else if (behavior === "MergedWithPrevious" && isMatch && previous === false) grow(end);
    else if (behavior === "MergedWithNext" && isMatch && ranges[r + 1]?.[2] === false) {
      out.push(base + start, base + ranges[++r][1]);
      previous = false;
      continue;
    } else out.push(base + start, base + end);
    previous = isMatch;
  }
}

function sequence(splits: Split[]): Split {
  return (text, pieces) => splits.reduce((current, split) => split(text, current), pieces);
}

/** The scanners by the splits they stand for; the key is the list of compiled patterns, so equal spellings meet. */
const SCANNERS: Record<string, Scanner> = {};
function scannerKey(patterns: RegExp[]): string {
  return JSON.stringify(patterns.map((pattern) => pattern.source.replaceAll(/\\u([0-9A-F]{4})/g, unescape16)));
}
const unescape16 = (_: string, hex: string) => String.fromCharCode(Number.parseInt(hex, 16));
const SCANNED: [PatternName, Scanner][] = [
  ["deepseek-v3", deepseekV3Scanner(3)],
  ["deepseek-v3-digits", deepseekV3Scanner(1)],
  ["llama-bpe", llama3Scanner(3)],
  ["qwen2", llama3Scanner(1)],
  ["gpt-2", gpt2Scanner],
];
for (const [name, scan] of SCANNED) SCANNERS[scannerKey(PATTERNS[name].map(compilePattern))] = scan;

/** The pre-tokenizer that isolates the matches of each pattern in turn; `scanner: false` keeps to the expressions. */
export function preTokenizer(
  patterns: string[],
  options: { scanner?: boolean; prefixSpace?: boolean } = {},
): PreTokenizer {
  const compiled = patterns.map(compilePattern);
  return {
    scan: options.scanner === false ? undefined : SCANNERS[scannerKey(compiled)],
    split: sequence(compiled.map((pattern) => splitBy(pattern, "Isolated"))),
    prefixSpace: options.prefixSpace ?? false,
  };
}

interface Description {
  type?: unknown;
  pretokenizers?: unknown;
  pattern?: unknown;
  behavior?: unknown;
  invert?: unknown;
  individual_digits?: unknown;
  use_regex?: unknown;
  add_prefix_space?: unknown;
}

/** Reads the `pre_tokenizer` of a tokenizer.json: Sequence, Split, Digits, ByteLevel, Punctuation. */
export function preTokenizerFromJson(description: unknown): PreTokenizer {
  const steps: { pattern: string; behavior: Behavior; invert: boolean }[] = [];
  let prefixSpace = false;
  const read = (value: unknown) => {
    const step = value as Description;
    if (step === null || typeof step !== "object") {
      throw new TextError(`tokenizer.json: a pre_tokenizer is ${JSON.stringify(value)}, an object was expected`);
    }
    switch (step.type) {
      case "Sequence":
        if (!Array.isArray(step.pretokenizers)) throw new TextError("tokenizer.json: a Sequence without pretokenizers");
        step.pretokenizers.forEach(read);
        return;
      case "Split":
        steps.push(readSplit(step));
        return;
      case "Digits":
        steps.push({
          pattern: step.individual_digits === true ? "\\p{N}" : "\\p{N}+",
          behavior: "Isolated",
          invert: false,
        });
        return;
      case "Punctuation":
        steps.push({
          pattern: "[!-/:-@\\[-`{-~]|\\p{P}",
          behavior: readBehavior(step.behavior ?? "Isolated"),
          invert: false,
        });
        return;
      case "ByteLevel":
        if (step.add_prefix_space === true) {
          if (steps.length > 0) {
            throw new TextError("tokenizer.json: ByteLevel with add_prefix_space after another split is not supported");
          }
          prefixSpace = true;
        }
        if (step.use_regex !== false)
          steps.push({ pattern: PATTERNS["gpt-2"][0], behavior: "Isolated", invert: false });
        return;
      default:
        throw new TextError(
          `tokenizer.json: pre_tokenizer type ${JSON.stringify(step.type)} is not supported; Sequence, Split, Digits, Punctuation and ByteLevel are`,
        );
    }
  };
  if (description !== null && description !== undefined) read(description);
  const plain = steps.every((step) => step.behavior === "Isolated" && !step.invert);
  if (plain && steps.length > 0)
    return preTokenizer(
      steps.map((step) => step.pattern),
      { prefixSpace },
    );
  return {
    split: sequence(steps.map((step) => splitBy(compilePattern(step.pattern), step.behavior, step.invert))),
    prefixSpace,
  };
}

function readSplit(step: Description) {
  const pattern = step.pattern as { Regex?: unknown; String?: unknown } | null;
  let source: string;
  if (typeof pattern?.Regex === "string") source = pattern.Regex;
  else if (typeof pattern?.String === "string") source = pattern.String.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&");
  else
    throw new TextError(
      `tokenizer.json: a Split's pattern is ${JSON.stringify(pattern)}, {Regex} or {String} was expected`,
    );
  return { pattern: source, behavior: readBehavior(step.behavior), invert: step.invert === true };
}

function readBehavior(value: unknown): Behavior {
  const known: Behavior[] = ["Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"];
  const found = known.find((name) => name.toLowerCase() === String(value).toLowerCase());
  if (found) return found;
  throw new TextError(`tokenizer.json: a Split's behavior is ${JSON.stringify(value)}; known are ${known.join(", ")}`);
}
