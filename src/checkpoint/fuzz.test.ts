// Mutates real headers, metadata and configurations at least 20,000 times: every outcome must be a checkpoint that can be read to
// its last byte or a CheckpointError, in bounded time, with no read outside the file.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { ByteSource } from "./byte-source.ts";
import { parseConfigText } from "./config.ts";
import { configToJson, pythonJson } from "./config-write.ts";
import { byteCount } from "./dtype.ts";
import { CheckpointError } from "./errors.ts";
import { readGgufHeader } from "./gguf.ts";
import { ggufCheckpoint } from "./gguf-model.ts";
import { openCheckpoint } from "./model-directory.ts";
import { inTemporaryFolder, randomNumbers, shared, smallConfigs, smallModel } from "./models.fixture.ts";
import { openSafetensors, readSafetensorsHeader, readTensor } from "./safetensors.ts";
import { countParameters } from "./tensors.ts";
import { writeGgufModel, writeHuggingFace } from "./write-model.ts";

/** A source that fails the test, not the reader, when a read leaves it. */
class WatchedSource implements ByteSource {
  readonly name = "fuzz";
  readonly size: number;
  readonly #bytes: Uint8Array;
  strayed = "";

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.size = bytes.byteLength;
  }

  read(offset: number, length: number): Uint8Array {
    if (
      !Number.isSafeInteger(offset) ||
      !Number.isSafeInteger(length) ||
      offset < 0 ||
      length < 0 ||
      offset + length > this.size
    )
      this.strayed = `${offset}+${length} of ${this.size}`;
    return this.#bytes.slice(offset, offset + length);
  }

  readInto(offset: number, target: Uint8Array): void {
    target.set(this.read(offset, target.byteLength));
  }

  close(): void {}
}

type Random = () => number;
const below = (random: Random, n: number): number => Math.floor(random() * n);

/** Numbers that break careless arithmetic, as eight little-endian bytes. */
const extremes: bigint[] = [
  0n,
  1n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 53n,
  2n ** 62n,
  2n ** 63n,
  2n ** 64n - 1n,
];

