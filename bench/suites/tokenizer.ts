// Encoding beside the JavaScript and WebAssembly tokenizers on npm, with the same vocabulary over the same mixed Chinese and
// English documents: DeepSeek-V3's beside every peer that takes a vocabulary of one's own, cl100k beside all. Each peer's ids are
// compared with ours first. "new" documents are encoded once each after a warm-up on others; "again" repeats documents.
// Run: npm run bench -- tokenizer
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { tokenizerFromHuggingFace } from "../../src/text/huggingface.ts";
import { PATTERNS } from "../../src/text/patterns.ts";
import { readRanks, recoverMerges, tokenizerFromTiktoken } from "../../src/text/tiktoken.ts";
import type { TokenBytes } from "../../src/text/token-bytes.ts";
import { tokenizerConfigJson, tokenizerJson, trainByteLevel } from "../../src/text/train.ts";
import { type Figure, peer, type Report } from "../figure.ts";

type Encode = (text: string) => ArrayLike<number>;
interface Contender {
  name: string;
  encode: Encode;
}

const SHARED = fileURLToPath(new URL("../../../shared/data/", import.meta.url));

/** Documents of every kind, Chinese and English by turns, none longer than a chapter. */
function documents(): string[] {
  const files = [
    "zh-d2l",
    "en-d2l",
    "zh-laws",
    "en-novels",
    "zh-python-docs",
    "en-python-docs",
    "zh-poetry-core",
    "en-factbook",
  ];
  const lists = files.map((name) => {
    const lines = gunzipSync(readFileSync(`${SHARED}text/${name}.jsonl.gz`))
      .toString()
      .split("\n", 61);
    const texts = lines.filter((line) => line !== "").map((line) => JSON.parse(line).text as string);
    return texts.map((text) => text.slice(0, 12_000).toWellFormed());
  });
  return Array.from({ length: 60 }, (_, i) => lists.flatMap((list) => list[i] ?? [])).flat();
}

/**
 * DeepSeek-V3's sequence of splits as one expression, for peers that take only one: numbers and CJK characters end every
 * other match.
 */
const CJK = "[\\u4e00-\\u9fa5\\u3040-\\u30ff]";
const V3_AS_ONE = [
  "\\p{N}{1,3}",
  `(?:(?=${CJK})[\\p{L}\\p{M}])+`,
  `(?:(?=${CJK})[\\p{P}\\p{S}])+`,
  "[!-\\/:-@\\[-`{-~][A-Za-z]+",
  `(?:(?!${CJK})[^\\r\\n\\p{L}\\p{P}\\p{S}\\p{N}])?(?:(?!${CJK})[\\p{L}\\p{M}])+`,
  ` ?(?:(?!${CJK})[\\p{P}\\p{S}])+[\\r\\n]*`,
  "\\s*[\\r\\n]+",
  `\\s+(?=\\p{N}|${CJK})`,
  "\\s+(?!\\S)",
  "\\s+",
].join("|");

/** A rank table in the forms that peers read. */
function asFile(ranks: TokenBytes): string {
  const lines: string[] = [];
  for (let id = 0; id < ranks.count; id++) {
    if (ranks.length(id) > 0) lines.push(`${Buffer.from(ranks.of(id)).toString("base64")} ${id}`);
  }
  return lines.join("\n");
}

async function wasmTiktoken(ranks: TokenBytes, pattern: string): Promise<Contender[]> {
  if (!(await peer("tiktoken"))) return [];
  const { Tiktoken } = createRequire(import.meta.url)("tiktoken/lite");
  const lines = asFile(ranks).split("\n");
  const encoder = new Tiktoken(`! 0 ${lines.map((line) => line.split(" ")[0]).join(" ")}`, {}, pattern);
  return [{ name: "tiktoken (WebAssembly)", encode: (text) => encoder.encode(text, [], []) }];
}

async function microsoft(ranks: TokenBytes, pattern: string): Promise<Contender[]> {
  const found = await peer<{ TikTokenizer: new (...args: unknown[]) => { encode(text: string): number[] } }>(
    "@microsoft/tiktokenizer",
  );
  if (!found) return [];
  const table = new Map<Uint8Array, number>();
  for (let id = 0; id < ranks.count; id++) if (ranks.length(id) > 0) table.set(ranks.of(id), id);
  const encoder = new found.TikTokenizer(table, new Map(), pattern);
  return [{ name: "@microsoft/tiktokenizer", encode: (text) => encoder.encode(text) }];
}

