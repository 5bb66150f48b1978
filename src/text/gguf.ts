// Builds a tokenizer from the vocabulary keys of a GGUF file's metadata. The file itself is read elsewhere (checkpoint/).

import { type AddedToken, looksLikeMark } from "./added.ts";
import { byteLevelTokenizer, endOfTurnIds, MAX_TOKENS, readSpelled } from "./byte-level.ts";
import { TextError } from "./errors.ts";
import { PATTERNS, patternNamed } from "./patterns.ts";
import { preTokenizer } from "./pretokenize.ts";
import { sentencePieceTokenizer } from "./sentencepiece.ts";
import type { SpecialIds, VocabularyTokenizer } from "./tokenizer.ts";

/** What a GGUF file says about its tokenizer, in plain values. */
export interface GgufVocabulary {
  /** `gpt2` (byte-level BPE) or `llama` (SentencePiece). */
  model: string;
  pre?: string;
  tokens: readonly string[];
  /** 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte. */
  tokenTypes?: ArrayLike<number>;
  scores?: ArrayLike<number>;
  merges?: readonly string[];
  bosId?: number;
  eosId?: number;
  eotId?: number;
  padId?: number;
  unkId?: number;
  addBos?: boolean;
  addEos?: boolean;
  addSpacePrefix?: boolean;
}

const CONTROL = 3;
const USER_DEFINED = 4;

/** Picks the vocabulary out of a GGUF file's metadata; `get` returns the value of a key or undefined. */
export function ggufVocabulary(get: (key: string) => unknown): GgufVocabulary {
  const key = (name: string) => `tokenizer.ggml.${name}`;
  const text = (name: string): string | undefined => {
    const value = get(key(name));
    if (value === undefined || typeof value === "string") return value;
    throw new TextError(`GGUF: ${key(name)} is not text`);
  };
  const texts = (name: string): string[] | undefined => {
    const value = get(key(name));
    if (value === undefined) return undefined;
    if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
    throw new TextError(`GGUF: ${key(name)} is not a list of texts`);
  };
  const numbers = (name: string): ArrayLike<number> | undefined => {
    const value = get(key(name));
    if (value === undefined) return undefined;
    if ((Array.isArray(value) || ArrayBuffer.isView(value)) && !(value instanceof DataView)) {
      return value as unknown as ArrayLike<number>;
    }
    throw new TextError(`GGUF: ${key(name)} is not a list of numbers`);
  };
  const id = (name: string): number | undefined => {
    const value = get(key(name));
    return value === undefined ? undefined : Number(value);
  };
  const flag = (name: string): boolean | undefined => {
    const value = get(key(name));
    return value === undefined ? undefined : Boolean(value);
  };
  const model = text("model");
  const tokens = texts("tokens");
  if (model === undefined || tokens === undefined) {
    throw new TextError("GGUF: the file has no vocabulary (tokenizer.ggml.model and tokenizer.ggml.tokens are needed)");
  }
  return {
    model,
    pre: text("pre"),
    tokens,
    tokenTypes: numbers("token_type"),
    scores: numbers("scores"),
    merges: texts("merges"),
    bosId: id("bos_token_id"),
    eosId: id("eos_token_id"),
    eotId: id("eot_token_id"),
    padId: id("padding_token_id"),
    unkId: id("unknown_token_id"),
    addBos: flag("add_bos_token"),
    addEos: flag("add_eos_token"),
    addSpacePrefix: flag("add_space_prefix"),
  };
}

/** The tokenizer of a GGUF vocabulary. @throws TextError naming the key at fault. */
export function tokenizerFromGguf(vocabulary: GgufVocabulary): VocabularyTokenizer {
  const { tokens, tokenTypes, scores } = vocabulary;
  if (tokens.length === 0 || tokens.length > MAX_TOKENS) {
    throw new TextError(
      `GGUF: tokenizer.ggml.tokens has ${tokens.length} entries; between 1 and ${MAX_TOKENS} are possible`,
    );
  }
  for (const [name, list] of [
    ["token_type", tokenTypes],
    ["scores", scores],
  ] as const) {
    if (list !== undefined && list.length !== tokens.length) {
      throw new TextError(`GGUF: tokenizer.ggml.${name} has ${list.length} entries for ${tokens.length} tokens`);
    }
  }
  const added: AddedToken[] = [];
  if (tokenTypes) {
    tokens.forEach((content, id) => {
      const type = tokenTypes[id];
      if (type === CONTROL || type === USER_DEFINED) {
        added.push({ id, content, control: type === CONTROL || looksLikeMark(content) });
      }
    });
  }
  const spm = vocabulary.model === "llama";
  const eos = vocabulary.eosId ?? (spm ? 2 : undefined);
  const special: SpecialIds = {
    bos: vocabulary.bosId ?? (spm ? 1 : undefined),
    eos,
    pad: vocabulary.padId,
    unk: vocabulary.unkId ?? (spm ? 0 : undefined),
    eot: endOfTurnIds(eos, vocabulary.eotId === undefined ? [] : [vocabulary.eotId], added),
    addBos: vocabulary.addBos ?? (spm || patternOf(vocabulary) === "llama-bpe"),
    addEos: vocabulary.addEos ?? false,
  };
  if (spm) {
    if (scores === undefined)
      throw new TextError("GGUF: tokenizer.ggml.scores is missing, a llama vocabulary needs it");
    return sentencePieceTokenizer({
      tokens,
      tokenTypes,
      scores,
      added,
      special,
      spacePrefix: vocabulary.addSpacePrefix ?? true,
    });
  }
  if (vocabulary.model !== "gpt2") {
    throw new TextError(`GGUF: tokenizer.ggml.model is '${vocabulary.model}'; gpt2 and llama are supported`);
  }
  if (vocabulary.merges === undefined) throw new TextError("GGUF: tokenizer.ggml.merges is missing");
  const pattern = patternNamed(vocabulary.pre ?? "default");
  const ignoreMerges = pattern === "llama-bpe";
  return byteLevelTokenizer({
    ...readSpelled({ tokens: [...tokens], merges: vocabulary.merges, added, ignoreMerges, source: "GGUF" }),
    added,
    special,
    pre: preTokenizer(PATTERNS[pattern]),
  });
}

function patternOf(vocabulary: GgufVocabulary): string | undefined {
  return vocabulary.model === "gpt2" ? patternNamed(vocabulary.pre ?? "default") : undefined;
}
