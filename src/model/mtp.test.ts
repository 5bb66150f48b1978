// The multi-token prediction module against one written out plainly in double precision, its gradients against central
// differences, and the draft program's pages against the training program's whole rows.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { type LatentAttention, type ModelConfig, type MoeConfig, parseConfig } from "../checkpoint/config.ts";
import { openCheckpoint } from "../checkpoint/model-directory.ts";
import { inTemporaryFolder, randomNumbers, smallConfigs, smallModel } from "../checkpoint/models.fixture.ts";
import { writeHuggingFace } from "../checkpoint/write-model.ts";
import type { Device, DeviceBuffer } from "../tensor/device.ts";
import { NativeDevice } from "../tensor/native.ts";
import { ReferenceDevice } from "../tensor/reference.ts";
import type { ModelContext } from "./context.ts";
import { buildInference, type InferenceProgram } from "./inference.ts";
import { aheadRows, buildDraft } from "./mtp.ts";
import { buildTraining, fillRows } from "./training.ts";
import { loadParameter, type TensorSource } from "./weights.ts";

const config = parseConfig({ ...smallConfigs.deepseek_v3, rope_scaling: undefined });
const LAYER = `model.layers.${config.numHiddenLayers}`;
const V = config.vocabSize;

/** The weights as a checkpoint on disk gives them, prediction module included. */
function weightsOf(family: string, of: ModelConfig): Map<string, Float32Array> {
  const weights = new Map<string, Float32Array>();
  inTemporaryFolder((folder) => {
    writeHuggingFace(join(folder, "model"), smallModel(family, 4, of), { dtype: "F32" });
    const checkpoint = openCheckpoint(join(folder, "model"));
    for (const name of checkpoint.tensorNames)
      weights.set(
        name,
        checkpoint.load(name).map((v) => (/norm/.test(name) ? 1 + v / 4 : v / 2)),
      );
    checkpoint.close();
  });
  return weights;
}

const sourceOf = (weights: Map<string, Float32Array>): TensorSource => ({
  has: (name) => weights.has(name),
  load: (name) => {
    const found = weights.get(name);
    assert.ok(found, name);
    return found;
  },
});

const bind = (device: Device, { parameters, constants }: ModelContext, source: TensorSource) =>
  Object.fromEntries(
    [...parameters].map(([name, { dtype, shape }]): [string, DeviceBuffer] => {
      const values = constants.get(name) ?? loadParameter(source, name, shape as number[]);
      return [name, device.buffer(dtype, shape as number[], values)];
    }),
  );

type Row = number[];
const dot = (a: Row, b: Row): number => a.reduce((sum, v, i) => sum + v * b[i], 0);

