// Proves that llama.cpp loads the GGUF files Weir writes: every reference model it knows the architecture of is written as GGUF
// and continued greedily by node-llama-cpp; the tokens must be the reference's. Run from a folder where `npm i node-llama-cpp@3.22`
// was done, or after `npm --prefix bench install`:
//
//   node bench/peers/llama-cpp-loads.ts [--dtype F32] [MODEL_DIRECTORY …]
//
// Directories need config.json, model.safetensors and golden.safetensors (input_ids, greedy); default: those of ../shared/goldens.
//
// Keys without which llama.cpp refuses a file (X is the architecture), beside tensors of the right shapes:
//   all         general.architecture, X.block_count, X.context_length, X.embedding_length, X.feed_forward_length,
//               X.attention.head_count, X.attention.layer_norm_rms_epsilon, tokenizer.ggml.model (with tokens and merges)
//   deepseek2   also X.leading_dense_block_count, X.attention.kv_lora_rank, X.attention.key_length, .value_length,
//               .key_length_mla, .value_length_mla, X.expert_count, X.expert_used_count, X.expert_shared_count,
//               X.expert_feed_forward_length, X.expert_gating_func (else V2's softmax is assumed), X.rope.dimension_count
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { parseConfig } from "../../src/checkpoint/config.ts";
import { elementCount } from "../../src/checkpoint/dtype.ts";
import { openCheckpoint } from "../../src/checkpoint/model-directory.ts";
import type { WritableType } from "../../src/checkpoint/quantize.ts";
import { openSafetensors, readTensor, writeSafetensors } from "../../src/checkpoint/safetensors.ts";
import { tensorSpecs } from "../../src/checkpoint/tensors.ts";
import type { ModelSource } from "../../src/checkpoint/write-model.ts";
import { modelFromArrays, writeGgufModel, writeHuggingFace } from "../../src/checkpoint/write-model.ts";
import { main as weir } from "../../src/cli/main.ts";
import { writeTokenizer } from "../models.ts";

/** The parts of node-llama-cpp that are used. */
interface Peer {
  getLlama(options: Record<string, unknown>): Promise<{
    loadModel(options: { modelPath: string; gpuLayers: number }): Promise<{
      createContext(options: Record<string, unknown>): Promise<{
        getSequence(): {
          clearHistory(): Promise<void>;
          evaluate(tokens: number[], options: Record<string, unknown>): AsyncIterable<number>;
        };
        dispose(): Promise<void>;
      }>;
      dispose(): Promise<void>;
    }>;
  }>;
}

async function loadPeer(): Promise<Peer> {
  for (const base of [import.meta.url, pathToFileURL(join(process.cwd(), "package.json")).href])
    try {
      return (await import(pathToFileURL(createRequire(base).resolve("node-llama-cpp")).href)) as unknown as Peer;
    } catch (error) {
      if ((error as { code?: string }).code !== "MODULE_NOT_FOUND") throw error;
    }
  throw new Error("node-llama-cpp is not installed; run `npm i node-llama-cpp@3.22` in this folder first");
}

function readIds(directory: string): { prompt: number[]; greedy: number[] } {
  const golden = openSafetensors(join(directory, "golden.safetensors"));
  const ids = (name: string) => {
    const bytes = readTensor(golden.tensors.get(name)!);
    return [...new BigInt64Array(bytes.slice().buffer)].map(Number);
  };
  const greedy = ids("greedy");
  const prompt = ids("input_ids").slice(0, 40);
  golden.close();
  return { prompt, greedy };
}

/** Small random models of what the goldens leave out or llama.cpp cannot take at their size; Weir's own forward pass is the measure. */
const common = {
  vocab_size: 320,
  hidden_size: 64,
  intermediate_size: 160,
  num_attention_heads: 4,
  moe_intermediate_size: 64,
  n_routed_experts: 8,
  n_shared_experts: 2,
  num_experts_per_tok: 3,
  first_k_dense_replace: 1,
  max_position_embeddings: 512,
};
const latent = { kv_lora_rank: 32, qk_nope_head_dim: 32, qk_rope_head_dim: 16, v_head_dim: 32 };
const randomConfigs: Record<string, Record<string, unknown>> = {
  "random deepseek (MoE-16B)": { ...common, model_type: "deepseek", num_hidden_layers: 3 },
  "random deepseek_v2 without query compression": {
    ...common,
    ...latent,
    model_type: "deepseek_v2",
    num_hidden_layers: 27,
  },
  "random deepseek_v3 with a prediction module": {
    ...common,
    ...latent,
    model_type: "deepseek_v3",
    num_hidden_layers: 3,
    q_lora_rank: 32,
    num_nextn_predict_layers: 1,
  },
  "random deepseek_v32": {
    ...common,
    ...latent,
    model_type: "deepseek_v32",
    num_hidden_layers: 3,
    q_lora_rank: 32,
    qk_rope_head_dim: 64,
    index_n_heads: 4,
    index_head_dim: 128,
    index_topk: 16,
  },
  "random deepseek_v4 compressing by 4 and 128": {
    ...common,
    model_type: "deepseek_v4",
    num_hidden_layers: 5,
    head_dim: 128,
    qk_rope_head_dim: 64,
    q_lora_rank: 32,
    o_groups: 2,
    o_lora_rank: 32,
    sliding_window: 32,
    compress_ratios: [0, 128, 4, 128, 4],
    num_hash_layers: 1,
    n_shared_experts: 1,
    index_n_heads: 4,
    index_head_dim: 128,
    index_topk: 8,
    hc_mult: 4,
    hc_sinkhorn_iters: 20,
    hc_eps: 1e-6,
    swiglu_limit: 10,
  },
};

