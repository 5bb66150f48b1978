// Files from outside: what they must say, and that damaged ones end in a TextError, never in anything else.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { TextError } from "./errors.ts";
import { type GgufVocabulary, ggufVocabulary, tokenizerFromGguf } from "./gguf.ts";
import { tokenizerFromHuggingFace } from "./huggingface.ts";
import { loadTokenizer } from "./load.ts";
import { tokenizerFromLlama2c } from "./sentencepiece.ts";
import { awkwardText, seeded } from "./text.fixture.ts";
import { tokenizerFromTiktoken } from "./tiktoken.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { tokenizerConfigJson, tokenizerJson, trainByteLevel } from "./train.ts";

const trained = trainByteLevel(["the weir 都江堰 the weir 都江堰 1 2 3"], { vocabSize: 290 });
const json = () => JSON.parse(JSON.stringify(tokenizerJson(trained)));

/** Either a tokenizer that works or a TextError. */
function survives(make: () => Tokenizer, what: string): boolean {
  try {
    const tokenizer = make();
    tokenizer.decode(tokenizer.encode("the weir 都江堰 12 <think>", { addSpecial: true, parseSpecial: true }));
    return true;
  } catch (error) {
    if (error instanceof TextError) return false;
    throw new Error(`${what}: ${(error as Error).stack}`);
  }
}

const JUNK = [
  null,
  0,
  -1,
  1.5,
  1e300,
  "",
  "x",
  [],
  {},
  [null],
  { type: "Sequence" },
  { type: "Split" },
  true,
  ["a", "b"],
];

/** Replaces, removes or adds something at a random place of a JSON value. */
function mutate(random: () => number, value: unknown): unknown {
  const junk = () => structuredClone(JUNK[Math.floor(random() * JUNK.length)]);
  if (value === null || typeof value !== "object" || random() < 0.1) return junk();
  const keys = Object.keys(value);
  if (keys.length === 0) return junk();
  const key = keys[Math.floor(random() * keys.length)];
  const holder = value as Record<string, unknown>;
  if (random() < 0.15) {
    if (Array.isArray(value)) value.splice(Number(key), 1);
    else delete holder[key];
  } else holder[key] = mutate(random, holder[key]);
  return value;
}

test("a mutated tokenizer.json or configuration", () => {
  const random = seeded(41);
  let refused = 0;
  for (let i = 0; i < 1500; i++) {
    const files = { tokenizer: json(), config: tokenizerConfigJson(trained), generation: { eos_token_id: [1, 4] } };
    const mutated = mutate(random, files) as typeof files;
    if (!survives(() => tokenizerFromHuggingFace(mutated ?? {}), JSON.stringify(mutated).slice(0, 400))) refused++;
  }
  assert.ok(refused > 100);
});

test("a mutated GGUF vocabulary", () => {
  const random = seeded(43);
  const tokens = [...trained.specials, ...trained.tokens.slice(trained.specials.length)];
  const vocabulary = (): GgufVocabulary => ({
    model: "gpt2",
    pre: "deepseek-v3",
    tokens: [...tokens],
    tokenTypes: tokens.map((_, id) => (id < trained.specials.length ? 3 : 1)),
    merges: trained.merges.map((merge) => merge.join(" ")),
    bosId: 0,
    eosId: 1,
  });
  assert.equal(
    tokenizerFromGguf(vocabulary()).encode("the weir").length,
    tokenizerFromHuggingFace({ tokenizer: json() }).encode("the weir").length,
  );
  for (let i = 0; i < 600; i++) {
    const keys = vocabulary();
    const name = Object.keys(keys)[Math.floor(random() * 7)] as keyof GgufVocabulary;
    (keys as unknown as Record<string, unknown>)[name] = mutate(random, keys[name]);
    const names: Record<string, unknown> = { tokenTypes: "token_type", bosId: "bos_token_id", eosId: "eos_token_id" };
    survives(
      () =>
        tokenizerFromGguf(
          ggufVocabulary((key) => Object.entries(keys).find(([k]) => `tokenizer.ggml.${names[k] ?? k}` === key)?.[1]),
        ),
      name,
    );
  }
  assert.throws(() => tokenizerFromGguf({ ...vocabulary(), pre: "martian" }), /martian/);
  assert.throws(() => tokenizerFromGguf({ ...vocabulary(), bosId: 9999 }), /9999/);
});