/** The module for one document of states h (after the final norm) and token ids, written from V3's report alone. */
function plainModule(weights: Map<string, Float32Array>, h: Row[], ids: number[]): { state: Row[]; logits: Row[] } {
  const a = config.attention as LatentAttention;
  const moe = config.moe as MoeConfig;
  const get = (name: string): Row => Array.from(weights.get(name) as Float32Array);
  const at = (name: string): string => `${LAYER}.${name}.weight`;
  const times = (name: string, x: Row): Row => {
    const w = get(name);
    return Array.from({ length: w.length / x.length }, (_, o) => dot(w.slice(o * x.length, (o + 1) * x.length), x));
  };
  const norm = (name: string, x: Row): Row => {
    const w = get(name);
    const inverse = 1 / Math.sqrt(dot(x, x) / x.length + config.rmsNormEps);
    return x.map((v, i) => v * inverse * w[i]);
  };
  const rotate = (x: Row, position: number): Row => {
    const out = [...x];
    for (let i = 0; i < x.length; i += 2) {
      const angle = position * config.rope.theta ** (-i / x.length);
      const [c, s] = [Math.cos(angle), Math.sin(angle)];
      out[i] = x[i] * c - x[i + 1] * s;
      out[i + 1] = x[i] * s + x[i + 1] * c;
    }
    return out;
  };
  const mlp = (name: string, x: Row): Row => {
    const [gate, up] = [times(`${name}.gate_proj.weight`, x), times(`${name}.up_proj.weight`, x)];
    return times(
      `${name}.down_proj.weight`,
      gate.map((g, i) => (g / (1 + Math.exp(-g))) * up[i]),
    );
  };
  const plus = (x: Row, y: Row): Row => x.map((v, i) => v + y[i]);
  const d = config.hiddenSize;
  const [nope, rope, v] = [a.qkNopeHeadDim, a.qkRopeHeadDim, a.vHeadDim];
  const embedding = get("model.embed_tokens.weight");
  const past: { keys: Row[]; values: Row[] }[] = [];
  const state = h.map((row, t) => {
    const e = embedding.slice(ids[t] * d, (ids[t] + 1) * d);
    const x = times(at("eh_proj"), [...norm(at("enorm"), e), ...norm(at("hnorm"), row)]);
    const inside = norm(at("input_layernorm"), x);
    const q = times(
      at("self_attn.q_b_proj"),
      norm(at("self_attn.q_a_layernorm"), times(at("self_attn.q_a_proj"), inside)),
    );
    const kv = times(at("self_attn.kv_a_proj_with_mqa"), inside);
    const kRope = rotate(kv.slice(a.kvLoraRank), t);
    const up = times(at("self_attn.kv_b_proj"), norm(at("self_attn.kv_a_layernorm"), kv.slice(0, a.kvLoraRank)));
    const heads = Array.from({ length: a.heads }, (_, head) => up.slice(head * (nope + v), (head + 1) * (nope + v)));
    past.push({
      keys: heads.map((part) => [...part.slice(0, nope), ...kRope]),
      values: heads.map((part) => part.slice(nope)),
    });
    const out = heads.flatMap((_, head) => {
      const own = q.slice(head * (nope + rope), (head + 1) * (nope + rope));
      const query = [...own.slice(0, nope), ...rotate(own.slice(nope), t)];
      const scores = past.map(({ keys }) => Math.exp(dot(query, keys[head]) / Math.sqrt(nope + rope)));
      const total = scores.reduce((sum, s) => sum + s, 0);
      return Array.from({ length: v }, (_, i) =>
        past.reduce((sum, { values }, s) => sum + (scores[s] / total) * values[head][i], 0),
      );
    });
    const attended = plus(x, times(at("self_attn.o_proj"), out));
    const y = norm(at("post_attention_layernorm"), attended);
    const scores = times(`${LAYER}.mlp.gate.weight`, y).map((s) => 1 / (1 + Math.exp(-s)));
    const bias = get(`${LAYER}.mlp.gate.e_score_correction_bias`);
    const size = moe.nRoutedExperts / moe.nGroup;
    const best = (list: number[], score: (i: number) => number, count: number): number[] =>
      [...list].sort((i, j) => score(j) - score(i)).slice(0, count);
    const choice = (i: number): number => scores[i] + bias[i];
    const groups = Array.from({ length: moe.nGroup }, (_, g) => Array.from({ length: size }, (_, i) => g * size + i));
    const strength = (g: number): number => best(groups[g], choice, 2).reduce((sum, i) => sum + choice(i), 0);
    const kept = best([...groups.keys()], strength, moe.topkGroup).flatMap((g) => groups[g]);
    const chosen = best(kept, choice, moe.numExpertsPerTok);
    const whole = moe.normTopkProb ? chosen.reduce((sum, i) => sum + scores[i], 0) + 1e-20 : 1;
    return chosen
      .map((i) =>
        mlp(`${LAYER}.mlp.experts.${i}`, y).map((value) => (value * scores[i] * moe.routedScalingFactor) / whole),
      )
      .reduce(plus, plus(attended, mlp(`${LAYER}.mlp.shared_experts`, y)));
  });
  return { state, logits: state.map((row) => times("lm_head.weight", norm(at("shared_head.norm"), row))) };
}

const random = randomNumbers(9);
const ids = Array.from({ length: 14 }, () => Math.floor(random() * V));
/** Two documents of eight and six tokens. */
const rows = {
  ids,
  positions: ids.map((_, t) => (t < 8 ? t : t - 8)),
  starts: ids.map((_, t) => (t < 8 ? 0 : 8)),
  targets: ids.map((_, t) => ids[(t + 1) % 14]),
  weights: ids.map((_, t) => (t === 7 || t === 13 ? 0 : 1 / 12)),
};
const LAMBDA = 0.3;