function joined(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** One to four changes within the first `span` bytes: flipped, overwritten, removed, doubled, cut off. */
function mutate(bytes: Uint8Array, span: number, random: Random): Uint8Array {
  let out = Uint8Array.from(bytes);
  for (let n = 1 + below(random, 4); n > 0; n--) {
    const at = below(random, Math.min(span, out.length));
    switch (below(random, 7)) {
      case 0:
        out[at] ^= 1 << below(random, 8);
        break;
      case 1:
        out[at] = below(random, 256);
        break;
      case 2: {
        const view = new DataView(out.buffer, out.byteOffset, out.byteLength);
        if (at + 8 <= out.length) view.setBigUint64(at, extremes[below(random, extremes.length)], true);
        break;
      }
      case 3:
        out = joined(out.subarray(0, at), out.subarray(at + 1 + below(random, 8)));
        break;
      case 4:
        out = joined(out.subarray(0, at), out.subarray(Math.max(0, at - 16), at), out.subarray(at));
        break;
      case 5:
        out = out.slice(0, at + 1);
        break;
      default:
        if (at + 4 <= out.length) out.fill(below(random, 256), at, at + 4);
    }
    if (out.length === 0) out = Uint8Array.of(0);
  }
  return out;
}

const values = [
  "-1",
  "0",
  "1e308",
  "9007199254740993",
  "4294967296",
  "null",
  "true",
  "{}",
  "[]",
  '"x"',
  "0.5",
  "[[[[]]]]",
  '{"type":"yarn"}',
];

/** Changes to JSON text that keep it mostly JSON: a number replaced, a line removed or doubled; and raw bytes now and then. */
function mutateJson(text: string, random: Random): string {
  if (below(random, 4) === 0) {
    const bytes = new TextEncoder().encode(text);
    return new TextDecoder().decode(mutate(bytes, bytes.length, random));
  }
  let out = text;
  for (let n = 1 + below(random, 3); n > 0; n--) {
    const places = [...out.matchAll(/-?\d+(?:\.\d+)?(?:e-?\d+)?|true|false|null|"[^"]*"/g)];
    if (places.length === 0) break;
    const place = places[below(random, places.length)];
    out = out.slice(0, place.index) + values[below(random, values.length)] + out.slice(place.index + place[0].length);
  }
  return out;
}

/** Runs one attempt; anything but success or a CheckpointError is a failure that names the seed. */
function attempt(what: string, round: number, run: () => void): boolean {
  const started = process.cpuUsage();
  let accepted = true;
  try {
    run();
  } catch (error) {
    accepted = false;
    if (!(error instanceof CheckpointError)) throw new Error(`${what}, round ${round}: ${(error as Error).stack}`);
    assert.ok(error.message.length < 2000, `${what}, round ${round}: an endless message`);
  }
  // Time of this process, not of the clock: other work on the machine says nothing about ours.
  const { user, system } = process.cpuUsage(started);
  const took = (user + system) / 1000;
  assert.ok(took < 2000, `${what}, round ${round} took ${took} ms`);
  return accepted;
}

const rounds = { safetensors: 7000, gguf: 7000, config: 6500, directory: 600 };

test("at least 20,000 mutated headers and configurations", () => {
  const total = rounds.safetensors + rounds.gguf + rounds.config + rounds.directory;
  assert.ok(total >= 20_000);
  let accepted = 0;
  inTemporaryFolder((folder) => {
    // Small samples of every family, and the shared ones where they are.
    const safetensors: Uint8Array[] = [];
    const gguf: Uint8Array[] = [];
    const configs: string[] = [];
    for (const family of Object.keys(smallConfigs)) {
      const directory = join(folder, family);
      const model = smallModel(family);
      writeHuggingFace(directory, model, { dtype: "BF16" });
      writeGgufModel(join(folder, `${family}.gguf`), model, { dtype: "Q4_0" });
      safetensors.push(readFileSync(join(directory, "model.safetensors")));
      gguf.push(readFileSync(join(folder, `${family}.gguf`)));
      configs.push(readFileSync(join(directory, "config.json"), "utf8"));
    }
    const small = safetensors.length;
    for (const name of ["deepseek-v2-lite", "deepseek-v4"]) {
      const golden = shared(`goldens/${name}`);
      if (golden === null) continue;
      safetensors.push(readFileSync(join(golden, "model.safetensors")));
      configs.push(readFileSync(join(golden, "config.json"), "utf8"));
    }

    const random = randomNumbers(20_261_121);
    for (let i = 0; i < rounds.safetensors; i++) {
      // The large shared files take their turn less often.
      const bytes = i % 20 === 0 ? safetensors[i % safetensors.length] : safetensors[i % small];
      const header = 8 + new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
      const source = new WatchedSource(mutateHeader(bytes, header, random));
      const good = attempt("safetensors", i, () => {
        for (const tensor of readSafetensorsHeader(source).tensors.values())
          assert.equal(readTensor(tensor).byteLength, byteCount(tensor.dtype, tensor.shape));
      });
      if (good) accepted++;
      assert.equal(source.strayed, "", `safetensors, round ${i}`);
    }
    for (let i = 0; i < rounds.gguf; i++) {
      const bytes = gguf[i % gguf.length];
      const source = new WatchedSource(mutate(bytes, below(random, 3) === 0 ? 2000 : 12_000, random));
      const good = attempt("gguf", i, () => {
        const header = readGgufHeader(source);
        const checkpoint = ggufCheckpoint({ ...header, files: ["fuzz"], close() {} }, "fuzz");
        for (const name of checkpoint.tensorNames) {
          checkpoint.raw(name).read();
          if (i % 16 === 0) checkpoint.load(name);
        }
      });
      if (good) accepted++;
      assert.equal(source.strayed, "", `gguf, round ${i}`);
    }
    for (let i = 0; i < rounds.config; i++) {
      const text = mutateJson(configs[i % configs.length], random);
      const good = attempt("config", i, () => {
        const config = parseConfigText(text);
        if (config.numHiddenLayers * (config.moe?.nRoutedExperts ?? 1) <= 4096) countParameters(config);
        assert.deepEqual(parseConfigText(pythonJson(configToJson(config))), config);
      });
      if (good) accepted++;
    }
    const directory = join(folder, "llama");
    const original = readFileSync(join(directory, "config.json"), "utf8");
    const index = JSON.stringify({
      weight_map: Object.fromEntries(smallModel("llama").tensorNames.map((name) => [name, "model.safetensors"])),
    });
    const indexPath = join(folder, "llama", "model.safetensors.index.json");
    for (let i = 0; i < rounds.directory; i++) {
      const good = attempt("directory", i, () => {
        if (i % 2 === 0) {
          writeFileSync(join(directory, "config.json"), mutateJson(original, random));
          const checkpoint = openCheckpoint(directory);
          for (const name of checkpoint.tensorNames) checkpoint.load(name);
          checkpoint.close();
        } else {
          writeFileSync(indexPath, mutateJson(index, random));
          const set = openSafetensors(indexPath);
          for (const tensor of set.tensors.values()) readTensor(tensor);
          set.close();
        }
      });
      if (good) accepted++;
    }
  });
  // Were nothing accepted, the mutations would all die at the first check and prove little.
  assert.ok(accepted > total / 50, `only ${accepted} of ${total} were accepted`);
  assert.ok(accepted < total, "nothing was ever refused");
  console.log(`${total} mutations, ${accepted} of them harmless`);
});

/** Half of the mutations hit structure (JSON values in the header), half raw bytes. */
function mutateHeader(bytes: Uint8Array, header: number, random: Random): Uint8Array {
  if (below(random, 2) === 0) return mutate(bytes, header, random);
  const text = new TextDecoder().decode(bytes.subarray(8, header));
  const encoded = new TextEncoder().encode(mutateJson(text, random));
  const out = new Uint8Array(8 + encoded.length + bytes.length - header);
  new DataView(out.buffer).setBigUint64(0, BigInt(encoded.length), true);
  out.set(encoded, 8);
  out.set(bytes.subarray(header), 8 + encoded.length);
  return out;
}
