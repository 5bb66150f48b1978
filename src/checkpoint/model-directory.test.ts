// Models as whole files: through directory and GGUF and back in every type, older layouts, FP8 and FP4, and what is refused.
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { e2m1, e4m3 } from "../tensor/floats.ts";
import { BYTE_TO_CHAR } from "../text/alphabet.ts";
import { ggufVocabulary, tokenizerFromGguf } from "../text/gguf.ts";
import { loadTokenizer } from "../text/load.ts";
import { PATTERNS } from "../text/patterns.ts";
import type { Checkpoint, RawTensor } from "./checkpoint.ts";
import { parseConfig } from "./config.ts";
import { configToJson, pythonJson } from "./config-write.ts";
import type { DType } from "./dtype.ts";
import { blockSizes, elementCount } from "./dtype.ts";
import { CheckpointError } from "./errors.ts";
import type { GgufTensorToWrite } from "./gguf.ts";
import { openGguf, writeGguf } from "./gguf.ts";
import { reorderRows, splitKvB } from "./gguf-names.ts";
import { openCheckpoint } from "./model-directory.ts";
import { inTemporaryFolder, randomNumbers, shared, smallConfigs, smallModel } from "./models.fixture.ts";
import type { WritableType } from "./quantize.ts";
import { quantize, typeForRow } from "./quantize.ts";
import { dequantize } from "./quants.ts";
import type { TensorToWrite } from "./safetensors.ts";
import { writeSafetensors } from "./safetensors.ts";
import { findBlocks } from "./scaled.ts";
import { checkTensors } from "./tensors.ts";
import type { ModelSource } from "./write-model.ts";
import { modelFromArrays, writeGgufModel, writeHuggingFace } from "./write-model.ts";

const families = Object.keys(smallConfigs);

function assertSame(found: Checkpoint, model: ModelSource, what: string): void {
  assert.deepEqual([...found.tensorNames].sort(), [...model.tensorNames].sort(), what);
  for (const name of model.tensorNames) {
    assert.deepEqual(found.info(name).shape, model.info(name).shape, `${what} ${name}`);
    assert.deepEqual(found.load(name), model.load(name), `${what} ${name}`);
  }
  checkTensors(found.config, (name) => (found.has(name) ? found.info(name).shape : undefined), what);
}

/** What GGUF cannot carry: keys nothing reads, the way numbers were stored, ids without a vocabulary. */
const essence = (model: { config: ModelSource["config"] }) => ({
  ...model.config,
  extra: {},
  dtype: null,
  bosTokenId: null,
  eosTokenIds: [],
  padTokenId: null,
  architecture: "",
  initializerRange: 0,
});

test("every family survives directory, GGUF and back without losing a bit of F32", () => {
  inTemporaryFolder((folder) => {
    for (const family of families) {
      const model = smallModel(family);
      const directory = join(folder, family);
      writeHuggingFace(directory, model, { dtype: "F32", shardBytes: 40_000 });
      const first = openCheckpoint(directory);
      assertSame(first, model, family);
      assert.ok(first.files.length > 1);
      const file = join(folder, `${family}.gguf`);
      writeGgufModel(file, first);
      const second = openCheckpoint(file);
      assertSame(second, model, `${family}.gguf`);
      assert.deepEqual(essence(second), essence(model), family);
      writeHuggingFace(join(folder, `${family}-again`), second);
      const third = openCheckpoint(join(folder, `${family}-again`));
      assertSame(third, model, `${family} again`);
      for (const checkpoint of [first, second, third]) checkpoint.close();
    }
  });
});

test("the shared reference models survive GGUF and back without losing a bit", () => {
  const goldens = shared("goldens");
  if (goldens === null) return;
  inTemporaryFolder((folder) => {
    for (const item of readdirSync(goldens, { withFileTypes: true }).filter((entry) => entry.isDirectory())) {
      const model = openCheckpoint(join(goldens, item.name));
      const file = join(folder, `${item.name}.gguf`);
      writeGgufModel(file, model);
      const found = openCheckpoint(file);
      assertSame(found, model, item.name);
      assert.deepEqual(essence(found), essence(model), item.name);
      model.close();
      found.close();
    }
  });
});

