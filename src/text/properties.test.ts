// Laws that hold for every tokenizer and every text: decoding undoes encoding, streaming equals the whole, fast paths equal
// the slow ones.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ggufVocabulary, tokenizerFromGguf } from "./gguf.ts";
import { loadTokenizer } from "./load.ts";
import { Merger, PairTable } from "./pairs.ts";
import { PATTERNS, type PatternName } from "./patterns.ts";
import { preTokenizer, preTokenizerFromJson } from "./pretokenize.ts";
import { ggufMetadata, shared } from "./shared.fixture.ts";
import { awkwardText, seeded, smallTokenizer } from "./text.fixture.ts";
import type { Tokenizer } from "./tokenizer.ts";

const ROUNDS = 1200;

function scanned(name: PatternName, text: string): string[] {
  const { scan } = preTokenizer(PATTERNS[name]);
  assert.ok(scan, `${name} has a scanner`);
  const pieces: string[] = [];
  for (let i = 0; i < text.length; ) {
    const end = scan(text, i, text.length);
    assert.ok(end > i && end <= text.length);
    pieces.push(text.slice(i, end));
    i = end;
  }
  return pieces;
}

function split(name: PatternName, text: string): string[] {
  const flat = preTokenizer(PATTERNS[name], { scanner: false }).split(text, [0, text.length]);
  const pieces: string[] = [];
  for (let p = 0; p < flat.length; p += 2) pieces.push(text.slice(flat[p], flat[p + 1]));
  return pieces.filter((piece) => piece !== "");
}

for (const name of ["deepseek-v3", "deepseek-v3-digits", "llama-bpe", "qwen2", "gpt-2"] as const) {
  test(`the ${name} scanner splits as its patterns do`, () => {
    const random = seeded(7);
    for (let i = 0; i < ROUNDS; i++) {
      const text = awkwardText(random);
      assert.deepEqual(scanned(name, text), split(name, text), JSON.stringify(text));
    }
    for (const text of ["", "\ud800", "a\udc00b", " \ud83e", "\ud83e\udd99\ud83e"]) {
      assert.deepEqual(scanned(name, text), split(name, text), JSON.stringify(text));
    }
  });
}

test("every character of the basic plane is scanned as its class asks", () => {
  for (let point = 0; point < 0x10000; point += 1) {
    if (point >= 0xd800 && point <= 0xdfff) continue;
    const text = ` ${String.fromCharCode(point)}a1${String.fromCharCode(point)}中 ${String.fromCharCode(point)}`;
    assert.deepEqual(scanned("deepseek-v3", text), split("deepseek-v3", text), point.toString(16));
  }
});

function tokenizers(): [string, Tokenizer, boolean][] {
  const found: [string, Tokenizer, boolean][] = [["small", smallTokenizer(), true]];
  for (const name of ["deepseek-llm", "deepseek-coder", "gpt-2"]) {
    const path = shared(`data/tokenizer/${name}.gguf`);
    if (!path) continue;
    const metadata = ggufMetadata(path);
    found.push([name, tokenizerFromGguf(ggufVocabulary((key) => metadata.get(key))), true]);
  }
  const v3 = shared("data/tokenizer/deepseek-v3.tiktoken.gz");
  if (v3) found.push(["deepseek-v3", loadTokenizer(v3), true]);
  const spm = shared("data/weights/tok512.bin");
  if (spm) found.push(["tok512", loadTokenizer(spm), false]);
  return found;
}
const all = tokenizers();

for (const [name, tokenizer, byteLevel] of all) {
  test(`${name}: decoding undoes encoding, and streaming equals the whole`, () => {
    const random = seeded(11);
    for (let i = 0; i < ROUNDS; i++) {
      let text = awkwardText(random);
      // SentencePiece writes a space as ▁, so that character does not survive there.
      if (!byteLevel) text = text.replaceAll("▁", "_");
      for (const parseSpecial of byteLevel ? [false, true] : [false]) {
        const ids = tokenizer.encode(text, { parseSpecial });
        assert.equal(tokenizer.decode(ids), text);
        const stream = tokenizer.streamDecoder();
        let streamed = "";
        for (const id of ids) {
          const piece = stream.push(id);
          assert.ok(piece.isWellFormed());
          streamed += piece;
        }
        assert.equal(streamed + stream.end(), text);
      }
    }
  });

  test(`${name}: streaming any ids equals decoding them`, () => {
    const random = seeded(13);
    for (let i = 0; i < 300; i++) {
      const ids = Array.from({ length: Math.floor(random() * 20) }, () => Math.floor(random() * tokenizer.vocabSize));
      for (const skipSpecial of [false, true]) {
        const stream = tokenizer.streamDecoder({ skipSpecial });
        const streamed = ids.map((id) => stream.push(id)).join("") + stream.end();
        assert.equal(streamed, tokenizer.decode(ids, { skipSpecial }));
      }
    }
  });
}

