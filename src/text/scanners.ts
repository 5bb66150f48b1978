// Hand-written scanners for the pre-tokenizers whose regular expressions pretokenize.ts lists. A scanner returns where
// the piece that starts at `i` ends; it gives exactly what the regular expressions give (a test holds it to that), about
// ten times as fast. Everything else is split by the regular expressions themselves.

import { CJK, classAt, L, M, N, OTHER, P, S, WS } from "./unicode.ts";

/** The end of the piece that starts at `i`; `end` is where the text to split stops, always greater than `i`. */
export type Scanner = (text: string, i: number, end: number) => number;

/** What DeepSeek-V3's first two splits look for. */
const CUT = N | CJK;

const width = (cls: number): number => 1 + (cls >> 8);

function isAsciiLetter(unit: number): boolean {
  const lower = unit | 32;
  return lower >= 97 && lower <= 122;
}

/** Every ASCII punctuation mark and symbol. */
function isAsciiPunctuation(unit: number): boolean {
  return (
    (unit >= 33 && unit <= 47) ||
    (unit >= 58 && unit <= 64) ||
    (unit >= 91 && unit <= 96) ||
    (unit >= 123 && unit <= 126)
  );
}

function isNewline(unit: number): boolean {
  return unit === 10 || unit === 13;
}

function skipNewlines(text: string, i: number, end: number): number {
  while (i < end && isNewline(text.charCodeAt(i))) i++;
  return i;
}

/** Skips characters with any bit of `wanted`. */
function skipClass(text: string, i: number, end: number, wanted: number): number {
  while (i < end) {
    const cls = classAt(text, i);
    if ((cls & wanted) === 0) break;
    i += width(cls);
  }
  return i;
}

/** The same for characters on one side of the V3 cuts: those whose CJK and N bits are exactly `side`. */
function skipSide(text: string, i: number, end: number, wanted: number, side: number): number {
  while (i < end) {
    const cls = classAt(text, i);
    if ((cls & wanted) === 0 || (cls & CUT) !== side) break;
    i += width(cls);
  }
  return i;
}

/** At most `limit` numbers from `i` on. */
function skipNumbers(text: string, i: number, end: number, limit: number): number {
  for (let count = 0; count < limit && i < end; count++) {
    const cls = classAt(text, i);
    if ((cls & N) === 0) break;
    i += width(cls);
  }
  return i;
}

/**
 * The three last alternatives that the patterns share: `\s*[\r\n]+ | \s+(?!\S) | \s+`, for a whitespace character at `i`.
 * `barred` are the classes that ended the text before this split looked at it.
 */
function scanSpace(text: string, i: number, end: number, barred: number): number {
  let j = i;
  let lastNewline = -1;
  while (j < end) {
    const unit = text.charCodeAt(j);
    if ((classAt(text, j) & WS) === 0) break;
    if (isNewline(unit)) lastNewline = j;
    j++; // all white space is in the basic plane
  }
  if (lastNewline >= 0) return lastNewline + 1;
  if (j === end || (classAt(text, j) & barred) !== 0) return j;
  return j - i > 1 ? j - 1 : j;
}

/**
 * DeepSeek-V3: `\p{N}{1,3}`, then `[一-龥぀-ゟ゠-ヿ]+`, then one alternation, each splitting the pieces that the one before left.
 * To the alternation a run of CJK characters and what stands between such runs and numbers are texts of their own.
 * `digits` is how many numbers make one piece at most.
 */
