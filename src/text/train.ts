// Trains a byte-level byte-pair vocabulary from text and writes it as Hugging Face's tokenizer.json. The same text and
// options give the same file on every machine: counts decide, ties go to the lower pair of ids.

import { BYTE_TO_CHAR } from "./alphabet.ts";
import { TextError } from "./errors.ts";
import { PATTERNS, type PatternName } from "./patterns.ts";
import { preTokenizer } from "./pretokenize.ts";

/** The special tokens of Weir's own models: DeepSeek-R1's marks, thinking tags and tools. The first three are begin, end, pad. */
export const DEFAULT_SPECIALS = [
  "<｜begin▁of▁sentence｜>",
  "<｜end▁of▁sentence｜>",
  "<｜▁pad▁｜>",
  "<｜User｜>",
  "<｜Assistant｜>",
  "<think>",
  "</think>",
  "<｜tool▁calls▁begin｜>",
  "<｜tool▁calls▁end｜>",
  "<｜tool▁call▁begin｜>",
  "<｜tool▁call▁end｜>",
  "<｜tool▁sep｜>",
  "<｜tool▁outputs▁begin｜>",
  "<｜tool▁outputs▁end｜>",
  "<｜tool▁output▁begin｜>",
  "<｜tool▁output▁end｜>",
];

export interface TrainOptions {
  /** Tokens in all, special ones and the 256 bytes included. */
  vocabSize: number;
  /** Every digit a token of its own (better for arithmetic) instead of up to three together. */
  singleDigits?: boolean;
  /** Special tokens, which get the first ids: begin, end and pad first. */
  specials?: readonly string[];
  /** Pairs seen less often are not merged. */
  minCount?: number;
  /** Tokens do not grow beyond so many bytes. */
  maxTokenBytes?: number;
}

/** The parts of tokenizer.json that training decides. */
export interface TrainedVocabulary {
  specials: string[];
  /** Token spellings by id. */
  tokens: string[];
  /** Merges, best first. */
  merges: [string, string][];
  pattern: PatternName;
}

/** One more than any id; a pair's key is left · ID_LIMIT + right, exact in a double. */
const ID_LIMIT = 2 ** 22;

/** A text pair's count waiting in the heap; it may be out of date. */
interface Candidate {
  key: number;
  count: number;
}

const better = (a: Candidate, b: Candidate) => a.count > b.count || (a.count === b.count && a.key < b.key);

class CandidateHeap {
  private readonly items: Candidate[] = [];

  push(item: Candidate): void {
    const { items } = this;
    let i = items.length;
    items.push(item);
    while (i > 0) {
      const up = (i - 1) >> 1;
      if (!better(item, items[up])) break;
      items[i] = items[up];
      i = up;
    }
    items[i] = item;
  }

  pop(): Candidate | undefined {
    const { items } = this;
    const top = items[0];
    const last = items.pop();
    if (last === undefined || items.length === 0) return top;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && better(items[child + 1], items[child])) child++;
      if (!better(items[child], last)) break;
      items[i] = items[child];
      i = child;
    }
    items[i] = last;
    return top;
  }
}

/**
 * Learns a vocabulary: starting from bytes, the most frequent adjacent pair inside pieces becomes a token, again and again
 * (byte-pair encoding, Sennrich et al. 2016). It ends early when no pair reaches `minCount`.
 * @throws TextError when `vocabSize` has no room for the special tokens and bytes.
 */
export function trainByteLevel(texts: Iterable<string>, options: TrainOptions): TrainedVocabulary {
  const specials = [...(options.specials ?? DEFAULT_SPECIALS)];
  const minCount = options.minCount ?? 2;
  const maxBytes = options.maxTokenBytes ?? 32;
  const firstMerge = specials.length + 256;
  if (!Number.isInteger(options.vocabSize) || options.vocabSize < firstMerge || options.vocabSize >= ID_LIMIT) {
    throw new TextError(
      `a vocabulary of ${options.vocabSize} is not possible: ${specials.length} special tokens and 256 bytes need ${firstMerge}, and ${ID_LIMIT - 1} is the most`,
    );
  }
  if (new Set(specials).size !== specials.length || specials.includes("")) {
    throw new TextError("the special tokens must be different from each other and not empty");
  }
  const pattern: PatternName = options.singleDigits ? "deepseek-v3-digits" : "deepseek-v3";

  // Bytes get their ids in the order of their letters in the alphabet, as Hugging Face's trainer has it.
  const byteOrder = BYTE_TO_CHAR.map((char, byte) => ({ char, byte })).sort((a, b) => (a.char < b.char ? -1 : 1));
  const tokens = [...specials, ...byteOrder.map(({ char }) => char)];
  const byteLengths = tokens.map(() => 1);
  const byteIds = new Int32Array(256);
  byteOrder.forEach(({ byte }, i) => {
    byteIds[byte] = specials.length + i;
  });

  const { words, counts } = countWords(texts, pattern, byteIds);
  const pairCounts = new Map<number, number>();
  /** Words in which a pair stands or once stood, without order or uniqueness. */
  const places = new Map<number, number[]>();
  const touched = new Set<number>();
  const change = (left: number, right: number, by: number, word: number) => {
    const key = left * ID_LIMIT + right;
    pairCounts.set(key, (pairCounts.get(key) ?? 0) + by);
    touched.add(key);
    if (by < 0) return;
    const known = places.get(key);
    if (known === undefined) places.set(key, [word]);
    else if (known[known.length - 1] !== word) known.push(word);
  };
  words.forEach((symbols, word) => {
    for (let i = 0; i + 1 < symbols.length; i++) change(symbols[i], symbols[i + 1], counts[word], word);
  });
  const heap = new CandidateHeap();
  const queueTouched = () => {
    for (const key of touched) {
      const count = pairCounts.get(key)!;
      if (count >= minCount) heap.push({ key, count });
      else if (count === 0) pairCounts.delete(key);
    }
    touched.clear();
  };
  queueTouched();

  const merges: [string, string][] = [];
  const seen = new Set(tokens);
  while (tokens.length < options.vocabSize) {
    const best = heap.pop();
    if (best === undefined) break;
    if (pairCounts.get(best.key) !== best.count) continue;
    const left = Math.floor(best.key / ID_LIMIT);
    const right = best.key % ID_LIMIT;
    const length = byteLengths[left] + byteLengths[right];
    const spelling = tokens[left] + tokens[right];
    // Two pairs can spell the same token; the first one made it.
    if (length > maxBytes || seen.has(spelling)) continue;
    const id = tokens.length;
    tokens.push(spelling);
    seen.add(spelling);
    byteLengths.push(length);
    merges.push([tokens[left], tokens[right]]);
    for (const word of new Set(places.get(best.key))) {
      words[word] = mergeInWord(words[word], left, right, id, (a, b, sign) => change(a, b, sign * counts[word], word));
    }
    places.delete(best.key);
    queueTouched();
  }
  return { specials, tokens, merges, pattern };
}

