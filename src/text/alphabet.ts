// GPT-2's printable alphabet for bytes, in which byte-level vocabularies are written: printable Latin-1 characters stand
// for themselves, the other bytes for U+0100 onwards in order.

import { TextError } from "./errors.ts";

export const BYTE_TO_CHAR: string[] = [];
const charToByte = new Map<string, number>();
let extra = 0x100;
for (let byte = 0; byte < 256; byte++) {
  const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  const char = String.fromCharCode(printable ? byte : extra++);
  BYTE_TO_CHAR.push(char);
  charToByte.set(char, byte);
}

/** Writes bytes in the alphabet. */
export function bytesToAlphabet(bytes: Uint8Array): string {
  let out = "";
  for (const byte of bytes) out += BYTE_TO_CHAR[byte];
  return out;
}

/** Reads a token written in the alphabet; undefined when a character is not of it. */
export function alphabetToBytes(token: string): Uint8Array | undefined {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const byte = charToByte.get(token[i]);
    if (byte === undefined) return undefined;
    bytes[i] = byte;
  }
  return bytes;
}

/** The byte that one character of the alphabet stands for; an error names a character outside it. */
export function byteOf(char: string): number {
  const byte = charToByte.get(char);
  if (byte === undefined)
    throw new TextError(`${JSON.stringify(char)} is not in the byte alphabet of byte-level vocabularies`);
  return byte;
}