/** Why llama.cpp (v0.5.0) cannot give the reference's tokens, whatever the file says. */
const knownLimits: Record<string, string> = {
  "deepseek-v2": "llama.cpp ranks expert groups by their two best experts, as V3 does; V2 ranks them by the best one",
  "deepseek-v2-lite":
    "llama.cpp takes deepseek2 without query compression only with 26 or 27 layers (see the random model)",
  "deepseek-v3-flat":
    "llama.cpp takes deepseek2 without query compression only with 26 or 27 layers (see the random model)",
  "deepseek-v3.2": "llama.cpp's indexer needs heads of at least 64 dimensions (see the random model)",
  "deepseek-v4": "llama.cpp compresses by 4 and 128 only; this reference by 4 and 32 (see the random model)",
};

function randomModel(json: Record<string, unknown>): ModelSource {
  const config = parseConfig(json);
  let state = 1;
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  const tensors = new Map(
    tensorSpecs(config, { mtp: true }).map(({ name, shape }) => {
      const values = Float32Array.from({ length: elementCount(shape) }, () =>
        name.endsWith("tid2eid") ? Math.floor((random() + 0.5) * 8) : /norm\.weight$/.test(name) ? 1 : 0.2 * random(),
      );
      return [name, { shape, values }];
    }),
  );
  return modelFromArrays(config, tensors);
}

