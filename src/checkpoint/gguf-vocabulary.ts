// The vocabulary between tokenizer.json and GGUF's tokenizer keys, both ways, for byte-level BPE. Reading vocabularies to encode text
// is text/'s task. Keys: ggml's docs/gguf.md; token types as in llama.h.
import { readFileSync, statSync } from "node:fs";
import { charByte } from "../text/alphabet.ts";
import { loadTokenizer } from "../text/load.ts";
import type { PatternName } from "../text/patterns.ts";
import { PATTERNS, patternNamed } from "../text/patterns.ts";
import type { PreTokenizer } from "../text/pretokenize.ts";
import { preTokenizer, preTokenizerFromJson } from "../text/pretokenize.ts";
import type { GgufVocabulary, TokenizerSource } from "./checkpoint.ts";
import type { ModelConfig } from "./config.ts";
import { parseJson } from "./config.ts";
import { CheckpointError, show } from "./errors.ts";
import type { GgufEntry } from "./gguf.ts";

const normal = 1;
const control = 3;
const userDefined = 4;
const unused = 5;

const text = (value: string): GgufEntry => ({ type: "string", value });
const texts = (value: string[]): GgufEntry => ({ type: "array", elementType: "string", value });
const u32 = (value: number): GgufEntry => ({ type: "u32", value });

/** Text on which the published pre-tokenizers all disagree somewhere. */
const probe =
  "Hello WE'LL they're 3.14159 x=12345;\n\n  def f(a1):\r\n\treturn 'don''t'  // naïve ÀÉß \u0660\u0661 中文字abc，かなカナ 한국어 ⅷ½ foo_bar-baz!!ok?  \n $x++ 🚀👩‍🚀 e\u0301 ";

/** Names that differ only on what the vocabulary cannot produce come after the ones llama.cpp knows. */
const candidates: PatternName[] = [
  "deepseek-v3",
  "deepseek-llm",
  "deepseek-coder",
  "qwen2",
  "llama-bpe",
  "gpt-2",
  "deepseek-v3-digits",
];

function samePieces(a: PreTokenizer, b: PreTokenizer): boolean {
  const pieces = (pre: PreTokenizer) => pre.split(probe, [0, probe.length]);
  const left = pieces(a);
  const right = pieces(b);
  return a.prefixSpace === b.prefixSpace && left.length === right.length && left.every((n, i) => n === right[i]);
}

/** The text of a token written in the alphabet of bytes; what is no UTF-8 becomes U+FFFD. */
const spelled = (token: string): string =>
  Buffer.from(Array.from(token, (_, i) => charByte(token.charCodeAt(i)))).toString("utf8");

/** GGUF's name of the pre-tokenizer a tokenizer.json describes, by what it does. */
function patternOf(description: unknown, tokens: readonly string[], file: string): string {
  const pre = preTokenizerFromJson(description);
  const name = candidates.find((candidate) => samePieces(pre, preTokenizer(PATTERNS[candidate])));
  if (name === undefined)
    throw new CheckpointError(
      file,
      "pre_tokenizer",
      "is none that GGUF has a name for; write a Hugging Face directory",
    );
  // llama.cpp knows no V3 splitting with single digits, but where no token joins digits the ordinary one gives the same ids.
  if (name === "deepseek-v3-digits") {
    // Read as text: in the alphabet of bytes, Chinese characters are written with ¹, ², ³ and ¼ too.
    const joined = tokens.map(spelled).find((token) => /\p{N}{2}/u.test(token));
    if (joined !== undefined)
      throw new CheckpointError(
        file,
        "pre_tokenizer",
        `splits digits apart, yet ${show(joined)} is a token; GGUF has no name for this`,
      );
    return "deepseek-v3";
  }
  return name;
}

interface AddedToken {
  id: number;
  content: string;
  special: boolean;
}

function readTokenizerJson(path: string): {
  vocab: Map<number, string>;
  merges: string[];
  added: AddedToken[];
  pre: unknown;
} {
  if (statSync(path).size > 256 * 2 ** 20) throw new CheckpointError(path, "file", "is larger than any tokenizer.json");
  // The text layer reads the same file first, so that what it refuses never gets into a GGUF file.
  loadTokenizer(path);
  const json = parseJson(readFileSync(path, "utf8"), path) as Record<string, unknown>;
  const model = json.model as { vocab: Record<string, number>; merges: (string | [string, string])[] };
  return {
    vocab: new Map(Object.entries(model.vocab).map(([token, id]) => [id, token])),
    merges: model.merges.map((merge) => (typeof merge === "string" ? merge : merge.join(" "))),
    added: ((json.added_tokens as AddedToken[] | undefined) ?? []).map(({ id, content, special }) => ({
      id,
      content,
      special,
    })),
    pre: json.pre_tokenizer,
  };
}

