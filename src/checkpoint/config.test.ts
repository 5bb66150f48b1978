// Reading and writing config.json of every family, and refusing what makes no sense or is hostile.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parseConfig, parseConfigText } from "./config.ts";
import { configToJson, pythonJson } from "./config-write.ts";
import { CheckpointError } from "./errors.ts";
import { shared, smallConfigs } from "./models.fixture.ts";
import { published } from "./published.fixture.ts";

const again = (config: ReturnType<typeof parseConfig>) => parseConfigText(pythonJson(configToJson(config)));

test("what is written is what was read, for every family", () => {
  for (const json of [...Object.values(smallConfigs), ...Object.values(published).map((model) => model.config)]) {
    const config = parseConfig({ ...json, use_cache: true, note: { of: ["others"] } });
    assert.deepEqual(again(config), config);
    assert.deepEqual(config.extra, { use_cache: true, note: { of: ["others"] } });
  }
});

test("the shared reference configurations are read and written", () => {
  const goldens = shared("goldens");
  if (goldens === null) return;
  for (const item of readdirSync(goldens, { withFileTypes: true }).filter((entry) => entry.isDirectory())) {
    const text = readFileSync(join(goldens, item.name, "config.json"), "utf8");
    const config = parseConfigText(text);
    assert.deepEqual(again(config), config, item.name);
    const before = JSON.parse(text);
    const after = configToJson(config);
    // Every number that shapes the model comes back; rotation is spelt the older way.
    for (const [key, value] of Object.entries(before))
      if (typeof value === "number" && key !== "head_dim" && key !== "qk_head_dim")
        assert.equal(after[key], value, `${item.name} ${key}`);
  }
});

test("both spellings of rotation mean the same", () => {
  const old = parseConfig({ ...smallConfigs.llama });
  const { rope_theta, rope_scaling, ...rest } = smallConfigs.llama;
  const fresh = parseConfig({ ...rest, rope_parameters: { ...(rope_scaling as object), rope_theta } });
  assert.deepEqual(fresh, old);
  assert.deepEqual(fresh.rope, {
    theta: 500_000,
    dim: 16,
    interleaved: false,
    scaling: { type: "llama3", factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPositionEmbeddings: 64 },
  });
});

test("nothing that a configuration says is taken from anywhere else", () => {
  const v3 = parseConfig({
    ...smallConfigs.deepseek_v3,
    scoring_func: "softmax",
    topk_method: "greedy",
    norm_topk_prob: false,
    rope_interleave: false,
    routed_scaling_factor: 3,
  });
  assert.equal(v3.moe!.scoringFunc, "softmax");
  assert.equal(v3.moe!.topkMethod, "greedy");
  assert.equal(v3.moe!.normTopkProb, false);
  assert.equal(v3.moe!.routedScalingFactor, 3);
  assert.equal(v3.rope.interleaved, false);
  const mixed = parseConfig({ ...smallConfigs.deepseek_v2, num_hidden_layers: 6, moe_layer_freq: 2 });
  assert.deepEqual(mixed.mlpTypes, ["dense", "dense", "moe", "dense", "moe", "dense"]);
  assert.deepEqual(again(mixed), mixed);
  const qwen = parseConfig({
    ...smallConfigs.qwen2,
    use_sliding_window: true,
    sliding_window: 8,
    max_window_layers: 1,
  });
  assert.deepEqual(qwen.layerTypes, ["full", "sliding"]);
  assert.deepEqual(again(qwen), qwen);
});

test("V4's layers, rotations and limits, in the released and in transformers' spelling", () => {
  const v4 = parseConfig({
    ...smallConfigs.deepseek_v4,
    rope_scaling: { type: "yarn", factor: 16, original_max_position_embeddings: 65_536, beta_fast: 32, beta_slow: 1 },
  });
  assert.deepEqual(v4.layerTypes, ["sliding", "heavily_compressed", "compressed_sparse", "heavily_compressed"]);
  assert.deepEqual(v4.mlpTypes, ["hash", "moe", "moe", "moe"]);
  assert.equal(v4.rope.theta, 10_000);
  assert.equal(v4.rope.scaling, null);
  assert.equal(v4.compressRope!.theta, 160_000);
  assert.ok(v4.compressRope!.scaling?.type === "yarn" && v4.compressRope!.scaling.attentionFactor === 1);
  assert.equal(v4.attention.kind === "compressed" && v4.attention.qkRopeHeadDim, 8);
  assert.deepEqual(again(v4), v4);
});

test("numbers that Python takes for fractions keep their point", () => {
  const text = pythonJson(configToJson(parseConfig({ ...smallConfigs.deepseek_v4, routed_scaling_factor: 2 })));
  assert.match(text, /"routed_scaling_factor": 2\.0,/);
  assert.match(text, /"swiglu_limit": 10\.0,/);
  assert.match(text, /"hidden_size": 64,/);
});

