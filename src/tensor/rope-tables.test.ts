// Rotary tables against values worked out from the published formulas.
import assert from "node:assert/strict";
import test from "node:test";
import { type RopeScaling, ropeAttentionFactor, ropeFrequencies, ropeSoftmaxFactor, ropeTable } from "./rope-tables.ts";

const near = (got: number, wanted: number, within = 1e-12): void =>
  assert.ok(Math.abs(got - wanted) <= within * Math.max(1, Math.abs(wanted)), `${got}, wanted ${wanted}`);

const yarn = (fields: Partial<Extract<RopeScaling, { type: "yarn" }>> = {}): RopeScaling => ({
  type: "yarn",
  factor: 40,
  originalMaxPositionEmbeddings: 4096,
  betaFast: 32,
  betaSlow: 1,
  mscale: 1,
  mscaleAllDim: 1,
  attentionFactor: null,
  truncate: true,
  ...fields,
});

test("plain frequencies fall geometrically; linear scaling divides them", () => {
  const plain = ropeFrequencies({ theta: 10000, dim: 8, scaling: null });
  [1, 0.1, 0.01, 0.001].forEach((wanted, i) => near(plain[i], wanted));
  const linear = ropeFrequencies({ theta: 10000, dim: 8, scaling: { type: "linear", factor: 4 } });
  linear.forEach((frequency, i) => near(frequency, plain[i] / 4));
});

test("a table holds cosines, then sines", () => {
  const table = ropeTable({ theta: 100, dim: 4, scaling: null }, 3);
  assert.equal(table.length, 2 * 3 * 2);
  near(table[2 * 2 + 1], Math.cos(2 * 0.1), 1e-7);
  near(table[6 + 1 * 2], Math.sin(1), 1e-7);
});

test("YaRN keeps fast pairs, stretches slow ones and blends between (V2, V3: pairs 10 and 23)", () => {
  const options = { theta: 10000, dim: 64 };
  const plain = ropeFrequencies({ ...options, scaling: null });
  const stretched = ropeFrequencies({ ...options, scaling: yarn() });
  // 64·ln(4096/(2π·32))/(2·ln 10000) = 10.47 → 10; with 1 turn 22.51 → 23.
  for (let i = 0; i <= 10; i++) near(stretched[i], plain[i]);
  for (let i = 23; i < 32; i++) near(stretched[i], plain[i] / 40);
  const part = (16 - 10) / 13;
  near(stretched[16], (plain[16] / 40) * part + plain[16] * (1 - part));
  const smooth = ropeFrequencies({ ...options, scaling: yarn({ truncate: false }) });
  assert.ok(smooth[11] > stretched[11]);
});

test("YaRN's magnitude: on the softmax scale for equal mscales, on the table otherwise", () => {
  near(ropeSoftmaxFactor(yarn()), (0.1 * Math.log(40) + 1) ** 2);
  near(ropeSoftmaxFactor(yarn()), 1.3689 ** 2, 1e-4);
  near(ropeSoftmaxFactor(yarn({ mscale: 707 / 1000, mscaleAllDim: 707 / 1000 })), 1.2608 ** 2, 1e-4);
  assert.equal(ropeAttentionFactor(yarn()), 1);
  near(ropeAttentionFactor(yarn({ mscale: null, mscaleAllDim: null })), 0.1 * Math.log(40) + 1);
  assert.equal(ropeAttentionFactor(yarn({ attentionFactor: 1, mscale: null, mscaleAllDim: null })), 1);
  assert.equal(ropeSoftmaxFactor(yarn({ mscale: null, mscaleAllDim: null })), 1);
  assert.equal(ropeSoftmaxFactor(null), 1);
  const table = ropeTable({ theta: 10000, dim: 4, scaling: yarn({ mscale: 2 }) }, 1);
  near(table[0], (0.2 * Math.log(40) + 1) / (0.1 * Math.log(40) + 1), 1e-6);
});

test("llama3 scaling: short waves kept, long ones divided, those between blended", () => {
  const scaling: RopeScaling = {
    type: "llama3",
    factor: 8,
    lowFreqFactor: 1,
    highFreqFactor: 4,
    originalMaxPositionEmbeddings: 8192,
  };
  const plain = ropeFrequencies({ theta: 500000, dim: 128, scaling: null });
  const scaled = ropeFrequencies({ theta: 500000, dim: 128, scaling });
  plain.forEach((frequency, i) => {
    const wave = (2 * Math.PI) / frequency;
    if (wave < 8192 / 4) near(scaled[i], frequency);
    else if (wave > 8192) near(scaled[i], frequency / 8);
    else {
      const smooth = (8192 / wave - 1) / 3;
      near(scaled[i], ((1 - smooth) * frequency) / 8 + smooth * frequency);
    }
  });
});

test("impossible options are refused", () => {
  assert.throws(() => ropeFrequencies({ theta: 10000, dim: 7, scaling: null }), RangeError);
  assert.throws(() => ropeFrequencies({ theta: 0, dim: 8, scaling: null }), RangeError);
  assert.throws(() => ropeFrequencies({ theta: 10, dim: 8, scaling: { type: "linear", factor: 0 } }), RangeError);
});