function countWords(texts: Iterable<string>, pattern: PatternName, byteIds: Int32Array) {
  const scan = preTokenizer(PATTERNS[pattern]).scan!;
  const wordCounts = new Map<string, number>();
  for (const text of texts) {
    for (let i = 0; i < text.length; ) {
      const end = scan(text, i, text.length);
      const piece = text.slice(i, end);
      wordCounts.set(piece, (wordCounts.get(piece) ?? 0) + 1);
      i = end;
    }
  }
  const encoder = new TextEncoder();
  const words: Int32Array[] = [];
  const counts: number[] = [];
  for (const [piece, count] of wordCounts) {
    words.push(Int32Array.from(encoder.encode(piece), (byte) => byteIds[byte]));
    counts.push(count);
  }
  return { words, counts };
}

/** Replaces left+right by `id` in place, from left to right; reports each pair that goes (−1) or comes (+1). */
function mergeInWord(
  symbols: Int32Array,
  left: number,
  right: number,
  id: number,
  report: (a: number, b: number, sign: number) => void,
): Int32Array {
  let count = 0;
  for (let i = 0; i < symbols.length; i++) {
    if (i + 1 >= symbols.length || symbols[i] !== left || symbols[i + 1] !== right) {
      symbols[count++] = symbols[i];
      continue;
    }
    report(left, right, -1);
    if (count > 0) {
      report(symbols[count - 1], left, -1);
      report(symbols[count - 1], id, 1);
    }
    if (i + 2 < symbols.length) {
      report(right, symbols[i + 2], -1);
      report(id, symbols[i + 2], 1);
    }
    symbols[count++] = id;
    i++;
  }
  return symbols.subarray(0, count);
}

/** The vocabulary as the object that tokenizer.json holds; the begin token is put before every text. */
export function tokenizerJson(vocabulary: TrainedVocabulary): Record<string, unknown> {
  const { specials, tokens, merges, pattern } = vocabulary;
  const [bos] = specials;
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false };
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: specials.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        ...PATTERNS[pattern].map((source) => ({
          type: "Split",
          pattern: { Regex: spell(source) },
          behavior: "Isolated",
          invert: false,
        })),
        byteLevel,
      ],
    },
    post_processor:
      bos === undefined
        ? null
        : {
            type: "TemplateProcessing",
            single: [{ SpecialToken: { id: bos, type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
            pair: [
              { SpecialToken: { id: bos, type_id: 0 } },
              { Sequence: { id: "A", type_id: 0 } },
              { Sequence: { id: "B", type_id: 1 } },
            ],
            special_tokens: { [bos]: { id: bos, ids: [0], tokens: [bos] } },
          },
    decoder: byteLevel,
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  };
}

/** tokenizer_config.json beside it, as transformers reads it. */
export function tokenizerConfigJson(vocabulary: TrainedVocabulary, chatTemplate?: string): Record<string, unknown> {
  const [bos, eos, pad] = vocabulary.specials;
  return {
    add_bos_token: true,
    add_eos_token: false,
    bos_token: bos,
    eos_token: eos,
    pad_token: pad,
    unk_token: null,
    clean_up_tokenization_spaces: false,
    model_max_length: 1000000000,
    tokenizer_class: "PreTrainedTokenizerFast",
    ...(chatTemplate === undefined ? {} : { chat_template: chatTemplate }),
  };
}

/** `\uXXXX` escapes as the characters themselves: Oniguruma reads no such escape in a class. */
function spell(source: string): string {
  return source.replaceAll(/\\u([0-9A-F]{4})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
}
