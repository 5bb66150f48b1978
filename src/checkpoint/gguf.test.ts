// GGUF files to the byte: a file made by hand, every type and kind of metadata, split files, and headers that lie.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { MemorySource } from "./byte-source.ts";
import type { DType } from "./dtype.ts";
import { byteCount } from "./dtype.ts";
import { CheckpointError } from "./errors.ts";
import type { GgufEntry, GgufTensorToWrite } from "./gguf.ts";
import { ggmlTypes, openGguf, readGgufHeader, writeGguf } from "./gguf.ts";
import { inTemporaryFolder, randomNumbers, shared } from "./models.fixture.ts";

function randomTensor(
  name: string,
  dtype: DType,
  shape: number[],
  seed: number,
): GgufTensorToWrite & { bytes: Uint8Array } {
  const random = randomNumbers(seed);
  const bytes = Uint8Array.from({ length: byteCount(dtype, shape) }, () => Math.floor(random() * 256));
  // In two pieces, as stacked experts come.
  return { name, dtype, shape, bytes, chunks: () => [bytes.subarray(0, 3), bytes.subarray(3)] };
}

/** Writes headers by hand, byte for byte as the format's description says. */
class Bytes {
  readonly list: number[] = [];

  u32(value: number): this {
    for (let i = 0; i < 4; i++) this.list.push(Math.floor(value / 256 ** i) & 255);
    return this;
  }

  u64(value: number | bigint): this {
    for (let i = 0n; i < 8n; i++) this.list.push(Number((BigInt(value) >> (8n * i)) & 255n));
    return this;
  }

  text(value: string): this {
    const bytes = new TextEncoder().encode(value);
    this.u64(bytes.length);
    this.list.push(...bytes);
    return this;
  }

  pad(to: number): this {
    while (this.list.length % to !== 0) this.list.push(0);
    return this;
  }

  source(): MemorySource {
    return new MemorySource("test.gguf", Uint8Array.from(this.list));
  }
}

const header = (tensors: number | bigint, keys: number | bigint, version = 3) =>
  new Bytes().u32(0x46554747).u32(version).u64(tensors).u64(keys);

test("a file made by hand reads as the description says, versions 2 and 3", () => {
  for (const version of [2, 3]) {
    const bytes = header(1, 3, version);
    bytes.text("general.architecture").u32(8).text("llama");
    bytes.text("a.list").u32(9).u32(4).u64(2).u32(7).u32(9);
    bytes
      .text("a.big")
      .u32(10)
      .u64(2n ** 60n);
    // sizes fastest first: rows of 3
    bytes.text("w").u32(2).u64(3).u64(2).u32(0).u64(0).pad(32);
    for (let i = 0; i < 6; i++) bytes.u32(i);
    const read = readGgufHeader(bytes.source());
    assert.equal(read.metadata.get("general.architecture")!.value, "llama");
    assert.deepEqual(read.metadata.get("a.list"), { type: "array", elementType: "u32", value: [7, 9] });
    assert.equal(read.metadata.get("a.big")!.value, 2n ** 60n);
    const tensor = read.tensors.get("w")!;
    assert.deepEqual(tensor.shape, [2, 3]);
    assert.equal(tensor.offset % 32, 0);
    assert.equal(tensor.source.read(tensor.offset + 20, 4)[0], 5);
  }
});