test("the training loss is the written-out module's; without λ nothing of it is there", () => {
  const weights = weightsOf("deepseek_v3", config);
  const device = new ReferenceDevice("f64");
  const sizes = { maxTokens: 14, maxPositions: 8, hidden: true, backward: false };
  const built = buildTraining(config, { ...sizes, mtpWeight: LAMBDA });
  const run = device.compile(built.program, bind(device, built.context, sourceOf(weights)));
  run.run(fillRows(built, run, rows));
  const final = run.buffer(`hidden.${config.numHiddenLayers}`).view();
  const state = ids.map((_, t) => Array.from(final.subarray(t * config.hiddenSize, (t + 1) * config.hiddenSize)));
  let wanted = 0;
  for (const [begin, end] of [
    [0, 8],
    [8, 14],
  ]) {
    // The last row of a document has no token ahead of it and the one before it none to predict.
    const { logits } = plainModule(weights, state.slice(begin, end - 1), ids.slice(begin + 1, end));
    for (let t = begin; t + 2 < end; t++) {
      const row = logits[t - begin];
      wanted += (Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0)) - row[ids[t + 2]]) / 12;
    }
  }
  const ahead = run.buffer("loss.mtp").view()[0];
  assert.ok(Math.abs(ahead - wanted) < 1e-9, `${ahead}, not ${wanted}`);
  const plain = buildTraining(config, sizes);
  assert.ok(![...plain.context.parameters.keys()].some((name) => name.startsWith(LAYER)));
  const without = device.compile(plain.program, bind(device, plain.context, sourceOf(weights)));
  without.run(fillRows(plain, without, rows));
  const difference = run.buffer("loss").view()[0] - without.buffer("loss").view()[0];
  assert.ok(Math.abs(difference - LAMBDA * wanted) < 1e-9);
  assert.throws(
    () => buildTraining(parseConfig(smallConfigs.llama), { ...sizes, mtpWeight: 1 }),
    /num_nextn_predict_layers/,
  );
});

test("the gradients of both losses together are central differences, through the module into the main model", () => {
  const weights = weightsOf("deepseek_v3", config);
  const device = new ReferenceDevice("f64");
  const built = buildTraining(config, { maxTokens: 14, maxPositions: 8, mtpWeight: LAMBDA });
  const bindings = bind(device, built.context, sourceOf(weights));
  const run = device.compile(built.program, bindings);
  run.run(fillRows(built, run, rows));
  const gradients = new Map(
    [...built.gradients].map(([tensor, gradient]) => [tensor.name, Array.from(run.buffer(gradient).view())]),
  );
  const names = [
    ...["eh_proj", "enorm", "hnorm", "shared_head.norm", "self_attn.q_a_proj", "self_attn.kv_b_proj"].map(
      (n) => `${LAYER}.${n}.weight`,
    ),
    `${LAYER}.mlp.shared_experts.down_proj.weight`,
    "model.embed_tokens.weight",
    "lm_head.weight",
    "model.norm.weight",
    "model.layers.0.mlp.down_proj.weight",
  ];
  for (const name of names) {
    const gradient = gradients.get(name);
    assert.ok(gradient, `${name} has no gradient`);
    const values = bindings[name].view();
    // Its largest entries: where a wrong rule shows most.
    const places = [...gradient.keys()].sort((i, j) => Math.abs(gradient[j]) - Math.abs(gradient[i])).slice(0, 2);
    for (const i of places) {
      const loss = (change: number): number => {
        const before = values[i];
        values[i] += change;
        run.run(fillRows(built, run, rows));
        values[i] = before;
        return run.buffer("loss").view()[0];
      };
      const slope = (loss(1e-5) - loss(-1e-5)) / 2e-5;
      assert.ok(
        Math.abs(slope - gradient[i]) < 1e-6 * (1 + Math.abs(slope)),
        `${name}[${i}]: ${gradient[i]}, differences say ${slope}`,
      );
    }
  }
});

