// Reads Hugging Face's tokenizer.json (byte-level BPE) with tokenizer_config.json and generation_config.json beside it.

import { type AddedToken, looksLikeMark } from "./added.ts";
import { byteLevelTokenizer, endOfTurnIds, MAX_TOKENS, readSpelled } from "./byte-level.ts";
import { TextError } from "./errors.ts";
import { preTokenizerFromJson } from "./pretokenize.ts";
import type { VocabularyTokenizer } from "./tokenizer.ts";

type Json = Record<string, unknown>;

export interface HuggingFaceFiles {
  /** tokenizer.json, parsed. */
  tokenizer: unknown;
  /** tokenizer_config.json, parsed: names the special tokens and whether a begin token is put in front. */
  config?: unknown;
  /** generation_config.json, parsed: may list several end tokens. */
  generation?: unknown;
}

/** The tokenizer that a model directory's files describe. @throws TextError naming the file and field at fault. */
export function tokenizerFromHuggingFace(files: HuggingFaceFiles): VocabularyTokenizer {
  const root = object(files.tokenizer, "tokenizer.json");
  const model = object(root.model, "tokenizer.json: model");
  if (model.type !== undefined && model.type !== "BPE") {
    throw new TextError(`tokenizer.json: model.type is ${JSON.stringify(model.type)}; only BPE is supported`);
  }
  if (model.byte_fallback === true || !usesByteLevel(root)) {
    throw new TextError(
      "tokenizer.json: the vocabulary is not byte-level; use the model's GGUF file, whose SentencePiece form is read",
    );
  }
  for (const field of ["continuing_subword_prefix", "end_of_word_suffix"]) {
    if (model[field])
      throw new TextError(`tokenizer.json: model.${field} ${JSON.stringify(model[field])} is not supported`);
  }
  const tokens = readVocab(model.vocab);
  const added = readAdded(root.added_tokens);
  if (!Array.isArray(model.merges)) throw new TextError("tokenizer.json: model.merges is not a list");

  const config = files.config === undefined ? {} : object(files.config, "tokenizer_config.json");
  const ids = new Map(added.map((token) => [token.content, token.id]));
  const named = (field: string): number | undefined => {
    const value = config[field];
    const content = typeof value === "string" ? value : (value as Json | null | undefined)?.content;
    if (typeof content !== "string") return undefined;
    return ids.get(content) ?? (tokens.indexOf(content) >= 0 ? tokens.indexOf(content) : undefined);
  };
  const template = templateTokens(root.post_processor, ids);
  const bos =
    named("bos_token") ?? template.before ?? wellKnown(ids, ["<｜begin▁of▁sentence｜>", "<|begin_of_text|>", "<s>"]);
  const eos =
    named("eos_token") ??
    template.after ??
    wellKnown(ids, ["<｜end▁of▁sentence｜>", "<|end_of_text|>", "<|im_end|>", "<|endoftext|>", "</s>"]);
  const flag = (field: string, otherwise: boolean) =>
    typeof config[field] === "boolean" ? (config[field] as boolean) : otherwise;
  const generation = files.generation === undefined ? {} : object(files.generation, "generation_config.json");
  const ends = [generation.eos_token_id].flat().filter((id): id is number => Number.isInteger(id));
  const unkName = typeof model.unk_token === "string" ? model.unk_token : undefined;
  const unk = unkName === undefined ? undefined : (ids.get(unkName) ?? tokens.indexOf(unkName));
  const ignoreMerges = model.ignore_merges === true;
  return byteLevelTokenizer({
    ...readSpelled({ tokens, merges: model.merges, added, ignoreMerges, source: "tokenizer.json" }),
    added,
    special: {
      bos,
      eos,
      pad: named("pad_token"),
      unk,
      eot: endOfTurnIds(eos, ends, added),
      addBos: flag("add_bos_token", template.before !== undefined),
      addEos: flag("add_eos_token", template.after !== undefined),
    },
    pre: preTokenizerFromJson(root.pre_tokenizer),
    unk: unk !== undefined && unk >= 0 ? unk : undefined,
    normalize: readNormalizer(root.normalizer),
  });
}