test("16-bit and quantised weights are what quantising each tensor gives", () => {
  inTemporaryFolder((folder) => {
    const model = smallModel("deepseek_v2");
    for (const dtype of ["BF16", "F16", "Q8_0", "Q4_0", "Q4_K", "Q6_K"] as WritableType[]) {
      const file = join(folder, `${dtype}.gguf`);
      writeGgufModel(file, model, { dtype });
      const found = openCheckpoint(file);
      for (const name of model.tensorNames) {
        const { dtype: stored, shape } = found.info(name);
        if (shape.length < 2 || name.endsWith("mlp.gate.weight")) {
          assert.equal(stored, "F32", name);
          assert.deepEqual(found.load(name), model.load(name), name);
        } else if (!name.includes("kv_b_proj")) {
          const important = dtype === "Q4_K" && /embed_tokens|lm_head/.test(name);
          const expected = typeForRow(important ? "Q6_K" : dtype, shape[1]);
          assert.equal(stored, expected, name);
          const values = new Float32Array(elementCount(shape));
          dequantize(expected, quantize(expected, model.load(name)), values);
          assert.deepEqual(found.load(name), values, name);
        }
      }
      found.close();
    }
    for (const dtype of ["BF16", "F16"] as const) {
      writeHuggingFace(join(folder, dtype), model, { dtype });
      const found = openCheckpoint(join(folder, dtype));
      assert.equal(found.config.dtype, dtype === "BF16" ? "bfloat16" : "float16");
      const name = "model.layers.0.self_attn.o_proj.weight";
      assert.equal(found.info(name).dtype, dtype);
      const values = new Float32Array(elementCount(model.info(name).shape));
      dequantize(dtype, quantize(dtype, model.load(name)), values);
      assert.deepEqual(found.load(name), values);
      found.close();
    }
  });
});

function decode(raw: RawTensor): Float32Array {
  const out = new Float32Array(elementCount(raw.shape));
  const bytes = raw.read();
  assert.equal(bytes.byteLength, raw.bytes);
  dequantize(raw.dtype, bytes, out);
  return out;
}

test("raw blocks are in Hugging Face's row order, experts also stacked, kv_b also in halves", () => {
  inTemporaryFolder((folder) => {
    for (const family of families) {
      const file = join(folder, `${family}.gguf`);
      writeGgufModel(file, smallModel(family), { dtype: "Q8_0" });
      const found = openCheckpoint(file);
      for (const name of found.tensorNames) {
        const raw = found.raw(name);
        assert.deepEqual(decode(raw), found.load(name), name);
        const { stored, bytes } = found.info(name);
        const files = Buffer.concat(stored.map(({ source, offset, bytes }) => source.read(offset, bytes)));
        assert.equal(files.length, bytes, name);
        // The same bytes, but for the order of rows; kv_b in halves is put together from numbers.
        if (stored.length === 1) assert.deepEqual(files.toSorted(), raw.read().toSorted(), name);
      }
      const { moe } = found.config;
      if (moe !== null) {
        const v4 = family === "deepseek_v4";
        const at = v4 ? "model.layers.1.ffn.experts" : "model.layers.1.mlp.experts";
        const part = v4 ? "w2" : "down_proj";
        const stacked = found.raw(`${at}.${part}.weight`);
        assert.equal(stacked.shape[0], moe.nRoutedExperts);
        const values = decode(stacked);
        const size = values.length / moe.nRoutedExperts;
        for (let j = 0; j < moe.nRoutedExperts; j++)
          assert.deepEqual(values.slice(j * size, (j + 1) * size), found.load(`${at}.${j}.${part}.weight`));
      }
      const a = found.config.attention;
      if (a.kind === "latent") {
        const at = "model.layers.0.self_attn";
        const { kB, vB } = splitKvB(
          found.load(`${at}.kv_b_proj.weight`),
          a.heads,
          a.qkNopeHeadDim,
          a.vHeadDim,
          a.kvLoraRank,
        );
        assert.deepEqual(found.raw(`${at}.k_b_proj.weight`).shape, [a.heads, a.kvLoraRank, a.qkNopeHeadDim]);
        assert.deepEqual(decode(found.raw(`${at}.k_b_proj.weight`)), kB);
        assert.deepEqual(decode(found.raw(`${at}.v_b_proj.weight`)), vB);
      }
      found.close();
    }
  });
});