/** Merging as the definition says it: from bytes, one pair at a time. */
function mergeSlowly(pairs: PairTable, symbols: number[]): number[] {
  for (;;) {
    let best = -1;
    let bestRank = Infinity;
    for (let i = 0; i + 1 < symbols.length; i++) {
      const at = pairs.find(symbols[i], symbols[i + 1]);
      if (at >= 0 && pairs.data[at] < bestRank) {
        bestRank = pairs.data[at];
        best = i;
      }
    }
    if (best < 0) return symbols;
    symbols.splice(best, 2, pairs.data[pairs.find(symbols[best], symbols[best + 1]) + 1]);
  }
}

test("the two ways to merge agree with the definition", () => {
  const random = seeded(17);
  // A random vocabulary over four symbols, with overlaps and repeats.
  const pairs = new PairTable(4);
  let next = 4;
  for (let rank = 0; rank < 60; rank++) {
    const left = Math.floor(random() * next);
    const right = Math.floor(random() * next);
    if (pairs.find(left, right) < 0) pairs.add(left, right, rank, next++);
  }
  const merger = new Merger(pairs);
  for (let i = 0; i < 2000; i++) {
    const symbols = Array.from({ length: 2 + Math.floor(random() * 60) }, () => Math.floor(random() * 4));
    const expected = mergeSlowly(pairs, [...symbols]);
    const linear = Int32Array.from([-1, ...symbols]);
    assert.deepEqual([...linear.subarray(1, merger.mergeLinear(linear, 1, linear.length))], expected);
    const heap = Int32Array.from([-1, ...symbols]);
    assert.deepEqual([...heap.subarray(1, merger.mergeHeap(heap, 1, heap.length))], expected);
  }
});

for (const [name, tokenizer, byteLevel] of all) {
  if (!byteLevel) continue;
  test(`${name}: starting from characters and cutting changes nothing`, () => {
    const { encoder } = (tokenizer as unknown as { parts: { encoder: Inner } }).parts;
    const { model, pre } = encoder;
    const random = seeded(19);
    for (let i = 0; i < ROUNDS; i++) {
      // Long texts of few kinds of characters make long pieces.
      let text = awkwardText(random, 20);
      if (i % 3 === 0) text = text.replaceAll(/[^\p{L}\p{P}]/gu, "");
      const expected: number[] = [];
      const flat = pre.split(text, [0, text.length]);
      for (let p = 0; p < flat.length; p += 2) {
        const bytes = new TextEncoder().encode(text.slice(flat[p], flat[p + 1]));
        expected.push(
          ...mergeSlowly(
            model.pairs,
            Array.from(bytes, (byte) => model.byteIds[byte]),
          ),
        );
      }
      const sink = { ids: new Int32Array(4096), count: 0, reserve: () => {} };
      encoder.encode(text, sink);
      assert.deepEqual([...sink.ids.subarray(0, sink.count)], expected, JSON.stringify(text));
    }
  });
}

interface Inner {
  model: { pairs: PairTable; byteIds: Int32Array };
  pre: ReturnType<typeof preTokenizer>;
  encode(text: string, sink: unknown): void;
}

test("hostile lengths take bounded time", () => {
  const tokenizer = smallTokenizer();
  for (const text of ["a".repeat(300_000), "中".repeat(200_000), " ".repeat(300_000), "\u0301".repeat(200_000)]) {
    // Processor time, so that a busy machine does not count. Quadratic merging would take minutes.
    const before = process.cpuUsage();
    assert.equal(tokenizer.decode(tokenizer.encode(text)), text);
    assert.ok(process.cpuUsage(before).user < 10e6);
  }
});

test("the forms of tokenizer.json's pre-tokenizers", () => {
  const pieces = (description: unknown, text: string): string[] => {
    const flat = preTokenizerFromJson(description).split(text, [0, text.length]);
    return Array.from({ length: flat.length / 2 }, (_, i) => text.slice(flat[2 * i], flat[2 * i + 1]));
  };
  const by = (behavior: string, invert = false) => ({ type: "Split", pattern: { String: "-" }, behavior, invert });
  const text = "the-final--countdown";
  assert.deepEqual(pieces(by("Isolated"), text), ["the", "-", "final", "-", "-", "countdown"]);
  assert.deepEqual(pieces(by("Removed"), text), ["the", "final", "countdown"]);
  assert.deepEqual(pieces(by("MergedWithPrevious"), text), ["the-", "final-", "-", "countdown"]);
  assert.deepEqual(pieces(by("MergedWithNext"), text), ["the", "-final", "-", "-countdown"]);
  assert.deepEqual(pieces(by("Contiguous"), text), ["the", "-", "final", "--", "countdown"]);
  assert.deepEqual(pieces(by("Removed", true), text), ["-", "-", "-"]);
  assert.deepEqual(pieces({ type: "Digits", individual_digits: true }, "a12b"), ["a", "1", "2", "b"]);
  assert.deepEqual(pieces({ type: "Digits", individual_digits: false }, "a12b"), ["a", "12", "b"]);
  const sequence = { type: "Sequence", pretokenizers: [{ type: "Digits" }, { type: "ByteLevel" }] };
  assert.deepEqual(pieces(sequence, "ab 12 c"), ["ab", " ", "12", " c"]);
  assert.throws(() => preTokenizerFromJson({ type: "Metaspace" }), /Metaspace/);
  assert.throws(() => preTokenizerFromJson({ ...by("Isolated"), pattern: { Regex: "(" } }), /does not compile/);
});
