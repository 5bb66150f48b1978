// The tensors that a configuration implies, against published models and their published sizes.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parseConfig } from "./config.ts";
import { CheckpointError } from "./errors.ts";
import { openCheckpoint } from "./model-directory.ts";
import { shared, smallConfigs, smallModel } from "./models.fixture.ts";
import { published } from "./published.fixture.ts";
import { cacheElementsPerToken, checkTensors, countParameters, tensorSpecs } from "./tensors.ts";

test("published configurations have exactly their published sizes", () => {
  for (const [name, model] of Object.entries(published)) {
    const config = parseConfig(model.config, name);
    const count = countParameters(config);
    assert.equal(count.total, model.total, name);
    const digits = model.reported.split(".")[1].length;
    assert.equal((count.total / 1e9).toFixed(digits), model.reported, name);
    if (model.active !== undefined) assert.equal(count.active, model.active, name);
    if (model.reportedActive !== undefined)
      assert.equal((count.active / 1e9).toFixed(model.reportedActive.split(".")[1].length), model.reportedActive, name);
    if (model.cacheElements !== undefined) assert.equal(cacheElementsPerToken(config), model.cacheElements, name);
    if (model.mtp !== undefined) assert.equal(count.mtp, model.mtp, name);
  }
  // The figures the V4 report calls active leave the embedding out.
  const v4 = countParameters(parseConfig(published["DeepSeek-V4-Flash"].config));
  assert.equal((v4.activeWithoutEmbedding / 1e9).toFixed(2), "13.27");
  const v3 = countParameters(parseConfig(published["DeepSeek-V3"].config));
  assert.equal((v3.activeWithoutEmbedding / 1e9).toFixed(2), "36.63");
  // With the selection biases the total is the one GGUF tools show for R1.
  assert.equal(v3.total + v3.buffers, 671_026_419_200);
});

test("names and shapes of a V3 layer are those of the published table", () => {
  const config = parseConfig(published["DeepSeek-V3"].config);
  const specs = new Map(tensorSpecs(config, { mtp: true }).map((spec) => [spec.name, spec]));
  const expected: Record<string, number[]> = {
    "model.embed_tokens.weight": [129_280, 7168],
    "model.layers.0.self_attn.q_a_proj.weight": [1536, 7168],
    "model.layers.0.self_attn.q_b_proj.weight": [24_576, 1536],
    "model.layers.0.self_attn.kv_a_proj_with_mqa.weight": [576, 7168],
    "model.layers.0.self_attn.kv_b_proj.weight": [32_768, 512],
    "model.layers.0.self_attn.o_proj.weight": [7168, 16_384],
    "model.layers.2.mlp.down_proj.weight": [7168, 18_432],
    "model.layers.3.mlp.gate.weight": [256, 7168],
    "model.layers.3.mlp.gate.e_score_correction_bias": [256],
    "model.layers.60.mlp.experts.255.down_proj.weight": [7168, 2048],
    "model.layers.60.mlp.shared_experts.gate_proj.weight": [2048, 7168],
    "model.layers.61.eh_proj.weight": [7168, 14_336],
    "model.layers.61.shared_head.head.weight": [129_280, 7168],
    "model.layers.61.mlp.experts.0.up_proj.weight": [2048, 7168],
    "lm_head.weight": [129_280, 7168],
  };
  for (const [name, shape] of Object.entries(expected)) assert.deepEqual(specs.get(name)?.shape, shape, name);
  assert.ok(!specs.has("model.layers.2.mlp.gate.weight") && !specs.has("model.layers.3.mlp.gate_proj.weight"));
  assert.ok(!tensorSpecs(config).some(({ name }) => name.startsWith("model.layers.61.")));
});

test("the shared reference models hold exactly the tensors their configurations imply", () => {
  const goldens = shared("goldens");
  if (goldens === null) return;
  for (const item of readdirSync(goldens, { withFileTypes: true }).filter((entry) => entry.isDirectory())) {
    const directory = join(goldens, item.name);
    const checkpoint = openCheckpoint(directory);
    const specs = tensorSpecs(checkpoint.config);
    checkTensors(
      checkpoint.config,
      (name) => (checkpoint.has(name) ? checkpoint.info(name).shape : undefined),
      directory,
    );
    assert.deepEqual([...checkpoint.tensorNames].sort(), specs.map(({ name }) => name).sort(), item.name);
    const meta = JSON.parse(readFileSync(join(directory, "meta.json"), "utf8"));
    assert.equal(countParameters(checkpoint.config).total, meta.parameters, item.name);
    checkpoint.close();
  }
});

test("a missing or misshapen tensor is named", () => {
  for (const family of Object.keys(smallConfigs)) {
    const { config } = smallModel(family);
    const shapes = new Map(tensorSpecs(config).map(({ name, shape }) => [name, shape]));
    checkTensors(config, (name) => shapes.get(name), "here");
    for (const name of shapes.keys()) {
      const without = (asked: string) => (asked === name ? undefined : shapes.get(asked));
      assert.throws(
        () => checkTensors(config, without, "here"),
        (error) => error instanceof CheckpointError && error.field === name,
      );
      const turned = (asked: string) => (asked === name ? [...shapes.get(asked)!, 7] : shapes.get(asked));
      assert.throws(() => checkTensors(config, turned, "here"), /has shape/);
    }
  }
});

test("a configuration that implies millions of tensors is refused before they are listed", () => {
  const config = parseConfig({ ...published["DeepSeek-V3"].config, num_hidden_layers: 1000, n_routed_experts: 65_536 });
  assert.throws(() => tensorSpecs(config), /num_hidden_layers/);
  assert.throws(() => countParameters(config), /num_hidden_layers/);
});