async function aiTokenizer(ranks: TokenBytes, pattern: string): Promise<Contender[]> {
  const found = await peer<{ Tokenizer: new (data: unknown) => { encode(text: string): number[] } }>("ai-tokenizer");
  if (!found) return [];
  const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const stringEncoder: Record<string, number> = Object.create(null);
  const binaryEncoder: [Uint8Array, number][] = [];
  const decoder: Record<number, string | Uint8Array> = {};
  for (let id = 0; id < ranks.count; id++) {
    const bytes = ranks.of(id).slice();
    if (bytes.length === 0) continue;
    try {
      const text = strict.decode(bytes);
      stringEncoder[text] = id;
      decoder[id] = text;
    } catch {
      binaryEncoder.push([bytes, id]);
      decoder[id] = bytes;
    }
  }
  binaryEncoder.sort(([a], [b]) => Buffer.compare(a, b));
  const data = { name: "own", pat_str: pattern, special_tokens: {}, stringEncoder, binaryEncoder, decoder };
  const encoder = new found.Tokenizer(data);
  return [{ name: "ai-tokenizer", encode: (text) => encoder.encode(text) }];
}

interface HuggingFace {
  Tokenizer: new (json: unknown, config: unknown) => { encode(text: string, options: unknown): { ids: number[] } };
}

async function huggingFace(ranks: TokenBytes): Promise<Contender[]> {
  const found = await peer<HuggingFace>("@huggingface/tokenizers");
  if (!found) return [];
  const tokens = Array.from({ length: ranks.count }, (_, id) => ranks.spelling(id));
  const merges = recoverMerges(ranks)
    .list()
    .map(([left, right]): [string, string] => [tokens[left], tokens[right]]);
  const tokenizer = new found.Tokenizer(tokenizerJson({ specials: [], tokens, merges, pattern: "deepseek-v3" }), {});
  return [
    { name: "@huggingface/tokenizers", encode: (text) => tokenizer.encode(text, { add_special_tokens: false }).ids },
  ];
}

const size = (texts: readonly string[]): number => texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);

