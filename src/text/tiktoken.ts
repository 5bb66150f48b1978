// Reads tiktoken rank files ("base64 rank" lines). They hold no merges, pattern or special tokens: the merges follow from
// the ranks, the others are given by the caller.

import type { AddedToken } from "./added.ts";
import { bytesToAlphabet } from "./alphabet.ts";
import { byteLevelTokenizer, endOfTurnIds, MAX_TOKENS } from "./byte-level.ts";
import { TextError } from "./errors.ts";
import { Merger, PairTable } from "./pairs.ts";
import { PATTERNS, type PatternName } from "./patterns.ts";
import { preTokenizer } from "./pretokenize.ts";
import type { VocabularyTokenizer } from "./tokenizer.ts";

export interface TiktokenOptions {
  pattern: PatternName;
  /** Special tokens by id; texts that stand in the rank file too are special nevertheless. */
  specials?: readonly { id: number; content: string }[];
  bos?: number;
  eos?: number;
  pad?: number;
}

/** The tokens of a rank file: bytes by rank. */
export function readRanks(text: string): (Uint8Array | undefined)[] {
  const tokens: (Uint8Array | undefined)[] = [];
  let line = 0;
  for (const entry of text.split("\n")) {
    line++;
    if (entry.trim() === "") continue;
    const found = /^([A-Za-z0-9+/]+={0,2}) (\d{1,8})\r?$/.exec(entry);
    const rank = found ? Number(found[2]) : Number.NaN;
    if (!found || rank >= MAX_TOKENS) {
      throw new TextError(`tiktoken file, line ${line}: ${JSON.stringify(entry.slice(0, 60))} is not "base64 rank"`);
    }
    if (tokens[rank] !== undefined) throw new TextError(`tiktoken file, line ${line}: rank ${rank} is there twice`);
    while (tokens.length < rank) tokens.push(undefined);
    tokens[rank] = Uint8Array.from(atob(found[1]), (char) => char.charCodeAt(0));
  }
  if (tokens.length === 0) throw new TextError("tiktoken file: it holds no token");
  return tokens;
}

/**
 * Recovers the merges: token by token in the order of rank, a token's bytes are merged with what has been found so far;
 * the two parts that are left are its merge. Tokens that do not come down to two parts are never produced by merging.
 */
export function recoverMerges(tokens: readonly (Uint8Array | undefined)[]): PairTable {
  const pairs = new PairTable(tokens.length);
  const merger = new Merger(pairs);
  const byteIds = new Int32Array(256).fill(-1);
  tokens.forEach((bytes, id) => {
    if (bytes?.length === 1) byteIds[bytes[0]] = id;
  });
  const symbols = new Int32Array(tokens.reduce((longest, bytes) => Math.max(longest, bytes?.length ?? 0), 0));
  let rank = 0;
  tokens.forEach((bytes, id) => {
    if (bytes === undefined || bytes.length < 2) return;
    for (let i = 0; i < bytes.length; i++) symbols[i] = byteIds[bytes[i]];
    if (merger.merge(symbols, bytes.length) === 2) pairs.add(symbols[0], symbols[1], rank++, id);
  });
  return pairs;
}

/** The tokenizer of a rank file's text. @throws TextError naming the line at fault. */
export function tokenizerFromTiktoken(text: string, options: TiktokenOptions): VocabularyTokenizer {
  const ranks = readRanks(text);
  const added: AddedToken[] = (options.specials ?? []).map(({ id, content }) => ({ id, content, control: true }));
  const byContent = new Map(added.map((token) => [token.content, token.id]));
  const bos = options.bos ?? byContent.get("<｜begin▁of▁sentence｜>");
  const eos = options.eos ?? byContent.get("<｜end▁of▁sentence｜>");
  return byteLevelTokenizer({
    tokens: ranks.map((bytes) => bytes && bytesToAlphabet(bytes)),
    merges: recoverMerges(ranks),
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
    source: "tiktoken file",
  });
}