export function deepseekV3Scanner(digits: number): Scanner {
  return (text, i, end) => {
    const cls = classAt(text, i);
    if ((cls & N) !== 0) return skipNumbers(text, i, end, digits);
    const side = cls & CUT;
    const unit = text.charCodeAt(i);
    const next = i + width(cls);
    // The next character's class as the alternation sees it: 0 at the end of its text.
    let nextClass = next < end ? classAt(text, next) : 0;
    if ((nextClass & CUT) !== side) nextClass = 0;
    if (nextClass !== 0 && isAsciiPunctuation(unit) && isAsciiLetter(text.charCodeAt(next))) {
      let j = next + 1;
      while (j < end && isAsciiLetter(text.charCodeAt(j))) j++;
      return j;
    }
    if ((cls & (L | M)) !== 0) return skipSide(text, next, end, L | M, side);
    if ((cls & (WS | OTHER)) !== 0 && !isNewline(unit) && (nextClass & (L | M)) !== 0) {
      return skipSide(text, next, end, L | M, side);
    }
    if ((cls & (P | S)) !== 0 || (unit === 32 && (nextClass & (P | S)) !== 0)) {
      const stop = skipSide(text, next, end, P | S, side);
      return side === 0 ? skipNewlines(text, stop, end) : stop;
    }
    if ((cls & WS) !== 0) return scanSpace(text, i, end, CUT);
    // Unmatched characters up to the next match are one piece.
    let j = next;
    while (j < end) {
      const here = classAt(text, j);
      if ((here & OTHER) === 0 || (here & CUT) !== side) break;
      const after = j + width(here);
      const afterClass = after < end ? classAt(text, after) : 0;
      if ((afterClass & (L | M)) !== 0 && (afterClass & CUT) === side) break;
      j = after;
    }
    return j;
  };
}

/** The length of `'s 't 're 've 'm 'll 'd` after the apostrophe at `i`, or 0; without case, ſ (U+017F) is an s. */
function contraction(text: string, i: number, end: number, anyCase: boolean): number {
  if (i + 1 >= end) return 0;
  const fold = anyCase ? 32 : 0;
  const first = text.charCodeAt(i + 1);
  const a = first | fold;
  if (a === 115 || a === 116 || a === 109 || a === 100 || (anyCase && first === 0x17f)) return 2;
  if (i + 2 >= end) return 0;
  const b = text.charCodeAt(i + 2) | fold;
  return ((a === 114 || a === 118) && b === 101) || (a === 108 && b === 108) ? 3 : 0;
}

/**
 * The pattern that cl100k, Llama 3 and Qwen2 share:
 * `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,DIGITS}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`.
 */
export function llama3Scanner(digits: number): Scanner {
  return (text, i, end) => {
    const unit = text.charCodeAt(i);
    if (unit === 39) {
      const length = contraction(text, i, end, true);
      if (length > 0) return i + length;
    }
    const cls = classAt(text, i);
    if ((cls & N) !== 0) return skipNumbers(text, i, end, digits);
    const next = i + width(cls);
    if ((cls & L) !== 0) return skipClass(text, next, end, L);
    const nextClass = next < end ? classAt(text, next) : 0;
    if ((nextClass & L) !== 0 && !isNewline(unit)) return skipClass(text, next, end, L);
    const mark = M | P | S | OTHER;
    if ((cls & mark) !== 0 || (unit === 32 && (nextClass & mark) !== 0)) {
      return skipNewlines(text, skipClass(text, next, end, mark), end);
    }
    return scanSpace(text, i, end, 0);
  };
}

/** GPT-2: `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`. */
export const gpt2Scanner: Scanner = (text, i, end) => {
  const unit = text.charCodeAt(i);
  if (unit === 39) {
    const length = contraction(text, i, end, false);
    if (length > 0) return i + length;
  }
  let cls = classAt(text, i);
  let next = i + width(cls);
  if (unit === 32 && next < end) {
    const after = classAt(text, next);
    if ((after & WS) === 0) {
      cls = after;
      next += width(after);
    }
  }
  if ((cls & L) !== 0) return skipClass(text, next, end, L);
  if ((cls & N) !== 0) return skipClass(text, next, end, N);
  if ((cls & WS) === 0) return skipClass(text, next, end, M | P | S | OTHER);
  const stop = skipClass(text, i, end, WS);
  return stop < end && stop - i > 1 ? stop - 1 : stop;
};