/** Seconds of processor time that a call takes, which other programs on the machine disturb less than the clock. */
function cost(run: () => void): number {
  const before = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

/** Megabytes of UTF-8 per second. */
function pass(encode: Encode, texts: readonly string[]): number {
  const spent = cost(() => {
    for (const text of texts) encode(text);
  });
  return size(texts) / 1e6 / spent;
}

/** Compares ids, then measures all contenders by turns; Weir is the first. */
function race(
  report: Report,
  title: string,
  contenders: Contender[],
  texts: readonly string[],
  needs: Record<string, number>,
) {
  const [weir, ...peers] = contenders;
  const fresh = texts.filter((_, i) => i % 3 !== 0);
  const warm = texts.filter((_, i) => i % 3 === 0);
  const parts = [0, 1, 2, 3].map((part) => fresh.filter((_, i) => i % 4 === part));
  const rates = new Map(contenders.map(({ name }) => [name, { fresh: 0, again: 0 }]));
  for (let round = 0; round < 3; round++) for (const { encode } of contenders) pass(encode, warm);
  // Every part is new to every contender exactly once; the best part counts.
  for (const part of parts) {
    for (const { name, encode } of contenders)
      rates.get(name)!.fresh = Math.max(rates.get(name)!.fresh, pass(encode, part));
  }
  for (let round = 0; round < 4; round++) {
    for (const { name, encode } of contenders)
      rates.get(name)!.again = Math.max(rates.get(name)!.again, pass(encode, warm));
  }
  for (const other of peers) {
    const wrong = warm.filter((text) => {
      const [a, b] = [weir.encode(text), other.encode(text)];
      return a.length !== b.length || Array.from(a).some((id, i) => id !== b[i]);
    }).length;
    if (wrong > 0)
      console.error(`bench: ${other.name} gives other ids for ${wrong} of ${warm.length} documents (${title})`);
  }
  for (const kind of ["fresh", "again"] as const) {
    const best = Math.max(...peers.map(({ name }) => rates.get(name)![kind]));
    for (const { name } of peers) {
      const peerValue = rates.get(name)![kind];
      const figure: Figure = {
        suite: "tokenizer",
        name: `${title}, ${kind === "fresh" ? "new" : "again"}`,
        value: rates.get(weir.name)![kind],
        unit: "MB/s",
        peer: name,
        peerValue,
        need: needs[name] ?? (peerValue === best ? 1 : undefined),
      };
      report(figure);
    }
  }
}

export default async function suite(report: Report): Promise<void> {
  if (!existsSync(`${SHARED}tokenizer/deepseek-v3.tiktoken.gz`)) {
    console.error("bench: ../shared/data is not here; without its vocabulary and texts this suite measures nothing");
    return;
  }
  const texts = documents();
  const v3File = gunzipSync(readFileSync(`${SHARED}tokenizer/deepseek-v3.tiktoken.gz`));
  const v3 = readRanks(v3File);
  let weirV3 = tokenizerFromTiktoken(v3File, { pattern: "deepseek-v3" });
  const loading = cost(() => {
    weirV3 = tokenizerFromTiktoken(v3File, { pattern: "deepseek-v3" });
  });
  report({ suite: "tokenizer", name: "loading DeepSeek-V3's rank file", value: loading * 1000, unit: "ms" });
  const own = [
    { name: "weir", encode: (text: string) => weirV3.encode(text) },
    ...(await huggingFace(v3)),
    ...(await aiTokenizer(v3, V3_AS_ONE)),
    ...(await microsoft(v3, V3_AS_ONE)),
    ...(await wasmTiktoken(v3, V3_AS_ONE)),
  ];
  race(report, "DeepSeek-V3 zh+en", own, texts, { "@huggingface/tokenizers": 3 });

  const ranks = await peer<{ default: { bpe_ranks: string } }>("js-tiktoken/ranks/cl100k_base");
  if (ranks) {
    const lines = ranks.default.bpe_ranks.split("\n").flatMap((line) => {
      const [, offset, ...tokens] = line.split(" ");
      return tokens.map((token, i) => `${token} ${Number(offset) + i}`);
    });
    const file = Buffer.from(lines.join("\n"));
    const table = readRanks(file);
    const weir = tokenizerFromTiktoken(file, { pattern: "llama-bpe" });
    const gpt = await peer<{ encode(text: string): number[] }>("gpt-tokenizer/encoding/cl100k_base");
    const pattern = PATTERNS["llama-bpe"][0].replace(
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)",
      "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])",
    );
    const all = [
      { name: "weir", encode: (text: string) => weir.encode(text) },
      ...(gpt ? [{ name: "gpt-tokenizer", encode: (text: string) => gpt.encode(text) }] : []),
      ...(await aiTokenizer(table, pattern)),
      ...(await microsoft(table, pattern)),
      ...(await wasmTiktoken(table, pattern)),
    ];
    race(report, "cl100k zh+en", all, texts, {});
  }

  const corpus = texts.slice(0, 240);
  let trained = trainByteLevel([], { vocabSize: 4096, singleDigits: true });
  const spent = cost(() => {
    trained = trainByteLevel(corpus, { vocabSize: 4096, singleDigits: true });
  });
  const rate = size(corpus) / 1e6 / spent;
  report({ suite: "tokenizer", name: "training 4,096 tokens", value: rate, unit: "MB/s" });

  const hf = await peer<HuggingFace>("@huggingface/tokenizers");
  if (!hf) return;
  // The files as their library reads them: the same ids for the same text, begin token and special tokens included.
  const [json, config] = [tokenizerJson(trained), tokenizerConfigJson(trained)];
  const theirs = new hf.Tokenizer(json, config);
  const ours = tokenizerFromHuggingFace({ tokenizer: json, config });
  const samples = texts.slice(-200).map((text) => `<｜User｜>${text.slice(0, 2000)}<｜Assistant｜><think>`);
  const equal = samples.filter((text) => {
    const mine = ours.encode(text, { addSpecial: true, parseSpecial: true });
    const other = theirs.encode(text, { add_special_tokens: true }).ids;
    return mine.length === other.length && other.every((id, i) => id === mine[i]);
  });
  report({
    suite: "tokenizer",
    name: "documents with equal ids, trained vocabulary",
    value: equal.length,
    unit: "of",
    peer: "@huggingface/tokenizers",
    peerValue: samples.length,
    need: 1,
  });
}