function fromTokenizerJson(path: string, config: ModelConfig): Map<string, GgufEntry> {
  const { vocab, merges, added, pre } = readTokenizerJson(path);
  const special = loadTokenizer(path).special;
  const tokens: string[] = [];
  const types: number[] = [];
  for (const id of [...vocab.keys(), ...added.map((token) => token.id)])
    if (id >= config.vocabSize)
      throw new CheckpointError(
        path,
        "model.vocab",
        `has token ${id}; config.json's vocab_size is ${config.vocabSize}`,
      );
  for (let id = 0; id < config.vocabSize; id++) {
    const token = vocab.get(id);
    tokens.push(token ?? `[PAD${id}]`);
    types.push(token === undefined ? unused : normal);
  }
  for (const { id, content, special: isControl } of added) {
    tokens[id] = content;
    types[id] = isControl ? control : userDefined;
  }
  const entries = new Map<string, GgufEntry>([
    ["tokenizer.ggml.model", text("gpt2")],
    [
      "tokenizer.ggml.pre",
      text(
        patternOf(
          pre,
          tokens.filter((_, id) => types[id] === normal),
          path,
        ),
      ),
    ],
    ["tokenizer.ggml.tokens", texts(tokens)],
    ["tokenizer.ggml.token_type", { type: "array", elementType: "i32", value: types }],
    ["tokenizer.ggml.merges", texts(merges)],
    ["tokenizer.ggml.add_bos_token", { type: "bool", value: special.addBos }],
    ["tokenizer.ggml.add_eos_token", { type: "bool", value: special.addEos }],
  ]);
  const bos = special.bos ?? config.bosTokenId ?? undefined;
  const eos = special.eos ?? config.eosTokenIds[0];
  if (bos !== undefined) entries.set("tokenizer.ggml.bos_token_id", u32(bos));
  if (eos !== undefined) entries.set("tokenizer.ggml.eos_token_id", u32(eos));
  const pad = special.pad ?? config.padTokenId ?? undefined;
  if (pad !== undefined) entries.set("tokenizer.ggml.padding_token_id", u32(pad));
  return entries;
}

/** Types of the tokenizer keys, to write back what was read from another GGUF file. */
function copyEntry(key: string, value: unknown): GgufEntry | undefined {
  if (typeof value === "string") return text(value);
  if (typeof value === "boolean") return { type: "bool", value };
  if (typeof value === "number") return u32(value);
  if (!Array.isArray(value)) return undefined;
  if (value.every((item) => typeof item === "string")) return texts(value);
  if (!value.every((item) => typeof item === "number")) return undefined;
  return { type: "array", elementType: key.endsWith(".scores") ? "f32" : "i32", value };
}

/** The tokenizer keys of a GGUF file for any source of a vocabulary. Without one llama.cpp is told there is none. */
export function vocabularyToGguf(
  source: TokenizerSource,
  config: ModelConfig,
  chatTemplate: string | null,
): Map<string, GgufEntry> {
  let entries: Map<string, GgufEntry>;
  if (source === null) entries = new Map([["tokenizer.ggml.model", text("no_vocab")]]);
  else if (source.kind === "tokenizer.json") entries = fromTokenizerJson(source.path, config);
  else {
    entries = new Map();
    for (const [key, value] of source.vocabulary) {
      const entry = copyEntry(key, value);
      if (entry !== undefined) entries.set(key, entry);
    }
  }
  if (chatTemplate !== null) entries.set("tokenizer.chat_template", text(chatTemplate));
  return entries;
}

/** Published patterns with their escapes as the characters themselves, which every regular-expression library reads alike. */
const literal = (pattern: string): string =>
  pattern.replace(/\\u(?:\{([0-9A-F]+)\}|([0-9A-F]{4}))/g, (_, long, short) =>
    String.fromCodePoint(Number.parseInt(long ?? short, 16)),
  );

/**
 * tokenizer.json and tokenizer_config.json (as objects) for a GGUF vocabulary. null for SentencePiece vocabularies, which have no
 * byte-level form.
 */
export function vocabularyToTokenizerJson(
  vocabulary: GgufVocabulary,
  file: string,
): { tokenizer: Record<string, unknown>; config: Record<string, unknown> } | null {
  const get = (key: string) => vocabulary.get(`tokenizer.ggml.${key}`);
  if (get("model") !== "gpt2") return null;
  const tokens = get("tokens");
  const merges = get("merges");
  const types = get("token_type") as number[] | undefined;
  if (!Array.isArray(tokens) || !Array.isArray(merges))
    throw new CheckpointError(file, "tokenizer.ggml.tokens", "and tokenizer.ggml.merges must both be there");
  const name = get("pre");
  const pattern = patternNamed(typeof name === "string" ? name : "default");
  const vocab: Record<string, number> = Object.create(null);
  const added: Record<string, unknown>[] = [];
  tokens.forEach((token: string, id) => {
    const type = types?.[id] ?? normal;
    if (type === unused) return;
    vocab[token] = id;
    if (type === control || type === userDefined)
      added.push({
        id,
        content: token,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: type === control,
      });
  });
  const named = (key: string): string | undefined => {
    const id = get(key);
    return typeof id === "number" ? tokens[id] : undefined;
  };
  const bos = named("bos_token_id");
  const addBos = (get("add_bos_token") as boolean | undefined) ?? pattern === "llama-bpe";
  const sequence = { Sequence: { id: "A", type_id: 0 } };
  const begin = { SpecialToken: { id: bos, type_id: 0 } };
  const tokenizer = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: added,
    normalizer: null,
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        ...PATTERNS[pattern].map((source) => ({
          type: "Split",
          pattern: { Regex: literal(source) },
          behavior: "Isolated",
          invert: false,
        })),
        { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false },
      ],
    },
    post_processor:
      addBos && bos !== undefined
        ? {
            type: "TemplateProcessing",
            single: [begin, sequence],
            pair: [begin, sequence, { Sequence: { id: "B", type_id: 1 } }],
            special_tokens: { [bos]: { id: bos, ids: [get("bos_token_id")], tokens: [bos] } },
          }
        : null,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: pattern === "llama-bpe",
      vocab,
      merges,
    },
  };
  return {
    tokenizer,
    config: {
      tokenizer_class: "PreTrainedTokenizerFast",
      bos_token: bos ?? null,
      eos_token: named("eos_token_id") ?? null,
      pad_token: named("padding_token_id") ?? null,
      add_bos_token: addBos,
      add_eos_token: get("add_eos_token") ?? false,
      clean_up_tokenization_spaces: false,
    },
  };
}
