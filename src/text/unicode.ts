// Character classes of Unicode code points for the hand-written pre-tokenizer scanners, each computed once from the
// engine's own Unicode tables and then read from an array. Splitting itself is in scanners.ts.

export const L = 1; // \p{L}
export const M = 2; // \p{M}
export const N = 4; // \p{N}
export const P = 8; // \p{P}
export const S = 16; // \p{S}
export const WS = 32; // \p{White_Space}: what \s means in the published patterns
export const OTHER = 64; // none of the above: controls, format characters, unassigned, lone surrogates
export const CJK = 128; // DeepSeek-V3's class [一-龥぀-ゟ゠-ヿ]; these characters carry their general class as well
/** Set when the character takes two UTF-16 units, so that `1 + (class >> 8)` is its width. */
export const WIDE = 256;

const TESTS: [RegExp, number][] = [
  [/\p{L}/u, L],
  [/\p{M}/u, M],
  [/\p{N}/u, N],
  [/\p{P}/u, P],
  [/\p{S}/u, S],
  [/\p{White_Space}/u, WS],
];

const bmp = new Uint8Array(0x10000);
let astral: Uint8Array | undefined;

function compute(codePoint: number): number {
  const char = String.fromCodePoint(codePoint);
  let bits = 0;
  for (const [test, bit] of TESTS) if (test.test(char)) bits |= bit;
  if (bits === 0) bits = OTHER;
  if ((codePoint >= 0x4e00 && codePoint <= 0x9fa5) || (codePoint >= 0x3040 && codePoint <= 0x30ff)) bits |= CJK;
  return bits;
}

function slowClass(text: string, i: number, unit: number): number {
  if (unit >= 0xd800 && unit <= 0xdbff && i + 1 < text.length) {
    const low = text.charCodeAt(i + 1);
    if (low >= 0xdc00 && low <= 0xdfff) {
      const index = ((unit - 0xd800) << 10) | (low - 0xdc00);
      astral ??= new Uint8Array(0x100000);
      return (astral[index] ||= compute(index + 0x10000)) | WIDE;
    }
  }
  if (unit >= 0xd800 && unit <= 0xdfff) return OTHER;
  return (bmp[unit] = compute(unit));
}

/** The class bits of the character that starts at UTF-16 index `i` (which must be inside the text). */
export function classAt(text: string, i: number): number {
  const unit = text.charCodeAt(i);
  const known = bmp[unit];
  return known !== 0 ? known : slowClass(text, i, unit);
}
