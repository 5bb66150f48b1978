// Training, rollouts and one GRPO step at the shapes train_* of the shared bench-shapes.json, on two threads, beside what Hugging
// Face's DeepseekV3ForCausalLM reaches at the same shapes (bench/peers/train.py measures it where torch and transformers import; its
// figures are quoted here, because it cannot be installed from npm). With --profile: where the time of a step goes, instead;
// --only S, M, mini or grpo measures that alone.
// Every figure is the best of a few rounds: what the machine can do, not what else it was doing.
import { readFileSync } from "node:fs";
import { type ModelConfig, parseConfig } from "../../src/checkpoint/config.ts";
import { LocalEngine } from "../../src/engine/local-engine.ts";
import { ServedModel } from "../../src/engine/model.ts";
import { NativeDevice } from "../../src/tensor/native.ts";
import { linear } from "../../src/tensor/ops/linear.ts";
import { type ProfileLine, programOperations, showProfile } from "../../src/tensor/profile.ts";
import { Program } from "../../src/tensor/program.ts";
import { type Batch, packBatch } from "../../src/train/batch.ts";
import { Grpo } from "../../src/train/grpo.ts";
import { DEFAULT_OPTIMIZER } from "../../src/train/optimizer.ts";
import { OBJECTIVES } from "../../src/train/policy-loss.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { type Report, type SuiteOptions, seconds } from "../figure.ts";

interface Shape {
  hidden: number;
  layers: number;
  heads: number;
  kv_lora_rank: number;
  qk_nope: number;
  qk_rope: number;
  v: number;
  experts: number;
  top_k: number;
  shared: number;
  expert_ffn: number;
  dense_ffn: number;
  dense_layers: number;
  vocab: number;
  batch: number;
  seq: number;
}

/** What transformers reaches, tokens/s, and the multiple of it that we ask of ourselves. */
interface Peer {
  training: [measured: number, need: number];
  together: [measured: number, need: number];
  alone: [measured: number, need: number];
}
const PEER = "transformers, two threads, measured on this kind of machine before";
const PEERS: Record<string, Peer> = {
  S: { training: [6550, 1.8], together: [1184, 12], alone: [141, 25] },
  M: { training: [4670, 1.6], together: [816, 12], alone: [107, 25] },
  mini: { training: [440, 1.4], together: [86, 6], alone: [33, 4] },
};
const THREADS = 2;
const SAMPLES = 8;
const PROMPTS = 32;
const COMPLETION = 80;
const PROMPT = 16;

const shapes = (): Record<string, Shape> | undefined => {
  const file = new URL("../../../shared/bench-shapes.json", import.meta.url);
  try {
    const all = JSON.parse(readFileSync(file, "utf8"));
    return Object.fromEntries(Object.keys(PEERS).map((name) => [name, all[`train_${name}`]]));
  } catch (error) {
    console.error(`bench: the shapes are not available: ${(error as Error).message}`);
    return undefined;
  }
};

const configOf = (s: Shape): ModelConfig =>
  parseConfig({
    architectures: ["DeepseekV3ForCausalLM"],
    model_type: "deepseek_v3",
    vocab_size: s.vocab,
    hidden_size: s.hidden,
    intermediate_size: s.dense_ffn,
    moe_intermediate_size: s.expert_ffn,
    num_hidden_layers: s.layers,
    num_attention_heads: s.heads,
    num_key_value_heads: s.heads,
    n_shared_experts: s.shared,
    n_routed_experts: s.experts,
    num_experts_per_tok: s.top_k,
    n_group: 1,
    topk_group: 1,
    norm_topk_prob: true,
    routed_scaling_factor: 1,
    scoring_func: "sigmoid",
    topk_method: "noaux_tc",
    first_k_dense_replace: s.dense_layers,
    kv_lora_rank: s.kv_lora_rank,
    q_lora_rank: null,
    qk_nope_head_dim: s.qk_nope,
    qk_rope_head_dim: s.qk_rope,
    v_head_dim: s.v,
    hidden_act: "silu",
    max_position_embeddings: 512,
    rms_norm_eps: 1e-6,
    rope_theta: 10000,
    tie_word_embeddings: false,
    attention_bias: false,
    initializer_range: 0.02,
    bos_token_id: 0,
    eos_token_id: 1,
  });

/** Token ids with no pattern that matters; never the end token. */
const tokens = (count: number, vocab: number, seed: number): Int32Array =>
  Int32Array.from({ length: count }, (_, i) => 2 + ((seed * 7919 + i * 104729 + ((i * i * 31) ^ seed)) % (vocab - 2)));

const batchOf = ({ batch, seq, vocab }: Shape): Batch =>
  packBatch(Array.from({ length: batch }, (_, b) => ({ ids: tokens(seq, vocab, b) })));

const trainerOf = (device: NativeDevice, s: Shape, kind: "adamw" | "muon"): Trainer =>
  new Trainer(
    device,
    configOf(s),
    { maxTokens: s.batch * s.seq, maxPositions: 512, optimizer: { ...DEFAULT_OPTIMIZER, kind } },
    { seed: 1 },
  );

/** Floating-point operations per second of the float32 product, 1,024 cubed. */
async function productRate(device: NativeDevice): Promise<number> {
  const n = 1024;
  const program = new Program("product");
  program.output(linear(program.input("x", "f32", [n, n]), program.param("w", "f32", [n, n])), "y");
  const executable = device.compile(program);
  for (const name of ["x", "w"]) (executable.buffer(name).view() as Float32Array).fill(0.5);
  const time = await seconds(() => executable.run(), { rounds: 3 });
  executable.free();
  return (2 * n ** 3) / time;
}

