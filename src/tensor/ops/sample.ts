// Choosing the next token from logits: temperature, top-k, top-p, min-p and an allowed-token mask, with the log-probability under the
// distribution that was sampled from, and the best alternatives. The random number of a row depends on its seed and counter alone,
// never on its neighbours. Penalties and biases are the caller's edits of the logits.
import { defineOp } from "../op.ts";
import { expectDtype, expectRank, expectShape, type Tensor } from "../program.ts";
import { floats } from "./elementwise.ts";

/** A well-mixing 32-bit permutation (the "lowbias32" constants of C. Wellons' hash prospector). */
const mix = (x: number): number => {
  let h = x >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
  return (h ^ (h >>> 16)) >>> 0;
};

/** The uniform number in [0, 1), a multiple of 2^-24, that row (seed, counter) draws. */
export const uniform = (seed: number, counter: number): number =>
  (mix(mix(seed ^ 0x9e3779b9) + Math.imul(counter, 0x85ebca6b)) >>> 8) / 16777216;

const SAMPLE = defineOp({
  name: "sample",
  ints: ["alternatives"],
  floats: [],
  reference: ({ inputs, outputs, ints: [alternatives] }) => {
    const [logits, parameters] = [floats(inputs[0]), floats(inputs[1])];
    const counters = inputs[2].data as Int32Array;
    const mask = inputs[3] && (inputs[3].data as Int32Array);
    const ids = outputs[0].data as Int32Array;
    const logp = floats(outputs[1]);
    const topIds = outputs[2].data as Int32Array;
    const topLogp = floats(outputs[3]);
    const [rows, vocab] = inputs[0].shape as number[];
    const words = mask ? (inputs[3].shape[1] as number) : 0;
    for (let row = 0; row < rows; row++) {
      const [temperature, topK, topP, minP] = parameters.subarray(row * 4, row * 4 + 4);
      const allowed = (v: number): boolean => !mask || ((mask[row * words + (v >> 5)] >>> (v & 31)) & 1) === 1;
      const order: number[] = [];
      for (let v = 0; v < vocab; v++) if (allowed(v)) order.push(v);
      const value = (v: number): number => logits[row * vocab + v];
      order.sort((a, b) => value(b) - value(a) || a - b);
      const best = order.length > 0 ? value(order[0]) : 0;
      const heat = temperature > 0 ? temperature : 1;
      const weight = (v: number): number => Math.exp((value(v) - best) / heat);
      let total = 0;
      for (const v of order) total += weight(v);
      let kept = order.length;
      if (temperature > 0) {
        if (topK > 0) kept = Math.min(kept, topK);
        if (topP < 1) {
          let sum = 0;
          for (let i = 0; i < kept; i++) {
            sum += weight(order[i]);
            if (sum >= topP * total) kept = i + 1;
          }
        }
        if (minP > 0) {
          let i = 1;
          while (i < kept && weight(order[i]) >= minP) i++;
          kept = i;
        }
      }
      let mass = 0;
      for (let i = 0; i < kept; i++) mass += weight(order[i]);
      let chosen = order.length > 0 ? order[0] : 0;
      if (temperature > 0 && order.length > 0) {
        const target = uniform(counters[row * 2], counters[row * 2 + 1]) * mass;
        const truncated = topK > 0 || topP < 1 || minP > 0;
        const candidates = truncated ? order.slice(0, kept) : [...order].sort((a, b) => a - b);
        let sum = 0;
        chosen = candidates[truncated ? 0 : candidates.length - 1];
        for (const v of candidates) {
          sum += weight(v);
          if (sum > target) {
            chosen = v;
            break;
          }
        }
      }
      ids[row] = chosen;
      logp[row] = (value(chosen) - best) / heat - Math.log(mass);
      for (let i = 0; i < alternatives; i++) {
        topIds[row * alternatives + i] = i < order.length ? order[i] : -1;
        topLogp[row * alternatives + i] = i < kept ? (value(order[i]) - best) / heat - Math.log(mass) : -Infinity;
      }
    }
  },
});

export interface Sampled {
  ids: Tensor;
  /** Natural log under the processed distribution. */
  logp: Tensor;
  /** i32 and f32 [R, alternatives], best first; id −1 where fewer tokens are allowed. */
  topIds: Tensor;
  topLogp: Tensor;
}

/**
 * One token per row of logits [R, V]. `parameters` [R, 4] = temperature (0: greedy, ties to the lowest id; its log-probability is
 * at temperature 1), top-k (0: all), top-p (1: all), min-p (0: none). `counters` i32 [R, 2] = seed, counter. `mask` i32
 * [R, ceil(V/32)]: bit v set where token v is allowed; a row that allows nothing yields id 0. Truncations apply in the order top-k,
 * top-p (on the full distribution's mass), min-p.
 */
export function sample(
  logits: Tensor,
  parameters: Tensor,
  counters: Tensor,
  mask: Tensor | null,
  alternatives = 0,
): Sampled {
  expectDtype("sample", "logits", logits, "f32");
  expectRank("sample", "logits", logits, 2);
  const [rows, vocab] = logits.shape;
  expectDtype("sample", "parameters", parameters, "f32");
  expectShape("sample", "parameters", parameters, [rows, 4]);
  expectDtype("sample", "counters", counters, "i32");
  expectShape("sample", "counters", counters, [rows, 2]);
  if (mask) {
    expectDtype("sample", "mask", mask, "i32");
    expectShape("sample", "mask", mask, [rows, Math.ceil((vocab as number) / 32)]);
  }
  const { program } = logits;
  const ids = program.temp("i32", [rows]);
  const logp = program.temp("f32", [rows]);
  const topIds = program.temp("i32", [rows, alternatives]);
  const topLogp = program.temp("f32", [rows, alternatives]);
  // The last output is scratch: weights and an index heap.
  program.emit(
    SAMPLE,
    [logits, parameters, counters, mask],
    [ids, logp, topIds, topLogp, program.temp("f32", [rows, 2, vocab])],
    { alternatives },
  );
  return { ids, logp, topIds, topLogp };
}