/** Writes one model, lets llama.cpp continue every prompt greedily by `count` tokens. */
async function continueWith(
  model: ModelSource,
  prompts: number[][],
  count: number,
  dtype?: WritableType,
): Promise<number[][]> {
  const folder = mkdtempSync(join(tmpdir(), "weir-llama-"));
  try {
    const tokenizer = join(folder, "tokenizer.json");
    writeTokenizer(tokenizer, model.config.vocabSize);
    const file = join(folder, "model.gguf");
    writeGgufModel(
      file,
      { ...model, tokenizer: { kind: "tokenizer.json", path: tokenizer, configPath: null } },
      { dtype },
    );
    const peer = await loadPeer();
    const llama = await peer.getLlama({ gpu: false, build: "never", logLevel: "error" });
    const loaded = await llama.loadModel({ modelPath: file, gpuLayers: 0 });
    // The default cache is half precision, which is not what the reference computed with.
    const precise = { experimentalKvCacheKeyType: "F32", experimentalKvCacheValueType: "F32", flashAttention: false };
    const context = await loaded.createContext({ contextSize: 256, threads: 1, ...precise });
    const sequence = context.getSequence();
    const continued: number[][] = [];
    for (const prompt of prompts) {
      await sequence.clearHistory();
      const found: number[] = [];
      for await (const token of sequence.evaluate(prompt, { temperature: 0 })) {
        found.push(token);
        if (found.length === count) break;
      }
      continued.push(found);
    }
    return continued;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A model wide enough for blocks of 256, for each type: what llama.cpp makes of the blocks against what Weir decodes them to. */
const blockTypes: WritableType[] = ["F16", "BF16", "Q8_0", "Q4_0", "Q5_0", "Q4_K", "Q6_K"];
const blockSubject = (dtype: WritableType) => `random llama in ${dtype} against its decoded values`;
const wide = {
  model_type: "llama",
  vocab_size: 320,
  hidden_size: 256,
  intermediate_size: 512,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 512,
};

/** The same model with every weight as its quantised blocks decode. */
function decoded(model: ModelSource, dtype: WritableType): ModelSource {
  const folder = mkdtempSync(join(tmpdir(), "weir-llama-"));
  try {
    writeGgufModel(join(folder, "model.gguf"), model, { dtype });
    const checkpoint = openCheckpoint(join(folder, "model.gguf"));
    const tensors = new Map(
      checkpoint.tensorNames.map((name) => [
        name,
        { shape: checkpoint.info(name).shape, values: checkpoint.load(name) },
      ]),
    );
    checkpoint.close();
    return modelFromArrays(model.config, tensors);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** llama.cpp rounds activations to 8 bits beside quantised weights, so near-ties may fall the other way; nine tenths must agree. */
async function compareBlocks(subject: string, dtype: WritableType): Promise<boolean> {
  const model = randomModel(wide);
  const reference = decoded(model, dtype);
  const prompts = Array.from({ length: 40 }, (_, i) => Array.from({ length: 12 }, (_, j) => (i * 61 + j * 37) % 256));
  const found = await continueWith(model, prompts, 1, dtype);
  const expected = await continueWith(reference, prompts, 1, "F32");
  const same = found.filter(([token], i) => token === expected[i][0]).length;
  console.log(`${subject}: ${same} of ${prompts.length} next tokens equal`);
  return same >= 0.9 * prompts.length;
}

/** How many of the continued tokens Weir's forward pass over the same text finds likeliest too. */
async function agreement(model: ModelSource, prompt: number[], found: number[]): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "weir-llama-"));
  try {
    const path = (name: string) => join(folder, name);
    writeHuggingFace(path("model"), model, { dtype: "F32" });
    const ids = BigInt64Array.from([...prompt, ...found], BigInt);
    const read = () => new Uint8Array(ids.buffer);
    writeSafetensors(path("in.safetensors"), [{ name: "input_ids", dtype: "I64", shape: [1, ids.length], read }]);
    const files = ["--model", path("model"), "--input", path("in.safetensors"), "--output", path("out.safetensors")];
    if ((await weir(["forward", ...files, "--ties", "position"])) !== 0) throw new Error("weir forward failed");
    const out = openSafetensors(path("out.safetensors"));
    const logits = new Float32Array(readTensor(out.tensors.get("logits")!).slice().buffer);
    out.close();
    const vocab = model.config.vocabSize;
    return found.filter((token, i) => {
      const row = logits.subarray((prompt.length + i - 1) * vocab, (prompt.length + i) * vocab);
      return row.indexOf(Math.max(...row)) === token;
    }).length;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function runOne(subject: string, dtype?: WritableType): Promise<boolean> {
  const block = blockTypes.find((type) => blockSubject(type) === subject);
  if (block !== undefined) return compareBlocks(subject, block);
  const random = randomConfigs[subject];
  if (random !== undefined) {
    const prompt = Array.from({ length: 40 }, (_, i) => (i * 37) % 256);
    const model = randomModel(random);
    const [found] = await continueWith(model, [prompt], 24, dtype);
    const same = await agreement(model, prompt, found);
    console.log(`${subject}: ${same} of ${found.length} greedy tokens equal Weir's`);
    return same === 24;
  }
  const { prompt, greedy } = readIds(subject);
  const checkpoint = openCheckpoint(subject);
  const [found] = await continueWith(checkpoint, [prompt], greedy.length, dtype);
  checkpoint.close();
  let same = 0;
  while (same < greedy.length && found[same] === greedy[same]) same++;
  console.log(`${subject}: ${same} of ${greedy.length} greedy tokens equal the reference's`);
  return same === greedy.length;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { dtype: { type: "string" }, one: { type: "string" } },
});
const dtype = values.dtype as WritableType | undefined;
if (values.one !== undefined) {
  const good = await runOne(values.one, dtype).catch((error) => {
    console.log(`${values.one}: ${String(error.message).split("\n")[0]}`);
    return false;
  });
  process.exit(good ? 0 : 1);
}
// llama.cpp ends the whole process where an assertion fails, so every model gets a process of its own.
const goldens = fileURLToPath(new URL("../../../shared/goldens/", import.meta.url));
const references = existsSync(goldens) ? readdirSync(goldens).map((name) => join(goldens, name)) : [];
if (references.length === 0) console.error("no ../shared/goldens here; name model directories");
const subjects =
  positionals.length > 0
    ? positionals
    : [
        ...references.filter((path) => existsSync(join(path, "golden.safetensors"))),
        ...Object.keys(randomConfigs),
        ...blockTypes.map(blockSubject),
      ];
let unexpected = 0;
for (const subject of subjects) {
  const options = dtype === undefined ? [] : ["--dtype", dtype];
  const run = spawnSync(process.execPath, [fileURLToPath(import.meta.url), "--one", subject, ...options], {
    encoding: "utf8",
  });
  const lines = run.stdout.trim();
  console.log(lines === "" ? `${subject}: llama.cpp ended with ${run.signal ?? run.status}` : lines);
  const limit = knownLimits[basename(subject)];
  if (run.status === 0) continue;
  if (limit !== undefined) console.log(`  known: ${limit}`);
  else unexpected++;
}
process.exit(unexpected === 0 ? 0 : 1);