function object(value: unknown, name: string): Json {
  if (value === null || typeof value !== "object" || Array.isArray(value))
    throw new TextError(`${name} is not an object`);
  return value as Json;
}

function usesByteLevel(root: Json): boolean {
  const mentions = (value: unknown): boolean =>
    value !== null &&
    typeof value === "object" &&
    ((value as Json).type === "ByteLevel" ||
      Object.values(value).some((inner) => typeof inner === "object" && mentions(inner)));
  return mentions(root.pre_tokenizer) || mentions(root.decoder);
}

function checkId(id: unknown, what: string): number {
  if (Number.isInteger(id) && (id as number) >= 0 && (id as number) < MAX_TOKENS) return id as number;
  throw new TextError(
    `tokenizer.json: ${what} has id ${JSON.stringify(id)}; ids are whole numbers below ${MAX_TOKENS}`,
  );
}

function readVocab(value: unknown): (string | undefined)[] {
  const entries = Object.entries(object(value, "tokenizer.json: model.vocab"));
  const tokens: (string | undefined)[] = [];
  let top = -1;
  for (const [token, id] of entries) top = Math.max(top, checkId(id, `token ${JSON.stringify(token)}`));
  for (let i = 0; i <= top; i++) tokens.push(undefined);
  for (const [token, id] of entries) {
    if (tokens[id as number] !== undefined) {
      throw new TextError(
        `tokenizer.json: ${JSON.stringify(token)} and ${JSON.stringify(tokens[id as number])} share id ${id}`,
      );
    }
    tokens[id as number] = token;
  }
  return tokens;
}

function readAdded(value: unknown): AddedToken[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new TextError("tokenizer.json: added_tokens is not a list");
  return value.map((entry) => {
    const token = object(entry, "tokenizer.json: an added token");
    if (typeof token.content !== "string") throw new TextError("tokenizer.json: an added token has no content");
    return {
      id: checkId(token.id, `added token ${JSON.stringify(token.content)}`),
      content: token.content,
      control: token.special === true || looksLikeMark(token.content),
      lstrip: token.lstrip === true,
      rstrip: token.rstrip === true,
    };
  });
}

function wellKnown(ids: Map<string, number>, names: string[]): number | undefined {
  const found = names.find((name) => ids.has(name));
  return found === undefined ? undefined : ids.get(found);
}

/** The special tokens that a TemplateProcessing puts before and after a single text. */
function templateTokens(processor: unknown, ids: Map<string, number>): { before?: number; after?: number } {
  const value = processor as Json | null | undefined;
  if (value === null || typeof value !== "object") return {};
  if (value.type === "Sequence" && Array.isArray(value.processors)) {
    for (const inner of value.processors) {
      const found = templateTokens(inner, ids);
      if (found.before !== undefined || found.after !== undefined) return found;
    }
    return {};
  }
  if (value.type !== "TemplateProcessing" || !Array.isArray(value.single)) return {};
  const found: { before?: number; after?: number } = {};
  let seen = false;
  for (const item of value.single as Json[]) {
    if (item?.Sequence) seen = true;
    const id = ids.get(String((item?.SpecialToken as Json | undefined)?.id));
    if (id !== undefined && !seen) found.before ??= id;
    if (id !== undefined && seen) found.after ??= id;
  }
  return found;
}

const FORMS = ["NFC", "NFD", "NFKC", "NFKD"];

function readNormalizer(value: unknown): ((text: string) => string) | undefined {
  if (value === null || value === undefined) return undefined;
  const normalizer = object(value, "tokenizer.json: normalizer");
  const type = normalizer.type;
  if (FORMS.includes(type as string)) return (text) => text.normalize(type as string);
  if (type === "Sequence" && Array.isArray(normalizer.normalizers)) {
    const steps = normalizer.normalizers.map(readNormalizer).filter((step) => step !== undefined);
    return steps.length === 0 ? undefined : (text) => steps.reduce((current, step) => step(current), text);
  }
  throw new TextError(
    `tokenizer.json: normalizer type ${JSON.stringify(type)} is not supported; ${FORMS.join(", ")} and Sequence are`,
  );
}