/** Useful operations of one pass: products, the head without its recomputed logits, the causal half of attention. */
function passOperations(trainer: Trainer, s: Shape): number {
  const rows = s.batch * s.seq;
  const [dk, dv] = [s.qk_nope + s.qk_rope, s.v];
  const attention = (s.layers * s.heads * rows * (s.seq + 1)) / 2;
  return (
    programOperations(trainer.built.program, { T: rows }) -
    2 * rows * s.hidden * s.vocab +
    attention * 2 * (4 * dk + 3 * dv)
  );
}

/** New tokens per second of `sequences` completions side by side; the prompt's own step included, as the peer counts. */
async function rolloutRate(trainer: Trainer, sequences: number): Promise<number> {
  const length = 128;
  const options = { context: 256, cacheTokens: 256 * sequences, maxRows: 512, maxSequences: sequences };
  const served = new ServedModel(trainer.device, trainer.config, { parameters: trainer.parameters }, options);
  const engine = new LocalEngine(served, { name: "bench" });
  const { vocabSize } = trainer.config;
  let round = 0;
  const time = await seconds(
    () => {
      round++;
      engine.generateAll(
        Array.from({ length: sequences }, (_, i) => ({
          prompt: tokens(PROMPT, vocabSize, round * sequences + i),
          maxTokens: length,
          ignoreEos: true,
          sampling: { temperature: 1, seed: round },
        })),
      );
    },
    { rounds: 3, milliseconds: 10 },
  );
  served.free();
  return (sequences * length) / time;
}

/** Seconds of one GRPO step, update included: the better of two after a first. */
async function grpoSeconds(device: NativeDevice, s: Shape): Promise<number> {
  const trainer = trainerOf(device, s, "adamw");
  const sequences = PROMPTS * SAMPLES;
  const served = new ServedModel(
    device,
    trainer.config,
    { parameters: trainer.parameters },
    { context: 128, cacheTokens: 128 * sequences, maxRows: 512, maxSequences: sequences },
  );
  const grpo = new Grpo<number>(trainer, new LocalEngine(served, { name: "bench" }), {
    objective: OBJECTIVES["r1-zero"],
    rewards: [{ name: "even", weight: 1, of: (_, { ids }) => ids[0] % 2 }],
    prompts: PROMPTS,
    samples: SAMPLES,
    maxTokens: COMPLETION,
    temperature: 1,
    seed: 3,
  });
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 3; round++) {
    const begin = performance.now();
    await grpo.run((i) => ({ ids: tokens(PROMPT, s.vocab, i), task: 0 }), 1e-4);
    if (round > 0) best = Math.min(best, (performance.now() - begin) / 1000);
  }
  grpo.free();
  served.free();
  trainer.free();
  return best;
}

function showStep(name: string, found: { pass: ProfileLine[]; update: ProfileLine[] } | undefined): void {
  if (!found) return;
  console.log(
    `\n${name}, forward and backward\n${showProfile(found.pass)}\n${name}, update\n${showProfile(found.update)}`,
  );
}

export default async function suite(report: Report, { profile = false, only }: SuiteOptions = {}): Promise<void> {
  const known = shapes();
  if (!known) return;
  const device = new NativeDevice({ threads: THREADS });
  const figure = (name: string, value: number, unit: string, rest: object = {}): void =>
    report({ suite: "training", name, value, unit, ...rest });
  for (const [name, shape] of Object.entries(known)) {
    if (only !== undefined && only !== name) continue;
    const batch = batchOf(shape);
    for (const kind of ["adamw", "muon"] as const) {
      if (kind === "muon" && name === "mini") continue;
      const trainer = trainerOf(device, shape, kind);
      const step = (): unknown => trainer.step([batch], 1e-4);
      const about = `${name}, ${shape.batch}x${shape.seq} tokens, ${kind === "adamw" ? "AdamW" : "Muon"}`;
      if (profile) {
        step();
        showStep(about, trainer.profile(step, { steps: 3, tokens: batch.tokens }));
        trainer.free();
        continue;
      }
      const peer = PEERS[name];
      const time = await seconds(step, { rounds: 4, milliseconds: 1 });
      const beside = ([peerValue, need]: [number, number]): object => ({ peer: PEER, peerValue, need });
      figure(`training ${about}`, batch.tokens / time, "tokens/s", kind === "adamw" ? beside(peer.training) : {});
      if (kind === "adamw") {
        if (name === "mini") {
          const rate = passOperations(trainer, shape) / time;
          figure(`products and attention in the step of ${name}`, rate / 1e9, "GFLOP/s", {
            peer: "of own f32 product, 1,024 cubed",
            peerValue: (await productRate(device)) / 1e9,
            need: 0.75,
          });
        }
        figure(`rollouts ${name}, 16 at once`, await rolloutRate(trainer, 16), "tokens/s", beside(peer.together));
        figure(`rollout ${name}, alone`, await rolloutRate(trainer, 1), "tokens/s", beside(peer.alone));
      }
      trainer.free();
    }
  }
  if (!profile && (only === undefined || only === "grpo")) {
    const time = await grpoSeconds(device, known.M);
    figure(`GRPO step on M, ${PROMPTS} prompts x ${SAMPLES} x ${COMPLETION} tokens`, time, "s", {
      peer: "at most",
      peerValue: 7,
      ratio: 7 / time,
      need: 1,
    });
  }
  device.close();
}