test("every type and every kind of metadata is written and read back", () => {
  inTemporaryFolder((folder) => {
    const metadata = new Map<string, GgufEntry>([
      ["general.alignment", { type: "u32", value: 64 }],
      ["u8", { type: "u8", value: 255 }],
      ["i8", { type: "i8", value: -128 }],
      ["u16", { type: "u16", value: 65535 }],
      ["i16", { type: "i16", value: -32768 }],
      ["u32", { type: "u32", value: 4294967295 }],
      ["i32", { type: "i32", value: -2147483648 }],
      ["f32", { type: "f32", value: 0.5 }],
      ["f64", { type: "f64", value: 0.1 }],
      ["u64", { type: "u64", value: 2n ** 64n - 1n }],
      ["i64", { type: "i64", value: -5 }],
      ["bool", { type: "bool", value: true }],
      ["string", { type: "string", value: "堰 ｜▁ \u0000 end" }],
      ["strings", { type: "array", elementType: "string", value: ["", "a", "中文"] }],
      ["floats", { type: "array", elementType: "f32", value: [0.25, -1] }],
      ["bools", { type: "array", elementType: "bool", value: [true, false] }],
      ["none", { type: "array", elementType: "i64", value: [] }],
    ]);
    const tensors = [...ggmlTypes.values()].map((dtype, i) => randomTensor(`t.${dtype}`, dtype, [2, 3, 256], i));
    tensors.push(randomTensor("vector", "F32", [5], 99));
    const path = join(folder, "x.gguf");
    writeGguf(path, metadata, tensors);
    const set = openGguf(path);
    assert.deepEqual([...set.metadata], [...metadata]);
    assert.equal(set.alignment, 64);
    for (const { name, dtype, shape, bytes } of tensors) {
      const stored = set.tensors.get(name)!;
      assert.equal(stored.dtype, dtype);
      assert.deepEqual(stored.shape, shape);
      assert.equal(stored.offset % 64, 0);
      assert.deepEqual(stored.source.read(stored.offset, stored.bytes), bytes);
    }
    set.close();
  });
});

test("split files open from any of their parts", () => {
  inTemporaryFolder((folder) => {
    const name = (i: number) => join(folder, `m-0000${i + 1}-of-00002.gguf`);
    const split = (no: number, count = 2, total = 2): Map<string, GgufEntry> =>
      new Map<string, GgufEntry>([
        ["split.no", { type: "u16", value: no }],
        ["split.count", { type: "u16", value: count }],
        ["split.tensors.count", { type: "i32", value: total }],
      ]);
    writeGguf(name(0), split(0).set("general.architecture", { type: "string", value: "llama" }), [
      randomTensor("a", "F32", [4], 1),
    ]);
    assert.throws(() => openGguf(name(0)), /00002-of-00002.gguf: file: is missing; the model is split in 2/);
    writeGguf(name(1), split(1), [randomTensor("b", "F32", [4], 2)]);
    for (const part of [0, 1]) {
      const set = openGguf(name(part));
      assert.deepEqual([...set.tensors.keys()], ["a", "b"]);
      assert.equal(set.metadata.get("general.architecture")!.value, "llama");
      assert.equal(set.files.length, 2);
      set.close();
    }
    writeGguf(name(1), split(1), [randomTensor("a", "F32", [4], 2)]);
    assert.throws(() => openGguf(name(0)), /"a": occurs in two/);
    writeGguf(name(1), split(0), [randomTensor("b", "F32", [4], 2)]);
    assert.throws(() => openGguf(name(0)), /split.no/);
    writeGguf(name(1), split(1, 3), [randomTensor("b", "F32", [4], 2)]);
    assert.throws(() => openGguf(name(0)), /split.count/);
    writeGguf(name(0), split(0, 2, 7), [randomTensor("a", "F32", [4], 1)]);
    writeGguf(name(1), split(1), [randomTensor("b", "F32", [4], 2)]);
    assert.throws(() => openGguf(name(0)), /split.tensors.count/);
  });
});

