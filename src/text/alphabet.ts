// GPT-2's printable alphabet for bytes, in which byte-level vocabularies are written: printable Latin-1 characters stand
// for themselves, the other bytes for U+0100 onwards in order.

export const BYTE_TO_CHAR: string[] = [];
const bytes = new Int16Array(0x200).fill(-1);
let extra = 0x100;
for (let byte = 0; byte < 256; byte++) {
  const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  const unit = printable ? byte : extra++;
  BYTE_TO_CHAR.push(String.fromCharCode(unit));
  bytes[unit] = byte;
}

/** The byte that a character of the alphabet (its UTF-16 unit) stands for, or -1 for one outside it. */
export function charByte(unit: number): number {
  return unit < 0x200 ? bytes[unit] : -1;
}
