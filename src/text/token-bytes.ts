// The bytes of every token of a byte-level vocabulary, in one array.

import { BYTE_TO_CHAR, charByte } from "./alphabet.ts";

export class TokenBytes {
  /** All tokens' bytes one after the other. */
  readonly data: Uint8Array;
  /** Where token `id` starts; one entry more than there are tokens. An id without a token has no bytes. */
  readonly offsets: Int32Array;

  constructor(data: Uint8Array, offsets: Int32Array) {
    this.data = data;
    this.offsets = offsets;
  }

  /** Reads tokens written in GPT-2's alphabet; one with a character outside it stands for its own UTF-8. */
  static fromAlphabet(tokens: readonly (string | undefined)[]): TokenBytes {
    const offsets = new Int32Array(tokens.length + 1);
    let data = new Uint8Array(tokens.length * 8 + 64);
    let at = 0;
    tokens.forEach((token, id) => {
      offsets[id] = at;
      if (token === undefined) return;
      if (at + token.length * 4 > data.length) {
        const larger = new Uint8Array(data.length * 2 + token.length * 4);
        larger.set(data);
        data = larger;
      }
      const start = at;
      for (let i = 0; i < token.length; i++) {
        const byte = charByte(token.charCodeAt(i));
        if (byte < 0) {
          at = start + new TextEncoder().encodeInto(token, data.subarray(start)).written;
          return;
        }
        data[at++] = byte;
      }
    });
    offsets[tokens.length] = at;
    return new TokenBytes(data.subarray(0, at), offsets);
  }

  get count(): number {
    return this.offsets.length - 1;
  }

  length(id: number): number {
    return this.offsets[id + 1] - this.offsets[id];
  }

  of(id: number): Uint8Array {
    return this.data.subarray(this.offsets[id], this.offsets[id + 1]);
  }

  /** The token in GPT-2's alphabet. */
  spelling(id: number): string {
    let out = "";
    for (let at = this.offsets[id]; at < this.offsets[id + 1]; at++) out += BYTE_TO_CHAR[this.data[at]];
    return out;
  }
}