for (const family of ["deepseek_v3", "deepseek_v32"]) {
  test(`${family}: drafting from pages, in chunks, gives the module's own logits and states`, () => {
    const model =
      family === "deepseek_v3" ? config : parseConfig({ ...smallConfigs[family], num_nextn_predict_layers: 1 });
    const weights = weightsOf(family, model);
    const device = new NativeDevice({ threads: 1 });
    const length = 20;
    const prompt = Array.from({ length: length + 1 }, () => Math.floor(random() * V));
    const options = {
      maxRows: 24,
      maxSampled: 24,
      maxSequences: 1,
      maxPositions: 32,
      pageSize: 16,
      pages: 2,
      cacheDtype: "f32" as const,
      dtypeOf: () => "f32" as const,
      hidden: true,
    };
    const compile = (built: InferenceProgram, more: Record<string, DeviceBuffer> = {}) =>
      device.compile(built.program, { ...bind(device, built.context, sourceOf(weights)), ...more });
    const serving = compile(buildInference(model, options));
    const draft = compile(buildDraft(model, options), { hidden: serving.buffer("hidden") });
    const step = (run: typeof serving, tokens: number[], from: number): Float32Array => {
      const view = (name: string): Int32Array => run.buffer(name).view() as Int32Array;
      view("pageTable").set([1, 0]);
      tokens.forEach((id, row) => {
        view("ids")[row] = id;
        view("positions")[row] = from + row;
        view("slots")[row] = from + row < 16 ? 16 + from + row : from + row - 16;
        view("sampledRows")[row] = row;
      });
      run.run({ T: tokens.length, R: tokens.length });
      return (run.buffer("logits").view() as Float32Array).slice(0, tokens.length * V);
    };
    const drafted: number[] = [];
    for (let at = 0; at < length; at += 7) {
      const count = Math.min(7, length - at);
      step(serving, prompt.slice(at, at + count), at);
      drafted.push(...step(draft, prompt.slice(at + 1, at + 1 + count), at));
    }
    const training = buildTraining(model, {
      maxTokens: length,
      maxPositions: 32,
      mtpWeight: 1,
      hidden: true,
      backward: false,
    });
    const whole = { ids: prompt.slice(0, length), positions: prompt.slice(0, length).map((_, t) => t) };
    const document = {
      ...whole,
      starts: whole.ids.map(() => 0),
      targets: prompt.slice(1),
      weights: whole.ids.map(() => 1),
    };
    const reference = new ReferenceDevice("f64");
    const run = reference.compile(training.program, bind(reference, training.context, sourceOf(weights)));
    run.run(fillRows(training, run, document));
    // Row by row log-probabilities would do, but the loss of one target at a time is what the program gives.
    const inputs = aheadRows(0, document);
    let loss = 0;
    for (let t = 0; t + 1 < length; t++) {
      const row = drafted.slice(t * V, (t + 1) * V);
      const top = Math.max(...row);
      loss += top + Math.log(row.reduce((sum, x) => sum + Math.exp(x - top), 0)) - row[inputs.targets[t]];
    }
    const wanted = run.buffer("loss.mtp").view()[0];
    assert.ok(Math.abs(loss / wanted - 1) < 1e-5, `${loss}, not ${wanted}`);
    if (family === "deepseek_v3") {
      const final = run.buffer(`hidden.${model.numHiddenLayers}`).view();
      const states = whole.ids.map((_, t) =>
        Array.from(final.subarray(t * model.hiddenSize, (t + 1) * model.hiddenSize)),
      );
      const plain = plainModule(weights, states, prompt.slice(1));
      const last = plain.logits.at(-1) as Row;
      const scale = Math.sqrt(dot(last, last) / V);
      last.forEach((v, i) => assert.ok(Math.abs(drafted[(length - 1) * V + i] - v) < 1e-4 * scale));
      // The state of the last row of the last chunk, to be fed back.
      const next = draft.buffer("next").view();
      const row = (length - 1) % 7;
      plain.state.at(-1)?.forEach((v, i) => {
        assert.ok(Math.abs(next[row * model.hiddenSize + i] - v) < 1e-4 * (1 + Math.abs(v)));
      });
    }
    draft.free();
    serving.free();
    device.close();
  });
}
