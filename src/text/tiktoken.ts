// Reads tiktoken rank files ("base64 rank" lines). They hold no merges, pattern or special tokens: the merges follow from
// the ranks, the others are given by the caller.

import type { AddedToken } from "./added.ts";
import { byteLevelTokenizer, endOfTurnIds, MAX_TOKENS } from "./byte-level.ts";
import { TextError } from "./errors.ts";
import { Merger, PairTable } from "./pairs.ts";
import { PATTERNS, type PatternName } from "./patterns.ts";
import { preTokenizer } from "./pretokenize.ts";
import { TokenBytes } from "./token-bytes.ts";
import type { VocabularyTokenizer } from "./tokenizer.ts";

export interface TiktokenOptions {
  pattern: PatternName;
  /** Special tokens by id; texts that stand in the rank file too are special nevertheless. */
  specials?: readonly { id: number; content: string }[];
  bos?: number;
  eos?: number;
  pad?: number;
}

const BASE64 = new Int8Array(256).fill(-1);
[..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"].forEach((char, value) => {
  BASE64[char.charCodeAt(0)] = value;
});

/** The tokens of a rank file by rank. @throws TextError naming the line at fault. */
export function readRanks(file: Uint8Array): TokenBytes {
  let top = -1;
  let line = 0;
  const fail = (at: number): never => {
    const text = new TextDecoder().decode(file.subarray(at, at + 60)).split("\n")[0];
    throw new TextError(`tiktoken file, line ${line}: ${JSON.stringify(text)} is not "base64 rank"`);
  };
  /** Where each rank's line starts, by rank. */
  const byRank: number[] = [];
  for (let at = 0; at < file.length; ) {
    line++;
    const start = at;
    let space = -1;
    let rank = 0;
    let digits = 0;
    for (; at < file.length && file[at] !== 10; at++) {
      const byte = file[at];
      if (space >= 0) {
        if (byte === 13 && (at + 1 === file.length || file[at + 1] === 10)) continue;
        if (byte < 48 || byte > 57 || ++digits > 8) fail(start);
        rank = rank * 10 + byte - 48;
      } else if (byte === 32) space = at;
      else if (BASE64[byte] < 0 && byte !== 61) fail(start);
    }
    const empty = at === start || (at === start + 1 && file[start] === 13);
    at++;
    if (empty) continue;
    if (space <= start || digits === 0 || rank >= MAX_TOKENS) fail(start);
    while (byRank.length <= rank) byRank.push(-1);
    if (byRank[rank] >= 0) throw new TextError(`tiktoken file, line ${line}: rank ${rank} is there twice`);
    byRank[rank] = start;
    top = Math.max(top, rank);
  }
  if (top < 0) throw new TextError("tiktoken file: it holds no token");
  const data = new Uint8Array(file.length);
  const offsets = new Int32Array(top + 2);
  let out = 0;
  for (let rank = 0; rank <= top; rank++) {
    offsets[rank] = out;
    if (byRank[rank] < 0) continue;
    let bits = 0;
    let held = 0;
    for (let at = byRank[rank]; file[at] !== 32 && file[at] !== 61; at++) {
      bits = ((bits << 6) | BASE64[file[at]]) & 0xffffff;
      held += 6;
      if (held >= 8) {
        held -= 8;
        data[out++] = (bits >> held) & 255;
      }
    }
  }
  offsets[top + 1] = out;
  return new TokenBytes(data.slice(0, out), offsets);
}

/**
 * Recovers the merges: token by token in the order of rank, a token's bytes are merged with what has been found so far;
 * the two parts that are left are its merge. Tokens that do not come down to two parts are never produced by merging.
 */
export function recoverMerges(tokens: TokenBytes): PairTable {
  const { data, offsets, count } = tokens;
  const pairs = new PairTable(count);
  const merger = new Merger(pairs);
  const byteIds = new Int32Array(256).fill(-1);
  let longest = 2;
  for (let id = count - 1; id >= 0; id--) {
    longest = Math.max(longest, tokens.length(id));
    if (tokens.length(id) === 1) byteIds[data[offsets[id]]] = id;
  }
  const symbols = new Int32Array(longest);
  let rank = 0;
  for (let id = 0; id < count; id++) {
    const length = tokens.length(id);
    if (length < 2) continue;
    for (let i = 0; i < length; i++) symbols[i] = byteIds[data[offsets[id] + i]];
    if (merger.merge(symbols, 0, length) === 2) pairs.add(symbols[0], symbols[1], rank++, id);
  }
  return pairs;
}

/** The tokenizer of a rank file. @throws TextError naming the line at fault. */
export function tokenizerFromTiktoken(file: Uint8Array, options: TiktokenOptions): VocabularyTokenizer {
  const bytes = readRanks(file);
  const added: AddedToken[] = (options.specials ?? []).map(({ id, content }) => ({ id, content, control: true }));
  const byContent = new Map(added.map((token) => [token.content, token.id]));
  const bos = options.bos ?? byContent.get("<｜begin▁of▁sentence｜>");
  const eos = options.eos ?? byContent.get("<｜end▁of▁sentence｜>");
  return byteLevelTokenizer({
    bytes,
    spelling: (id) => (bytes.length(id) > 0 ? bytes.spelling(id) : undefined),
    pairs: recoverMerges(bytes),
    added,
    special: {
      bos,
      eos,
      pad: options.pad ?? byContent.get("<｜▁pad▁｜>"),
      eot: endOfTurnIds(eos, [], added),
      addBos: bos !== undefined,
      addEos: false,
    },
    pre: preTokenizer(PATTERNS[options.pattern]),
  });
}