test("headers that lie are refused with the key or tensor at fault", () => {
  const tensor = (bytes: Bytes, name: string, sizes: (number | bigint)[], type: number, offset: number | bigint) => {
    bytes.text(name).u32(sizes.length);
    for (const size of sizes) bytes.u64(size);
    return bytes.u32(type).u64(offset);
  };
  const data = (bytes: Bytes, count: number) => {
    bytes.pad(32);
    for (let i = 0; i < count; i++) bytes.list.push(0);
    return bytes;
  };
  const cases: [string, Bytes, RegExp][] = [
    ["other magic", new Bytes().u32(0x46554748).u32(3).u64(0).u64(0), /magic/],
    ["version 1", header(0, 0, 1), /version: 1/],
    ["big-endian", new Bytes().u32(0x46554747).u32(0x03000000).u64(0).u64(0), /big-endian/],
    ["no counts", new Bytes().u32(0x46554747).u32(3), /tensor count/],
    ["more tensors than bytes", header(10 ** 9, 0), /tensor count/],
    ["2^64 keys", header(0, 2n ** 64n - 1n), /key count/],
    [
      "endless key",
      header(0, 1)
        .u64(2 ** 50)
        .u64(0),
      /key/,
    ],
    ["unknown value type", header(0, 1).text("k").u32(13).u64(0), /"k": value type 13/],
    ["list of lists", header(0, 1).text("k").u32(9).u32(9).u64(1).u64(0), /"k": is a list of lists/],
    [
      "endless list",
      header(0, 1)
        .text("k")
        .u32(9)
        .u32(0)
        .u64(2 ** 40)
        .u64(0),
      /"k" count/,
    ],
    [
      "endless text in a list",
      header(0, 1)
        .text("k")
        .u32(9)
        .u32(8)
        .u64(1)
        .u64(2 ** 52),
      /"k" length/,
    ],
    ["key twice", header(0, 2).text("k").u32(4).u32(1).text("k").u32(4).u32(1), /"k": occurs twice/],
    ["absurd alignment", header(0, 1).text("general.alignment").u32(4).u32(3), /general.alignment/],
    ["alignment zero", header(0, 1).text("general.alignment").u32(4).u32(0), /general.alignment/],
    ["alignment as text", header(0, 1).text("general.alignment").u32(8).text("x"), /general.alignment/],
    ["unknown type", tensor(header(1, 0), "w", [32], 16, 0), /"w" type: 16 \(IQ2_XXS\)/],
    ["type of another engine", tensor(header(1, 0), "w", [32], 140, 0), /"w" type: 140 is not/],
    ["five dimensions", tensor(header(1, 0), "w", [1, 1, 1, 1, 1], 0, 0), /"w" dimensions/],
    ["overflowing shape", tensor(header(1, 0), "w", [2 ** 40, 2 ** 40], 0, 0), /"w" shape/],
    ["2^63 rows", tensor(header(1, 0), "w", [2n ** 63n], 0, 0), /"w" size/],
    ["row that fills no block", tensor(header(1, 0), "w", [100], 12, 0), /"w" shape.*256/],
    ["unaligned", data(tensor(header(1, 0), "w", [4], 0, 8), 64), /"w" offset/],
    ["beyond the file", data(tensor(header(1, 0), "w", [4], 0, 64), 32), /"w": ends at byte/],
    ["overlap", data(tensor(tensor(header(2, 0), "a", [16], 0, 0), "b", [4], 0, 32), 64), /"b": overlaps/],
    ["twice", data(tensor(tensor(header(2, 0), "a", [4], 0, 0), "a", [4], 0, 32), 64), /"a": occurs twice/],
  ];
  for (const [what, bytes, pattern] of cases)
    assert.throws(
      () => readGgufHeader(bytes.source()),
      (error) => {
        assert.ok(error instanceof CheckpointError, `${what}: ${error}`);
        assert.match(error.message, pattern, what);
        return true;
      },
    );
});

test("a name too long for other readers is not written", () => {
  inTemporaryFolder((folder) => {
    const long = randomTensor("x".repeat(64), "F32", [1], 1);
    assert.throws(() => writeGguf(join(folder, "x.gguf"), new Map(), [long]), /63 bytes/);
    assert.throws(
      () => writeGguf(join(folder, "x.gguf"), new Map(), [randomTensor("w", "F8_E4M3", [1], 1)]),
      /no type/,
    );
  });
});

test("the shared vocabularies open", () => {
  const folder = shared("data/tokenizer");
  if (folder === null) return;
  for (const [name, tokens] of [
    ["deepseek-llm", 102_400],
    ["deepseek-coder", 32_256],
    ["gpt-2", 50_257],
  ] as const) {
    const set = openGguf(join(folder, `${name}.gguf`));
    const list = set.metadata.get("tokenizer.ggml.tokens")!;
    assert.ok(list.type === "array" && list.elementType === "string");
    assert.equal(list.value.length, tokens);
    set.close();
  }
});
