// Builds a byte-level tokenizer from the parts that every file format can give: tokens, merges, added tokens. The formats themselves are read in huggingface.ts, gguf.ts and tiktoken.ts.

import type { AddedToken } from "./added.ts";
import { BytePairEncoder, latin1 } from "./bpe.ts";
import { TextError } from "./errors.ts";
import { PairTable } from "./pairs.ts";
import type { PreTokenizer } from "./pretokenize.ts";
import { TokenBytes } from "./token-bytes.ts";
import { type SpecialIds, VocabularyTokenizer } from "./tokenizer.ts";

/** No vocabulary in use has more than a few hundred thousand tokens; more is a damaged or hostile file. */
export const MAX_TOKENS = 1 << 22;

export interface ByteLevelParts {
  bytes: TokenBytes;
  /** How the vocabulary spells a token; ids without one are undefined. */
  spelling(id: number): string | undefined;
  pairs: PairTable;
  /** Token ids by their bytes as Latin-1, set when pieces that are whole tokens are not merged (Llama 3). */
  whole?: Map<string, number>;
  added: AddedToken[];
  special: SpecialIds;
  pre: PreTokenizer;
  unk?: number;
  normalize?: (text: string) => string;
}

/** The tokenizer of a byte-level vocabulary. */
export function byteLevelTokenizer(parts: ByteLevelParts): VocabularyTokenizer {
  const { bytes, pairs, unk, whole } = parts;
  const addedIds = new Set(parts.added.map((token) => token.id));
  const byteIds = new Int32Array(256).fill(-1);
  for (let id = bytes.count - 1; id >= 0; id--) {
    if (bytes.length(id) === 1 && !addedIds.has(id)) byteIds[bytes.data[bytes.offsets[id]]] = id;
  }
  return new VocabularyTokenizer({
    count: bytes.count,
    spelling: parts.spelling,
    bytes: (id) => bytes.of(id),
    added: parts.added,
    special: parts.special,
    encoder: new BytePairEncoder({ pairs, byteIds, bytes, unk, whole }, parts.pre),
    normalize: parts.normalize,
  });
}

/** A vocabulary written in GPT-2's alphabet, as tokenizer.json and GGUF files have it. */
export interface SpelledVocabulary {
  /** Token by id; added tokens may be among them and are taken literally. */
  tokens: (string | undefined)[];
  /** Best first: "left right" or [left, right]. */
  merges: readonly unknown[];
  added: readonly AddedToken[];
  /** Whether pieces that are tokens as they stand skip the merging. */
  ignoreMerges: boolean;
  /** How errors call the source. */
  source: string;
}

/** The parts that follow from tokens and merges. @throws TextError when they do not fit together. */
export function readSpelled(
  vocabulary: SpelledVocabulary,
): Pick<ByteLevelParts, "bytes" | "spelling" | "pairs" | "whole"> {
  const { tokens, merges, source } = vocabulary;
  const addedIds = new Set(vocabulary.added.map((token) => token.id));
  const bytes = TokenBytes.fromAlphabet(tokens);
  const ids = new Map<string, number>();
  for (let id = 0; id < tokens.length; id++) {
    const token = tokens[id];
    if (token !== undefined && !addedIds.has(id) && !ids.has(token)) ids.set(token, id);
  }
  const pairs = new PairTable(merges.length);
  merges.forEach((merge, rank) => {
    let left: unknown;
    let right: unknown;
    if (typeof merge === "string") {
      const space = merge.indexOf(" ", 1);
      left = merge.slice(0, space);
      right = merge.slice(space + 1);
    } else if (Array.isArray(merge)) [left, right] = merge;
    const leftId = ids.get(left as string);
    const rightId = ids.get(right as string);
    const merged = ids.get(`${left}${right}`);
    if (leftId === undefined || rightId === undefined || merged === undefined) {
      throw new TextError(
        `${source}: merge ${rank} is ${JSON.stringify(merge)}, which names tokens the vocabulary lacks`,
      );
    }
    pairs.add(leftId, rightId, rank, merged);
  });
  let whole: Map<string, number> | undefined;
  if (vocabulary.ignoreMerges) {
    whole = new Map();
    for (const id of ids.values()) whole.set(latin1(bytes.of(id)), id);
  }
  return { bytes, spelling: (id) => tokens[id], pairs, whole };
}

/** Ends of turns that chat models of several families know under these names. */
const END_OF_TURN = ["<|EOT|>", "<|eot_id|>", "<|eom_id|>", "<|im_end|>", "<|end_of_text|>", "<|endoftext|>"];

/** The ids that end a turn: `eos`, then what the files name, then well-known marks among the control tokens. */
export function endOfTurnIds(
  eos: number | undefined,
  named: readonly number[],
  added: readonly AddedToken[],
): number[] {
  const ids = new Set<number>();
  if (eos !== undefined) ids.add(eos);
  for (const id of named) ids.add(id);
  for (const token of added) if (token.control && END_OF_TURN.includes(token.content)) ids.add(token.id);
  return [...ids];
}
