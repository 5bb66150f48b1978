// safetensors to the byte, whole and sharded, and headers that lie.
import assert from "node:assert/strict";
import { readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { MemorySource } from "./byte-source.ts";
import type { PlainType } from "./dtype.ts";
import { byteCount } from "./dtype.ts";
import { CheckpointError } from "./errors.ts";
import { inTemporaryFolder, randomNumbers, shared } from "./models.fixture.ts";
import type { TensorToWrite } from "./safetensors.ts";
import {
  openSafetensors,
  readSafetensorsHeader,
  readTensor,
  writeSafetensors,
  writeSafetensorsSharded,
} from "./safetensors.ts";

const types: PlainType[] = [
  "F64",
  "F32",
  "F16",
  "BF16",
  "F8_E4M3",
  "F8_E5M2",
  "F8_E8M0",
  "I64",
  "I32",
  "I16",
  "I8",
  "U8",
  "BOOL",
];

function randomTensor(name: string, dtype: PlainType, shape: number[], seed: number): TensorToWrite {
  const random = randomNumbers(seed);
  const bytes = Uint8Array.from({ length: byteCount(dtype, shape) }, () => Math.floor(random() * 256));
  return { name, dtype, shape, read: () => bytes };
}

/** A file with this header and so many bytes of data. */
function file(header: unknown, data = 0, claimed?: number): MemorySource {
  const json = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.length + data);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(claimed ?? json.length), true);
  bytes.set(json, 8);
  return new MemorySource("test.safetensors", bytes);
}

const entry = (dtype: string, shape: unknown, offsets: unknown) => ({ dtype, shape, data_offsets: offsets });

test("every type is written and read back to the byte, whole and sharded", () => {
  inTemporaryFolder((folder) => {
    const tensors = types.flatMap((dtype, i) => [
      randomTensor(`${dtype}.matrix`, dtype, [5, 7], i),
      randomTensor(`${dtype}.scalar`, dtype, [], i + 50),
      randomTensor(`${dtype}.empty`, dtype, [0, 3], i + 90),
    ]);
    writeSafetensors(join(folder, "model.safetensors"), tensors);
    const names = writeSafetensorsSharded(join(folder), tensors, 200);
    assert.ok(names.length > 3 && names.at(-1) === "model.safetensors.index.json");
    for (const path of [join(folder, "model.safetensors"), join(folder, "model.safetensors.index.json")]) {
      const set = openSafetensors(path);
      assert.equal(set.tensors.size, tensors.length);
      for (const { name, dtype, shape, read } of tensors) {
        const stored = set.tensors.get(name)!;
        assert.equal(stored.dtype, dtype);
        assert.deepEqual(stored.shape, shape);
        assert.deepEqual(readTensor(stored), read());
      }
      set.close();
    }
    assert.ok(!readdirSync(folder).some((name) => name.endsWith(".partial")), "a temporary file was left");
  });
});

test("data is aligned to its type, as the reference implementation writes it", () => {
  inTemporaryFolder((folder) => {
    const path = join(folder, "x.safetensors");
    writeSafetensors(path, [randomTensor("a", "U8", [3], 1), randomTensor("b", "F64", [2], 2)]);
    const { tensors } = openSafetensors(path);
    assert.equal(tensors.get("b")!.offset % 8, 0);
  });
});

test("a write that fails leaves nothing behind", () => {
  inTemporaryFolder((folder) => {
    const bad: TensorToWrite = { name: "a", dtype: "F32", shape: [4], read: () => new Uint8Array(3) };
    assert.throws(() => writeSafetensors(join(folder, "x.safetensors"), [bad]), CheckpointError);
    assert.deepEqual(readdirSync(folder), []);
  });
});

