// Byte-level byte-pair encoding of ordinary text: pieces from the pre-tokenizer, their bytes merged by rank, with a
// bounded cache of pieces seen. It works on UTF-16 units and typed arrays and allocates nothing per piece.

import { CharacterStarts } from "./characters.ts";
import { Merger, type PairTable } from "./pairs.ts";
import { LONGEST_PIECE, PieceCache } from "./piece-cache.ts";
import type { PreTokenizer } from "./pretokenize.ts";
import type { TokenBytes } from "./token-bytes.ts";
import type { IdSink, OrdinaryEncoder } from "./tokenizer.ts";

export interface BytePairModel {
  pairs: PairTable;
  /** The token of each byte, -1 where the vocabulary has none (then `unk`, or nothing, stands for it). */
  byteIds: Int32Array;
  bytes: TokenBytes;
  unk?: number;
  /** Pieces that are tokens as they stand skip the merging (Llama 3's `ignore_merges`): UTF-8 bytes as Latin-1 → id. */
  whole?: Map<string, number>;
}

export class BytePairEncoder implements OrdinaryEncoder {
  private readonly model: BytePairModel;
  private readonly pre: PreTokenizer;
  private readonly merger: Merger;
  private readonly cache = new PieceCache();
  private readonly chars: CharacterStarts;
  private symbols = new Int32Array(512);

  constructor(model: BytePairModel, pre: PreTokenizer) {
    this.model = model;
    this.pre = pre;
    this.merger = new Merger(model.pairs);
    this.chars = new CharacterStarts(model);
  }

  encode(text: string, sink: IdSink): void {
    if (this.pre.prefixSpace && !text.startsWith(" ")) text = ` ${text}`;
    const { scan } = this.pre;
    if (scan) {
      const end = text.length;
      for (let i = 0; i < end; ) {
        const stop = scan(text, i, end);
        this.piece(text, i, stop, sink);
        i = stop;
      }
      return;
    }
    const pieces = this.pre.split(text, [0, text.length]);
    for (let p = 0; p < pieces.length; p += 2) this.piece(text, pieces[p], pieces[p + 1], sink);
  }

  private piece(text: string, start: number, end: number, sink: IdSink): void {
    const cached = end - start <= LONGEST_PIECE;
    if (cached && this.cache.lookup(text, start, end, sink)) return;
    const count = this.mergePiece(text, start, end);
    const { symbols } = this;
    if (sink.count + count > sink.ids.length) sink.reserve(count);
    for (let i = 0; i < count; i++) sink.ids[sink.count++] = symbols[i];
    if (cached) this.cache.store(symbols, count);
  }

  /** Fills `symbols` with the ids of one piece and returns how many they are. */
  private mergePiece(text: string, start: number, end: number): number {
    const { whole } = this.model;
    if (whole !== undefined) {
      const id = whole.get(latin1(new TextEncoder().encode(text.slice(start, end))));
      if (id !== undefined) {
        this.symbols[0] = id;
        return 1;
      }
    }
    // A character has at most four bytes in two units, three in one.
    if (this.symbols.length < (end - start) * 3) this.symbols = new Int32Array((end - start) * 6);
    const { symbols, chars, merger } = this;
    let count = 0;
    /** Where the part since the last cut begins. */
    let part = 0;
    let previous = -1;
    for (let i = start; i < end; i++) {
      let point = text.charCodeAt(i);
      if (point >= 0xd800 && point <= 0xdfff) {
        const low = i + 1 < end ? text.charCodeAt(i + 1) : 0;
        if (point <= 0xdbff && low >= 0xdc00 && low <= 0xdfff) {
          point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
          i++;
        } else point = 0xfffd; // as TextEncoder does with a lone surrogate
      }
      if (previous >= 0 && chars.separates(previous, point)) {
        if (count - part > 1) count = merger.merge(symbols, part, count);
        part = count;
      }
      count = chars.append(point, symbols, count);
      previous = point;
    }
    return merger.merge(symbols, part, count);
  }
}

/** Bytes as a string of as many characters, for use as a map's key. */
export function latin1(bytes: Uint8Array): string {
  let out = "";
  for (const byte of bytes) out += String.fromCharCode(byte);
  return out;
}