test("rows are reordered by pairs, the same way llama.cpp's converter does", () => {
  // One head of six rows of one byte: halves (0 1 2)(3 4 5) become pairs (0 3)(1 4)(2 5).
  const rows = Uint8Array.of(0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15);
  const gguf = reorderRows(rows, 2, 1, true);
  assert.deepEqual([...gguf], [0, 3, 1, 4, 2, 5, 10, 13, 11, 14, 12, 15]);
  assert.deepEqual(reorderRows(gguf, 2, 1, false), rows);
});

/** The tensors of a GGUF file, to write them again otherwise. */
function rewrite(from: string, to: string, change: (tensors: GgufTensorToWrite[]) => GgufTensorToWrite[]): void {
  const set = openGguf(from);
  const tensors = [...set.tensors.values()].map(({ name, dtype, shape, source, offset, bytes }) => ({
    name,
    dtype,
    shape,
    chunks: () => [source.read(offset, bytes)],
  }));
  writeGguf(to, set.metadata, change(tensors));
  set.close();
}

const f32 = (name: string, shape: number[], values: Float32Array): GgufTensorToWrite => ({
  name,
  dtype: "F32",
  shape,
  chunks: () => [new Uint8Array(values.buffer, values.byteOffset, values.byteLength)],
});

test("the older layouts open too: kv_b whole, gate and up stacked together, files in parts", () => {
  inTemporaryFolder((folder) => {
    const model = smallModel("deepseek_v2");
    const file = join(folder, "new.gguf");
    writeGgufModel(file, model);
    const old = join(folder, "old.gguf");
    rewrite(file, old, (tensors) => {
      const kept = tensors.filter(({ name }) => !/attn_[kv]_b|ffn_(gate|up)_exps/.test(name));
      for (let i = 0; i < 2; i++) {
        const name = `model.layers.${i}.self_attn.kv_b_proj.weight`;
        kept.push(f32(`blk.${i}.attn_kv_b.weight`, model.info(name).shape, model.load(name)));
      }
      const fused = new Float32Array(4 * 2 * 32 * 64);
      for (let j = 0; j < 4; j++)
        for (const [k, part] of ["gate_proj", "up_proj"].entries())
          fused.set(model.load(`model.layers.1.mlp.experts.${j}.${part}.weight`), (2 * j + k) * 32 * 64);
      return [...kept, f32("blk.1.ffn_gate_up_exps.weight", [4, 64, 64], fused)];
    });
    const found = openCheckpoint(old);
    assertSame(found, model, "old layout");
    found.close();
    const set = openGguf(file);
    const names = [...set.tensors.keys()];
    set.close();
    for (const part of [0, 1]) {
      rewrite(file, join(folder, "part.gguf"), (tensors) =>
        tensors.filter(({ name }) => names.indexOf(name) % 2 === part),
      );
      const half = openGguf(join(folder, "part.gguf"));
      const metadata = new Map(part === 0 ? half.metadata : []);
      metadata.set("split.no", { type: "u16", value: part });
      metadata.set("split.count", { type: "u16", value: 2 });
      const tensors = [...half.tensors.values()].map((tensor) => ({
        ...tensor,
        chunks: () => [tensor.source.read(tensor.offset, tensor.bytes)],
      }));
      writeGguf(join(folder, `split-0000${part + 1}-of-00002.gguf`), metadata, tensors);
      half.close();
    }
    const split = openCheckpoint(join(folder, "split-00002-of-00002.gguf"));
    assert.equal(split.files.length, 2);
    assertSame(split, model, "split");
    split.close();
  });
});