test("headers that lie are refused with the tensor and field at fault", () => {
  const good = entry("F32", [2], [0, 8]);
  const cases: [string, MemorySource, RegExp][] = [
    ["too short", new MemorySource("x", new Uint8Array(5)), /header length/],
    ["header longer than the file", file({ a: good }, 8, 1_000), /header length/],
    ["header of 2^63 bytes", file({ a: good }, 8, 2 ** 62), /header length/],
    ["not JSON", file("{", 0), /content/],
    ["not an object", file([1], 0), /header/],
    ["no object", file({ a: 3 }, 0), /"a"/],
    ["unknown type", file({ a: entry("F31", [2], [0, 8]) }, 8), /"a".dtype.*F31/],
    ["a block type", file({ a: entry("Q4_K", [256], [0, 144]) }, 144), /"a".dtype/],
    ["type of an object's prototype", file({ a: entry("constructor", [2], [0, 8]) }, 8), /"a".dtype/],
    ["negative size", file({ a: entry("F32", [-2], [0, 8]) }, 8), /"a".shape/],
    ["fractional size", file({ a: entry("F32", [0.5], [0, 2]) }, 8), /"a".shape/],
    ["overflowing shape", file({ a: entry("F32", [2 ** 40, 2 ** 40], [0, 8]) }, 8), /"a".shape/],
    ["too many dimensions", file({ a: entry("F32", new Array(99).fill(1), [0, 4]) }, 4), /"a".shape/],
    ["span too small", file({ a: entry("F32", [2], [0, 4]) }, 4), /"a".data_offsets/],
    ["outside the file", file({ a: good }, 4), /"a".data_offsets/],
    ["reversed", file({ a: entry("F32", [2], [8, 0]) }, 8), /"a".data_offsets/],
    ["negative offset", file({ a: entry("F32", [2], [-8, 0]) }, 8), /"a".data_offsets/],
    ["text offsets", file({ a: entry("F32", [2], ["0", "8"]) }, 8), /"a".data_offsets/],
    ["overlap", file({ a: good, b: entry("F32", [2], [4, 12]) }, 12), /"b".data_offsets.*overlaps/],
    ["hole", file({ a: good, b: entry("F32", [1], [12, 16]) }, 16), /"b".data_offsets.*unused/],
    ["trailing bytes", file({ a: good }, 9), /data.*1 bytes/],
  ];
  for (const [what, source, pattern] of cases)
    assert.throws(
      () => readSafetensorsHeader(source),
      (error) => {
        assert.ok(error instanceof CheckpointError, `${what}: ${error}`);
        assert.match(error.message, pattern, what);
        assert.equal(error.file, source.name);
        return true;
      },
    );
  assert.equal(readSafetensorsHeader(file({ a: good, __metadata__: { format: "pt" } }, 8)).tensors.size, 1);
});

test("an index is not led astray", () => {
  inTemporaryFolder((folder) => {
    writeSafetensors(join(folder, "model-1.safetensors"), [randomTensor("a", "F32", [2], 1)]);
    writeSafetensors(join(folder, "other.txt.safetensors"), [randomTensor("a", "F32", [2], 1)]);
    const path = join(folder, "model.safetensors.index.json");
    const write = (map: unknown) => writeFileSync(path, JSON.stringify({ weight_map: map }));
    for (const name of [
      "../model-1.safetensors",
      "/etc/passwd",
      "a/b.safetensors",
      "..",
      "model-1.bin",
      "a\\b.safetensors",
      7,
      "",
    ]) {
      write({ a: name });
      assert.throws(() => openSafetensors(path), /weight_map.*plain name/, String(name));
    }
    write({ a: "missing.safetensors" });
    assert.throws(() => openSafetensors(path), /missing.safetensors: file: cannot be opened \(ENOENT\)/);
    write({ b: "model-1.safetensors" });
    assert.throws(() => openSafetensors(path), /weight_map."b".*does not hold/);
    writeFileSync(path, "[]");
    assert.throws(() => openSafetensors(path), /weight_map/);
    write({ a: "model-1.safetensors" });
    assert.equal(openSafetensors(folder).tensors.size, 1);
  });
});

test("a file that shrinks while it is open is noticed", () => {
  inTemporaryFolder((folder) => {
    const path = join(folder, "x.safetensors");
    writeSafetensors(path, [randomTensor("a", "F32", [64], 1)]);
    const bytes = readFileSync(path);
    const set = openSafetensors(path);
    writeFileSync(path, bytes.subarray(0, bytes.length - 10));
    assert.throws(() => readTensor(set.tensors.get("a")!), /ended at byte/);
    renameSync(path, join(folder, "y"));
    assert.throws(() => openSafetensors(folder), /model.safetensors: is missing/);
    set.close();
    assert.throws(() => readTensor(set.tensors.get("a")!), /closed/);
  });
});

test("the shared reference files open", () => {
  const goldens = shared("goldens");
  if (goldens === null) return;
  for (const name of readdirSync(goldens, { withFileTypes: true }).filter((item) => item.isDirectory())) {
    const set = openSafetensors(join(goldens, name.name, "golden.safetensors"));
    assert.equal(set.tensors.get("greedy")!.dtype, "I64");
    assert.equal(set.tensors.get("logits")!.shape.length, 3);
    set.close();
  }
});
