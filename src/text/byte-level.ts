// Builds a byte-level tokenizer from the parts that every file format can give: tokens in GPT-2's alphabet, merges as
// pairs, added tokens. The formats themselves are read in huggingface.ts, gguf.ts and tiktoken.ts.

import type { AddedToken } from "./added.ts";
import { alphabetToBytes, BYTE_TO_CHAR } from "./alphabet.ts";
import { BytePairEncoder, latin1 } from "./bpe.ts";
import { TextError } from "./errors.ts";
import { PairTable } from "./pairs.ts";
import type { PreTokenizer } from "./pretokenize.ts";
import { type SpecialIds, VocabularyTokenizer } from "./tokenizer.ts";

/** No vocabulary in use has more than a few hundred thousand tokens; more is a damaged or hostile file. */
export const MAX_TOKENS = 1 << 22;

export interface ByteLevelParts {
  /** Token by id in GPT-2's alphabet; added tokens may be among them and are taken literally. */
  tokens: (string | undefined)[];
  /** Merges, best first: "left right" or [left, right]; or a table made elsewhere. */
  merges: readonly (string | readonly string[])[] | PairTable;
  added: AddedToken[];
  special: SpecialIds;
  pre: PreTokenizer;
  unk?: number;
  /** Pieces that are tokens as a whole are not merged (Llama 3). */
  ignoreMerges?: boolean;
  normalize?: (text: string) => string;
  /** How errors call the source. */
  source: string;
}

/** The tokenizer of a byte-level vocabulary. @throws TextError when merges and tokens do not fit together. */
export function byteLevelTokenizer(parts: ByteLevelParts): VocabularyTokenizer {
  const { tokens, source } = parts;
  const addedIds = new Set(parts.added.map((token) => token.id));
  const ids = new Map<string, number>();
  tokens.forEach((token, id) => {
    if (token !== undefined && !addedIds.has(id) && !ids.has(token)) ids.set(token, id);
  });
  const pairs = parts.merges instanceof PairTable ? parts.merges : readMerges(parts.merges, ids, source);
  const byteIds = new Int32Array(256);
  for (let byte = 0; byte < 256; byte++) byteIds[byte] = ids.get(BYTE_TO_CHAR[byte]) ?? -1;
  let whole: Map<string, number> | undefined;
  if (parts.ignoreMerges) {
    whole = new Map();
    for (const [token, id] of ids) {
      const bytes = alphabetToBytes(token);
      if (bytes) whole.set(latin1(bytes), id);
    }
  }
  return new VocabularyTokenizer({
    tokens,
    // A token outside the alphabet can only be there as literal text.
    bytes: (id) => alphabetToBytes(tokens[id] ?? "") ?? new TextEncoder().encode(tokens[id]),
    added: parts.added,
    special: parts.special,
    encoder: new BytePairEncoder({ pairs, byteIds, unk: parts.unk, whole }, parts.pre),
    normalize: parts.normalize,
  });
}

function readMerges(
  merges: readonly (string | readonly string[])[],
  ids: Map<string, number>,
  source: string,
): PairTable {
  const table = new PairTable(merges.length);
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
    table.add(leftId, rightId, rank, merged);
  });
  return table;
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