/** llama2.c's format: a small vocabulary with byte tokens and a few words. */
function llama2c(): Uint8Array {
  const bytes = Array.from({ length: 256 }, (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, "0")}>`);
  const words = [" ", "a", "b", "ab", " a", "abab", "中"];
  const tokens = ["<unk>", "\n<s>\n", "\n</s>\n", ...bytes, ...words];
  const parts: Buffer[] = [Buffer.from(Uint32Array.of(16).buffer)];
  tokens.forEach((token, id) => {
    const text = Buffer.from(token);
    const head = Buffer.alloc(8);
    head.writeFloatLE(-id, 0);
    head.writeUInt32LE(text.length, 4);
    parts.push(head, text);
  });
  return Buffer.concat(parts);
}

test("llama2.c's format: highest score first, bytes where there is no token", () => {
  const tokenizer = tokenizerFromLlama2c(llama2c());
  const names = (text: string) => Array.from(tokenizer.encode(text), (id) => tokenizer.tokenOf(id));
  assert.deepEqual(names("abab"), ["▁", "abab"]);
  assert.deepEqual(names("a中"), ["▁a", "中"]);
  assert.deepEqual(names("é"), ["▁", "<0xC3>", "<0xA9>"]);
  assert.deepEqual([...tokenizer.encode("a", { addSpecial: true })], [1, tokenizer.idOf("▁a")]);
  const random = seeded(47);
  for (let i = 0; i < 500; i++) {
    const text = awkwardText(random).replaceAll("▁", "_");
    assert.equal(tokenizer.decode(tokenizer.encode(text)), text);
  }
});

test("mutated rank files and tokenizer.bin", () => {
  const random = seeded(53);
  const ranks = Array.from({ length: 256 }, (_, b) => `${Buffer.of(b).toString("base64")} ${b}`);
  const good = Buffer.from(`${ranks.join("\n")}\n${Buffer.from("ab").toString("base64")} 256\n`);
  assert.deepEqual([...tokenizerFromTiktoken(good, { pattern: "gpt-2" }).encode("abba")], [256, 98, 97]);
  for (const [name, file, make] of [
    ["tiktoken", good, (bytes: Uint8Array) => tokenizerFromTiktoken(bytes, { pattern: "deepseek-v3" })],
    ["tokenizer.bin", llama2c(), tokenizerFromLlama2c],
  ] as const) {
    for (let i = 0; i < 1500; i++) {
      let bytes = Uint8Array.from(file);
      for (let n = 1 + Math.floor(random() * 4); n > 0; n--)
        bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
      if (random() < 0.2) bytes = bytes.slice(0, Math.floor(random() * bytes.length));
      survives(() => make(bytes), `${name} ${i}`);
    }
  }
});

test("loading by path: directories, rank files with their special tokens, and what is no tokenizer", () => {
  const directory = mkdtempSync(join(tmpdir(), "weir-text-"));
  try {
    const put = (name: string, content: string) => {
      writeFileSync(join(directory, name), content);
      return join(directory, name);
    };
    assert.throws(() => loadTokenizer(directory), /no tokenizer.json/);
    assert.throws(() => loadTokenizer(join(directory, "none")), /does not exist/);
    assert.throws(() => loadTokenizer(put("x.json", "{")), /not JSON/);
    assert.throws(() => loadTokenizer(put("x.txt", "")), /was expected/);
    put("tokenizer.json", JSON.stringify(json()));
    put("tokenizer_config.json", JSON.stringify(tokenizerConfigJson(trained)));
    put("generation_config.json", JSON.stringify({ eos_token_id: [1, 3] }));
    assert.deepEqual(loadTokenizer(directory).special.eot, [1, 3]);
    const special = { tokens: [{ id: 300, text: "<think>" }], overrides: { v4: [{ id: 301, text: "<x>" }] } };
    put("t-special.json", JSON.stringify(special));
    const file = put(
      "t.tiktoken",
      Array.from({ length: 256 }, (_, b) => `${Buffer.of(b).toString("base64")} ${b}`).join("\n"),
    );
    assert.deepEqual([...loadTokenizer(file).encode("a<think><x>", { parseSpecial: true })], [97, 300, 301]);
    assert.equal(loadTokenizer(file, { table: "none" }).encode("<x>", { parseSpecial: true }).length, 3);
    assert.throws(() => loadTokenizer(file).decode([999]), /999 is outside the vocabulary/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