test("absurd, missing, contradictory and hostile values are refused by name", () => {
  const cases: [string, Record<string, unknown>, string][] = [
    ["llama", { model_type: "bert" }, "model_type"],
    ["llama", { model_type: { toString: 1 } }, "model_type"],
    ["llama", { hidden_size: -64 }, "hidden_size"],
    ["llama", { hidden_size: 64.5 }, "hidden_size"],
    ["llama", { hidden_size: "64" }, "hidden_size"],
    ["llama", { hidden_size: 2 ** 40 }, "hidden_size"],
    ["llama", { hidden_size: null }, "hidden_size"],
    ["llama", { vocab_size: 0 }, "vocab_size"],
    ["llama", { vocab_size: 1e300 }, "vocab_size"],
    ["llama", { num_hidden_layers: 1e6 }, "num_hidden_layers"],
    ["llama", { num_attention_heads: 5 }, "num_key_value_heads"],
    ["qwen2", { num_attention_heads: 6, num_key_value_heads: 2 }, "num_attention_heads"],
    ["llama", { head_dim: 15 }, "head_dim"],
    ["llama", { hidden_act: "gelu" }, "hidden_act"],
    ["llama", { rms_norm_eps: Number.NaN }, "rms_norm_eps"],
    ["llama", { rope_theta: -1 }, "rope_theta"],
    ["llama", { rope_scaling: { type: "magic", factor: 2 } }, "rope_scaling.type"],
    ["llama", { rope_scaling: { rope_type: "llama3", factor: 8 } }, "rope_scaling.original_max_position_embeddings"],
    ["llama", { rope_scaling: [1] }, "rope_scaling."],
    ["llama", { eos_token_id: [1, "x"] }, "eos_token_id"],
    ["llama", { eos_token_id: new Array(1000).fill(1) }, "eos_token_id"],
    ["llama", { bos_token_id: 1.5 }, "bos_token_id"],
    ["llama", { tie_word_embeddings: 1 }, "tie_word_embeddings"],
    ["deepseek_v2", { kv_lora_rank: undefined }, "kv_lora_rank"],
    ["deepseek_v2", { qk_rope_head_dim: 7 }, "qk_rope_head_dim"],
    ["deepseek_v3", { num_experts_per_tok: 5 }, "num_experts_per_tok"],
    ["deepseek_v3", { n_group: 3 }, "n_group"],
    ["deepseek_v3", { topk_group: 3 }, "topk_group"],
    ["deepseek_v3", { n_group: 4, topk_group: 1 }, "topk_group"],
    ["deepseek_v3", { scoring_func: "relu" }, "scoring_func"],
    ["deepseek_v3", { num_nextn_predict_layers: 1e9 }, "num_nextn_predict_layers"],
    ["deepseek_v3", { quantization_config: { weight_block_size: [128, -1] } }, "quantization_config.weight_block_size"],
    ["deepseek_v3", { quantization_config: { quant_method: {} } }, "quantization_config.quant_method"],
    ["deepseek_v32", { mlp_layer_types: ["dense"] }, "mlp_layer_types"],
    ["deepseek_v32", { layer_types: ["full_attention", "full_attention"] }, "layer_types"],
    ["deepseek_v32", { layer_types: ["constructor", "__proto__"] }, "layer_types"],
    ["deepseek_v4", { compress_ratios: [0, 4] }, "compress_ratios"],
    ["deepseek_v4", { compress_ratios: [0, 4, 7, 4] }, "compress_ratios"],
    ["deepseek_v4", { o_groups: 3 }, "o_groups"],
    ["deepseek_v4", { hc_mult: 0 }, "hc_mult"],
    ["deepseek_v4", { layer_types: new Array(200_000).fill("sliding_attention") }, "layer_types"],
  ];
  for (const [family, change, field] of cases)
    assert.throws(
      () => parseConfig({ ...smallConfigs[family], ...change }, "some/config.json"),
      (error) => {
        assert.ok(error instanceof CheckpointError, `${JSON.stringify(change)}: ${error}`);
        assert.equal(error.file, "some/config.json");
        assert.equal(error.field.replace(/\.$/, ""), field.replace(/\.$/, ""));
        return true;
      },
    );
  for (const text of ["", "{", "null", "[]", "7", "[".repeat(1e6), `{"a":${"[".repeat(1e5)}${"]".repeat(1e5)}}`])
    assert.throws(() => parseConfigText(text), CheckpointError, text.slice(0, 10));
});

test("an object within itself ends the reader's patience, not its stack", () => {
  const cyclic: Record<string, unknown> = { ...smallConfigs.llama };
  cyclic.rope_scaling = cyclic;
  assert.equal(parseConfig(cyclic).rope.scaling, null);
  const config = parseConfig({ ...smallConfigs.llama });
  config.extra.self = config.extra;
  assert.throws(() => pythonJson(configToJson(config)), /nested too deeply/);
});