test("a tensor that is missing, misshapen or of unknown name is an error with its name", () => {
  inTemporaryFolder((folder) => {
    const model = smallModel("llama");
    const file = join(folder, "good.gguf");
    writeGgufModel(file, model);
    rewrite(file, join(folder, "bad.gguf"), (tensors) => tensors.filter(({ name }) => name !== "blk.1.attn_v.weight"));
    const found = openCheckpoint(join(folder, "bad.gguf"));
    assert.throws(
      () => found.load("model.layers.1.self_attn.v_proj.weight"),
      /v_proj.weight": is not in this checkpoint/,
    );
    assert.throws(() => found.raw("constructor"), CheckpointError);
    assert.throws(
      () => writeHuggingFace(join(folder, "never"), { ...found, tensorNames: ["no.such"] }),
      CheckpointError,
    );
    found.close();
    rewrite(file, join(folder, "bad.gguf"), (tensors) =>
      tensors.map((tensor) =>
        tensor.name === "blk.1.attn_v.weight" ? { ...tensor, shape: [...tensor.shape].reverse() } : tensor,
      ),
    );
    assert.throws(() => openCheckpoint(join(folder, "bad.gguf")), /"blk.1.attn_v.weight": has shape \[64,32\]/);
    assert.throws(() => openCheckpoint(join(folder, "nothing")), /does not exist/);
    assert.throws(() => openCheckpoint(folder), /2 .gguf files/);
    mkdirSync(join(folder, "empty"));
    assert.throws(() => openCheckpoint(join(folder, "empty")), /no model directory/);
    renameSync(file, join(folder, "empty", "only.gguf"));
    assert.equal(openCheckpoint(join(folder, "empty")).kind, "gguf");
    assert.deepEqual(
      readdirSync(folder).filter((name) => /never|partial/.test(name)),
      [],
    );
  });
});

/** FP8 bytes of a matrix, every pattern but NaN. */
function fp8(rows: number, columns: number, seed: number): Uint8Array {
  const random = randomNumbers(seed);
  return Uint8Array.from({ length: rows * columns }, () => {
    const byte = Math.floor(random() * 256);
    return (byte & 0x7f) === 0x7f ? 0 : byte;
  });
}

function writeFp8Model(folder: string, tensors: TensorToWrite[], family: string, extra: Record<string, unknown>): void {
  const config = { ...configToJson(parseConfig(smallConfigs[family])), ...extra };
  writeFileSync(join(folder, "config.json"), pythonJson(config));
  writeSafetensors(join(folder, "model.safetensors"), tensors);
}

const stored = (name: string, dtype: TensorToWrite["dtype"], shape: number[], bytes: Uint8Array): TensorToWrite => ({
  name,
  dtype,
  shape,
  read: () => bytes,
});

test("FP8 with scales per block, partial blocks at both edges, F32 and UE8M0 scales", () => {
  inTemporaryFolder((folder) => {
    const a = fp8(130, 200, 1);
    const b = fp8(40, 70, 2);
    const scales = Float32Array.of(0.5, 2, 3, 0.25);
    const exponents = Uint8Array.of(127, 128, 126, 130, 120, 127);
    const norm = Float32Array.of(1, 2);
    writeFp8Model(
      folder,
      [
        stored("a.weight", "F8_E4M3", [130, 200], a),
        stored("a.weight_scale_inv", "F32", [2, 2], new Uint8Array(scales.buffer)),
        stored("b.weight", "F8_E4M3", [40, 70], b),
        stored("b.scale", "F8_E8M0", [2, 3], exponents),
        stored("c.weight", "F32", [2], new Uint8Array(norm.buffer)),
        stored("d.weight", "F8_E4M3", [2, 2], Uint8Array.of(0x38, 0x40, 0xb8, 0)),
      ],
      "deepseek_v3",
      { quantization_config: { quant_method: "fp8", fmt: "e4m3", weight_block_size: [128, 128] } },
    );
    const found = openCheckpoint(folder);
    assert.deepEqual([...found.tensorNames], ["a.weight", "b.weight", "c.weight", "d.weight"]);
    const values = found.load("a.weight");
    for (const [r, c, scale] of [
      [0, 0, 0.5],
      [127, 127, 0.5],
      [127, 128, 2],
      [128, 127, 3],
      [129, 199, 0.25],
    ])
      assert.equal(values[r * 200 + c], Math.fround(e4m3[a[r * 200 + c]] * scale), `${r} ${c}`);
    // 32 × 32 blocks: scales 1, 2, 0.5 / 8, 2^-7, 1
    const small = found.load("b.weight");
    for (const [r, c, scale] of [
      [0, 0, 1],
      [31, 63, 2],
      [31, 64, 0.5],
      [32, 31, 8],
      [39, 32, 2 ** -7],
      [39, 69, 1],
    ])
      assert.equal(small[r * 70 + c], Math.fround(e4m3[b[r * 70 + c]] * scale), `${r} ${c}`);
    assert.deepEqual([...found.load("d.weight")], [1, 2, -1, 0]);
    const raw = found.raw("a.weight");
    assert.equal(raw.dtype, "F8_E4M3");
    assert.deepEqual(raw.scales, { rows: 128, columns: 128, values: scales });
    assert.equal(found.info("a.weight").bytes, 130 * 200 + 16);
    found.close();
  });
});

test("scales that fit no block size are refused", () => {
  assert.deepEqual(findBlocks([576, 7168], [5, 56], null), [128, 128]);
  assert.deepEqual(findBlocks([512, 512], [16, 16], [128, 128]), [32, 32]);
  assert.equal(findBlocks([512, 512], [3, 4], null), undefined);
  inTemporaryFolder((folder) => {
    for (const shape of [[3, 2], [4]]) {
      const scale = new Uint8Array(4 * elementCount(shape));
      writeFp8Model(
        folder,
        [
          stored("a.weight", "F8_E4M3", [130, 200], fp8(130, 200, 1)),
          stored("a.weight_scale_inv", "F32", shape, scale),
        ],
        "deepseek_v3",
        {},
      );
      assert.throws(() => openCheckpoint(folder), /"a.weight_scale_inv".*cannot be the scales/);
    }
  });
});

test("V4's released names and FP4 experts: lower nibble first, one UE8M0 scale per 32, exact as MXFP4", () => {
  inTemporaryFolder((folder) => {
    const random = randomNumbers(3);
    const packed = Uint8Array.from({ length: 2 * 32 }, () => Math.floor(random() * 256));
    const exponents = Uint8Array.of(127, 129, 120, 133);
    const one = new Uint8Array(Float32Array.of(7).buffer);
    writeFp8Model(
      folder,
      [
        stored("layers.0.ffn.experts.0.w1.weight", "I8", [2, 32], packed),
        stored("layers.0.ffn.experts.0.w1.scale", "F8_E8M0", [2, 2], exponents),
        stored("embed.weight", "F32", [1], one),
        stored("norm.weight", "F32", [1], one),
        stored("head.weight", "F32", [1], one),
        stored("hc_head_fn", "F32", [1], one),
        stored("layers.0.attn.kv_norm.weight", "F32", [1], one),
        stored("mtp.0.attn.kv_norm.weight", "F32", [1], one),
        stored("mtp.0.e_proj.weight", "F32", [1], one),
      ],
      "deepseek_v4",
      {},
    );
    const found = openCheckpoint(folder);
    assert.deepEqual([...found.tensorNames].sort(), [
      "head.weight",
      "model.embed_tokens.weight",
      "model.hc_head.hc_fn",
      "model.layers.0.attn.norm.weight",
      "model.layers.0.ffn.experts.0.w1.weight",
      "model.norm.weight",
      "mtp.0.attn.norm.weight",
      "mtp.0.e_proj.weight",
    ]);
    const name = "model.layers.0.ffn.experts.0.w1.weight";
    const { stored: stretches, ...info } = found.info(name);
    assert.deepEqual(info, { name, dtype: "MXFP4", shape: [2, 64], bytes: 68 });
    assert.deepEqual(
      stretches.map(({ source, offset, bytes }) => [...source.read(offset, bytes)]),
      [[...packed], [...exponents]],
    );
    const expected = Float32Array.from({ length: 128 }, (_, i) => {
      const byte = packed[i >> 1];
      return e2m1[i % 2 === 0 ? byte & 15 : byte >> 4] * 2 ** (exponents[i >> 5] - 127);
    });
    assert.deepEqual(found.load(name), expected);
    assert.equal(found.raw(name).dtype, "MXFP4");
    assert.deepEqual(decode(found.raw(name)), expected);
    found.close();
  });
});

/** A byte-level vocabulary: 256 bytes, four merges, a begin and an end token. The bytes of 平 are written å¹³, with two numerals. */
function tokenizerJson(digits: boolean, merges = ["h e", "l l", "å ¹", "å¹ ³"]): Record<string, unknown> {
  const tokens = [...BYTE_TO_CHAR, ...merges.map((merge) => merge.replace(" ", ""))];
  const special = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  const bos = "<｜begin▁of▁sentence｜>";
  return {
    version: "1.0",
    added_tokens: [
      { id: 260, content: bos, ...special },
      { id: 261, content: "<｜end▁of▁sentence｜>", ...special },
      { id: 262, content: "<think>", ...special, special: false },
    ],
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        ...PATTERNS[digits ? "deepseek-v3-digits" : "qwen2"].map((source) => ({
          type: "Split",
          pattern: { Regex: source },
          behavior: "Isolated",
          invert: false,
        })),
        { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false },
      ],
    },
    post_processor: {
      type: "TemplateProcessing",
      single: [{ SpecialToken: { id: bos, type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
      pair: [],
      special_tokens: { [bos]: { id: bos, ids: [260], tokens: [bos] } },
    },
    decoder: { type: "ByteLevel" },
    model: { type: "BPE", vocab: Object.fromEntries(tokens.map((token, id) => [token, id])), merges },
  };
}

test("tokenizer, template and generation settings travel with the model in every direction", () => {
  inTemporaryFolder((folder) => {
    for (const digits of [false, true]) {
      const source = join(folder, `tokenizer-${digits}.json`);
      writeFileSync(source, JSON.stringify(tokenizerJson(digits)));
      const config = parseConfig({ ...smallConfigs.llama, vocab_size: 270 });
      const base = smallModel("llama");
      const wide = (name: string) => /embed_tokens|lm_head/.test(name);
      const tensors = new Map(
        base.tensorNames.map((name) => {
          const shape = wide(name) ? [270, 64] : base.info(name).shape;
          return [name, { shape, values: wide(name) ? new Float32Array(270 * 64) : base.load(name) }];
        }),
      );
      const model = modelFromArrays(config, tensors, {
        tokenizer: { kind: "tokenizer.json", path: source, configPath: null },
        chatTemplate: "{{ messages }} ｜",
        generationConfig: { temperature: 1, eos_token_id: [261] },
      });
      const directory = join(folder, `directory-${digits}`);
      writeHuggingFace(directory, model);
      const first = openCheckpoint(directory);
      assert.equal(first.chatTemplate, "{{ messages }} ｜");
      assert.deepEqual(first.generationConfig, { temperature: 1, eos_token_id: [261] });
      assert.match(readFileSync(join(directory, "generation_config.json"), "utf8"), /"temperature": 1\.0/);
      const file = join(folder, `model-${digits}.gguf`);
      writeGgufModel(file, first);
      const second = openCheckpoint(file);
      assert.equal(second.chatTemplate, "{{ messages }} ｜");
      assert.deepEqual(second.config.eosTokenIds, [261]);
      assert.ok(second.tokenizer?.kind === "gguf");
      const { vocabulary } = second.tokenizer;
      assert.equal(vocabulary.get("tokenizer.ggml.pre"), digits ? "deepseek-v3" : "qwen2");
      assert.equal((vocabulary.get("tokenizer.ggml.tokens") as string[]).length, 270);
      writeHuggingFace(join(folder, `again-${digits}`), second);
      const tokenizers = [
        loadTokenizer(source),
        loadTokenizer(directory),
        tokenizerFromGguf(ggufVocabulary((key) => vocabulary.get(key))),
        loadTokenizer(join(folder, `again-${digits}`)),
      ];
      const text = "hello world <think> 12345 中文 平均 hell <｜end▁of▁sentence｜>";
      const encoded = tokenizers.map((tokenizer) => [
        ...tokenizer.encode(text, { addSpecial: true, parseSpecial: true }),
      ]);
      for (const ids of encoded) assert.deepEqual(ids, encoded[0]);
      assert.equal(encoded[0][0], 260);
      first.close();
      second.close();
    }
  });
});

test("a vocabulary larger than the model, or split as no GGUF reader splits, is refused", () => {
  inTemporaryFolder((folder) => {
    const path = join(folder, "tokenizer.json");
    const tokenizer = { kind: "tokenizer.json", path, configPath: null } as const;
    writeFileSync(path, JSON.stringify(tokenizerJson(false)));
    assert.throws(
      () => writeGgufModel(join(folder, "x.gguf"), { ...smallModel("llama"), tokenizer }),
      /vocab_size is 40/,
    );
    const json = tokenizerJson(false);
    json.pre_tokenizer = {
      type: "Sequence",
      pretokenizers: [{ type: "Digits" }, { type: "ByteLevel", use_regex: false }],
    };
    writeFileSync(path, JSON.stringify(json));
    const config = parseConfig({ ...smallConfigs.llama, vocab_size: 270 });
    assert.throws(
      () => writeGgufModel(join(folder, "x.gguf"), { ...smallModel("llama"), config, tokenizer }),
      /pre_tokenizer/,
    );
    writeFileSync(path, JSON.stringify(tokenizerJson(true, ["h e", "l l", "1 2", "å ¹"])));
    assert.throws(
      () => writeGgufModel(join(folder, "x.gguf"), { ...smallModel("llama"), config, tokenizer }),
      /"12" is a token/,
    );
    assert.deepEqual(readdirSync(folder), ["tokenizer.json"]);
  });
});

test("a directory is replaced whole or not at all", () => {
  inTemporaryFolder((folder) => {
    const directory = join(folder, "model");
    writeHuggingFace(directory, smallModel("llama", 1));
    assert.throws(() => writeHuggingFace(directory, smallModel("llama", 2)), /not empty/);
    const broken: ModelSource = {
      ...smallModel("llama", 2),
      load() {
        throw new Error("power cut");
      },
      raw() {
        throw new Error("power cut");
      },
    };
    assert.throws(() => writeHuggingFace(directory, broken, { replace: true }), /power cut/);
    assertSame(openCheckpoint(directory), smallModel("llama", 1), "kept");
    writeHuggingFace(directory, smallModel("llama", 2), { replace: true });
    assertSame(openCheckpoint(directory), smallModel("llama", 2), "replaced");
    assert.deepEqual(readdirSync(folder), ["model"]);
  });
});

test("block types of GGUF cross unchanged into another GGUF, and as BF16 into a directory", () => {
  inTemporaryFolder((folder) => {
    const first = join(folder, "a.gguf");
    writeGgufModel(first, smallModel("deepseek_v2"), { dtype: "Q4_0" });
    const opened = openCheckpoint(first);
    writeGgufModel(join(folder, "b.gguf"), opened);
    const again = openCheckpoint(join(folder, "b.gguf"));
    for (const name of opened.tensorNames) {
      const dtype: DType = opened.info(name).dtype;
      assert.equal(again.info(name).dtype, dtype);
      assert.deepEqual(again.raw(name).read(), opened.raw(name).read(), `${name} ${blockSizes[dtype].bytes}`);
    }
    for (const half of ["k_b_proj", "v_b_proj"]) {
      const name = `model.layers.1.self_attn.${half}.weight`;
      assert.equal(again.raw(name).dtype, opened.raw(name).dtype);
      assert.deepEqual(again.raw(name).read(), opened.raw(name).read(), name);
    }
    writeHuggingFace(join(folder, "directory"), opened);
    const directory = openCheckpoint(join(folder, "directory"));
    for (const name of opened.tensorNames) {
      assert.equal(directory.info(name).dtype, "BF16", name);
      const values = new Float32Array(elementCount(opened.info(name).shape));
      dequantize("BF16", quantize("BF16", opened.load(name)), values);
      assert.deepEqual(directory.load(name), values, name);
    }
    directory.close();
    opened.close();
    again.close();
  });
});
