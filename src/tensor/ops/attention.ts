// Attention over flat rows, for training and for whole prompts, with gradients. Nothing here stores the score matrix.
//   attention(q, k, v, starts, { scale, window, sinks })   causal within documents; MHA, GQA, expanded MLA
//   gatherAttention(q, k, v, indices, { scale })           every query sees its own list of rows (V3.2's and V4's sparse attention)
//   mergeAttention(a, b, sinks)                            two results over disjoint keys, and sink logits, as one softmax
//   mlaKeys(kNopeV, kRope, { nope, value })                MLA's expanded keys and values from their parts
// Attention over a paged cache is ops/cache.ts. Every result carries lse [T, H] = ln Σ exp(score) over the keys seen (−∞ for none),
// which is what makes results mergeable; it is differentiable too.
// Online softmax: Milakov & Gimelshein, arXiv 1805.02867; tiled backward from lse: Dao, FlashAttention-2, arXiv 2307.08691.
// Sink logits: a learned logit per head that takes part in the softmax's denominator and has no value (DeepSeek-V4 report §2.3).
import { defineOp, type Value } from "../op.ts";
import {
  type Dim,
  expectDtype,
  expectRank,
  expectShape,
  ProgramError,
  sameDim,
  showShape,
  type Tensor,
} from "../program.ts";
import { fill, floats } from "./elementwise.ts";
import { expectIndices, fixedDim } from "./indices.ts";
import { gatherScratch, SLOTS, tileScratch } from "./scratch.ts";

/** An attention result: the weighted values [T, H, Dv] and the log of the softmax's denominator [T, H]. */
export interface Attended {
  out: Tensor;
  lse: Tensor;
}

/** First row of every row's document: a new one begins wherever the value of `starts` changes. */
function documentStarts(starts: ArrayLike<number>, rows: number): Int32Array {
  const first = new Int32Array(rows);
  for (let t = 1; t < rows; t++) first[t] = starts[t] === starts[t - 1] ? first[t - 1] : t;
  return first;
}

const dot = (a: ArrayLike<number>, ai: number, b: ArrayLike<number>, bi: number, n: number): number => {
  let sum = 0;
  for (let i = 0; i < n; i++) sum += a[ai + i] * b[bi + i];
  return sum;
};

/** The shapes of one call: rows, heads, key/value heads, widths, key rows. */
function sizes(q: Value, k: Value, v: Value) {
  const [rows, heads, dk] = q.shape;
  const [keys, kvHeads, dv] = [k.shape[0], k.shape[1], v.shape[2]];
  return { rows, heads, dk, dv, keys, kvHeads, group: heads / kvHeads };
}

/** Obvious attention: row t, head h over the key rows that `keysOf(t)` lists. */
function referenceForward(
  q: Value,
  k: Value,
  v: Value,
  out: Value,
  lse: Value,
  scale: number,
  keysOf: (t: number) => number[],
): void {
  const { rows, heads, dk, dv, kvHeads, group } = sizes(q, k, v);
  const [o, l] = [floats(out), floats(lse)];
  const [qd, kd, vd] = [floats(q), floats(k), floats(v)];
  for (let t = 0; t < rows; t++) {
    const keys = keysOf(t);
    for (let h = 0; h < heads; h++) {
      const kv = Math.floor(h / group);
      const scores = keys.map((s) => scale * dot(qd, (t * heads + h) * dk, kd, (s * kvHeads + kv) * dk, dk));
      const top = scores.reduce((a, b) => Math.max(a, b), -Infinity);
      const weights = scores.map((score) => Math.exp(score - top));
      const total = weights.reduce((a, b) => a + b, 0);
      const at = (t * heads + h) * dv;
      for (let i = 0; i < dv; i++) {
        let sum = 0;
        keys.forEach((s, j) => (sum += weights[j] * vd[(s * kvHeads + kv) * dv + i]));
        o[at + i] = keys.length ? sum / total : 0;
      }
      l[t * heads + h] = keys.length ? top + Math.log(total) : -Infinity;
    }
  }
}

/** Obvious gradients of the above, added into dq, dk, dv where given. */
function referenceBackward(
  {
    q,
    k,
    v,
    out,
    lse,
    dout,
    dlse,
  }: { [name in "q" | "k" | "v" | "out" | "lse" | "dout"]: Value } & {
    dlse: Value | null;
  },
  into: { dq?: Value; dk?: Value; dv?: Value },
  scale: number,
  keysOf: (t: number) => number[],
): void {
  const { rows, heads, dk, dv, kvHeads, group } = sizes(q, k, v);
  const [qd, kd, vd, o, l, g] = [q, k, v, out, lse, dout].map(floats);
  for (let t = 0; t < rows; t++) {
    for (let h = 0; h < heads; h++) {
      const kv = Math.floor(h / group);
      const row = t * heads + h;
      const delta = dot(g, row * dv, o, row * dv, dv) - (dlse ? floats(dlse)[row] : 0);
      for (const s of keysOf(t)) {
        const key = s * kvHeads + kv;
        const p = Math.exp(scale * dot(qd, row * dk, kd, key * dk, dk) - l[row]);
        const ds = p * (dot(g, row * dv, vd, key * dv, dv) - delta) * scale;
        if (into.dq) for (let i = 0; i < dk; i++) floats(into.dq)[row * dk + i] += ds * kd[key * dk + i];
        if (into.dk) for (let i = 0; i < dk; i++) floats(into.dk)[key * dk + i] += ds * qd[row * dk + i];
        if (into.dv) for (let i = 0; i < dv; i++) floats(into.dv)[key * dv + i] += p * g[row * dv + i];
      }
    }
  }
}

const causalKeys = (starts: Value, rows: number, window: number): ((t: number) => number[]) => {
  const first = documentStarts(starts.data, rows);
  return (t) => {
    const from = window > 0 ? Math.max(first[t], t - window + 1) : first[t];
    return Array.from({ length: t - from + 1 }, (_, i) => from + i);
  };
};

const ATTENTION = defineOp({
  name: "attention",
  ints: ["window"],
  floats: ["scale"],
  reference: ({ inputs, outputs: [out, lse], ints: [window], floats: [scale] }) => {
    const [q, k, v, starts] = inputs as Value[];
    referenceForward(q, k, v, out, lse, scale, causalKeys(starts, q.shape[0], window));
  },
  backward: ({ inputs, outputs, attributes, gradOf, needs, give }) => {
    const gradient = upstream(outputs, gradOf);
    if (!gradient) return;
    const [q, k, v, starts] = inputs as [Tensor, Tensor, Tensor, Tensor];
    const { program } = q;
    const like = (tensor: Tensor): Tensor => program.temp("f32", tensor.shape);
    const [dq, dk, dv] = [like(q), like(k), like(v)];
    const scratch = program.temp("f32", [SLOTS, tileScratch(width(q), width(v))]);
    program.emit(
      ATTENTION_BACKWARD,
      [q, k, v, starts, outputs[0], outputs[1], gradient.out, gradient.lse],
      [dq, dk, dv, scratch],
      attributes,
    );
    [dq, dk, dv].forEach((d, i) => needs(i) && give(i, d));
  },
});

/** The gradients that reached out and lse; null when neither did. A missing gradient of out becomes zeros. */
function upstream(
  outputs: readonly Tensor[],
  gradOf: (output: number) => Tensor | null,
): { out: Tensor; lse: Tensor | null } | null {
  const [out, lse] = [gradOf(0), gradOf(1)];
  if (!out && !lse) return null;
  return { out: out ?? fill(outputs[0].program, outputs[0].shape, 0), lse };
}

const width = (tensor: Tensor): number => fixedDim("attention", "the head width", tensor.shape[2]);

const ATTENTION_BACKWARD = defineOp({
  name: "attention_backward",
  ints: ["window"],
  floats: ["scale"],
  reference: ({ inputs, outputs: [dq, dk, dv], ints: [window], floats: [scale] }) => {
    const [q, k, v, starts, out, lse, dout] = inputs as Value[];
    for (const d of [dq, dk, dv]) floats(d).fill(0);
    const values = { q, k, v, out, lse, dout, dlse: inputs[7] };
    referenceBackward(values, { dq, dk, dv }, scale, causalKeys(starts, q.shape[0], window));
  },
});

function checkHeads(op: string, q: Tensor, k: Tensor, v: Tensor): void {
  for (const [what, tensor] of [
    ["q", q],
    ["k", k],
    ["v", v],
  ] as const) {
    expectDtype(op, what, tensor, "f32");
    expectRank(op, what, tensor, 3);
    tensor.shape.slice(1).forEach((d) => fixedDim(op, `heads and width of ${what}`, d));
  }
  if (!sameDim(k.shape[0], v.shape[0]) || k.shape[1] !== v.shape[1])
    throw new ProgramError(`${op}: k and v must have the same rows and heads, but ${k} and ${v} were given`);
  if (k.shape[2] !== q.shape[2])
    throw new ProgramError(`${op}: q and k must have the same width, but ${q} and ${k} were given`);
  if ((q.shape[1] as number) % (k.shape[1] as number) !== 0)
    throw new ProgramError(`${op}: the heads of q must be a multiple of those of k, but ${q} and ${k} were given`);
}

export interface AttentionOptions {
  /** What q·k is multiplied by, usually Dk^−½. */
  scale: number;
  /** How many latest rows a row sees, itself included; 0 (default): all of its document so far. */
  window?: number;
  /** Sink logits f32 [H]. */
  sinks?: Tensor;
}

/**
 * Causal attention. q [T, H, Dk], k [T, Hk, Dk], v [T, Hk, Dv], all f32, H a multiple of Hk (query head h reads key head
 * ⌊h·Hk/H⌋); starts i32 [T]: the first row of each row's document (a new document begins wherever the value changes). Row t sees
 * rows max(document start, t − window + 1) … t. Returns out [T, H, Dv] and lse [T, H] (with the sinks in it). The bits of a
 * document's rows do not depend on what is packed around it. Differentiable in q, k, v, sinks.
 */
export function attention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  starts: Tensor,
  { scale, window = 0, sinks }: AttentionOptions,
): Attended {
  checkHeads("attention", q, k, v);
  if (!sameDim(q.shape[0], k.shape[0]))
    throw new ProgramError(`attention: q and k must have the same rows, but ${q} and ${k} were given`);
  expectDtype("attention", "starts", starts, "i32");
  expectShape("attention", "starts", starts, [q.shape[0]]);
  if (!Number.isInteger(window) || window < 0)
    throw new ProgramError(`attention: the window must be a whole number from 0 up, not ${window}`);
  const { program } = q;
  const out = program.temp("f32", [q.shape[0], q.shape[1], v.shape[2]]);
  const lse = program.temp("f32", [q.shape[0], q.shape[1]]);
  const scratch = program.temp("f32", [SLOTS, tileScratch(width(q), width(v))]);
  program.emit(ATTENTION, [q, k, v, starts], [out, lse, scratch], { window, scale });
  return sinks ? mergeAttention({ out, lse }, null, sinks) : { out, lse };
}

/** Row t's listed key rows, −1 left out. */
const listedKeys = (indices: Value): ((t: number) => number[]) => {
  const count = indices.shape[1];
  return (t) => [...(indices.data as Int32Array).subarray(t * count, (t + 1) * count)].filter((s) => s >= 0);
};

const GATHER_ATTENTION = defineOp({
  name: "gather_attention",
  ints: [],
  floats: ["scale"],
  reference: ({ inputs, outputs: [out, lse], floats: [scale] }) => {
    const [q, k, v, indices] = inputs as Value[];
    referenceForward(q, k, v, out, lse, scale, listedKeys(indices));
  },
  backward: ({ inputs, outputs, attributes, gradOf, needs, give }) => {
    const gradient = upstream(outputs, gradOf);
    if (!gradient) return;
    const [q, k, v, indices] = inputs as [Tensor, Tensor, Tensor, Tensor];
    const { program } = q;
    const like = (tensor: Tensor): Tensor => program.temp("f32", tensor.shape);
    const [dq, dk, dv] = [like(q), like(k), like(v)];
    program.emit(
      GATHER_ATTENTION_BACKWARD,
      [q, k, v, indices, outputs[0], outputs[1], gradient.out, gradient.lse],
      [dq, dk, dv, like(outputs[1])],
      attributes,
    );
    [dq, dk, dv].forEach((d, i) => needs(i) && give(i, d));
  },
});

const GATHER_ATTENTION_BACKWARD = defineOp({
  name: "gather_attention_backward",
  ints: [],
  floats: ["scale"],
  reference: ({ inputs, outputs: [dq, dk, dv], floats: [scale] }) => {
    const [q, k, v, indices, out, lse, dout] = inputs as Value[];
    for (const d of [dq, dk, dv]) floats(d).fill(0);
    referenceBackward({ q, k, v, out, lse, dout, dlse: inputs[7] }, { dq, dk, dv }, scale, listedKeys(indices));
  },
});

/**
 * Attention in which row t of q [T, H, Dk] sees the rows of k [N, Hk, Dk] and v [N, Hk, Dv] that indices i32 [T, M] lists for
 * it (−1: none; order does not matter beyond rounding). A row without keys gives zeros and lse −∞. Differentiable in q, k, v.
 */
export function gatherAttention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  indices: Tensor,
  { scale, sinks }: Pick<AttentionOptions, "scale" | "sinks">,
): Attended {
  checkHeads("gather_attention", q, k, v);
  expectRank("gather_attention", "indices", indices, 2);
  const count = fixedDim("gather_attention", "the length of a row's list", indices.shape[1]);
  expectIndices("gather_attention", "indices", indices, [q.shape[0], count], k.shape[0], -1);
  const { program } = q;
  const out = program.temp("f32", [q.shape[0], q.shape[1], v.shape[2]]);
  const lse = program.temp("f32", [q.shape[0], q.shape[1]]);
  const scratch = program.temp("f32", [SLOTS, gatherScratch(q.shape[1] as number, width(q), width(v))]);
  program.emit(GATHER_ATTENTION, [q, k, v, indices], [out, lse, scratch], { scale });
  return sinks ? mergeAttention({ out, lse }, null, sinks) : { out, lse };
}

/** The weights with which up to two results and the sink enter a merged row, and the merged lse. */
function mergeWeights(first: number, second: number, sink: number): { weights: [number, number, number]; lse: number } {
  const top = Math.max(first, second, sink);
  if (top === -Infinity) return { weights: [0, 0, 0], lse: -Infinity };
  const parts = [first, second, sink].map((x) => Math.exp(x - top));
  const total = parts[0] + parts[1] + parts[2];
  return { weights: [parts[0] / total, parts[1] / total, parts[2] / total], lse: top + Math.log(total) };
}

const rowWeights = (inputs: readonly (Value | null)[], row: number, heads: number) =>
  mergeWeights(
    floats(inputs[1])[row],
    inputs[3] ? floats(inputs[3])[row] : -Infinity,
    inputs[4] ? floats(inputs[4])[row % heads] : -Infinity,
  );

const MERGE = defineOp({
  name: "attention_merge",
  ints: [],
  floats: [],
  reference: ({ inputs, outputs: [out, lse] }) => {
    const [, heads, value] = out.shape;
    const [o, l] = [floats(out), floats(lse)];
    for (let row = 0; row < l.length; row++) {
      const { weights, lse: merged } = rowWeights(inputs, row, heads);
      for (let i = row * value; i < (row + 1) * value; i++)
        o[i] = weights[0] * floats(inputs[0])[i] + (inputs[2] ? weights[1] * floats(inputs[2])[i] : 0);
      l[row] = merged;
    }
  },
  backward: ({ inputs, outputs, gradOf, needs, give, accumulator }) => {
    const gradient = upstream(outputs, gradOf);
    if (!gradient) return;
    const { program } = outputs[0];
    const results = inputs[2] ? 2 : 1;
    const parts = inputs.slice(0, 2 * results).map((tensor) => program.temp("f32", (tensor as Tensor).shape));
    program.emit(MERGE_BACKWARD, [...inputs, outputs[0], gradient.out, gradient.lse], parts);
    parts.forEach((part, i) => needs(i) && give(i, part));
    if (inputs[4] && needs(4))
      program.emit(SINKS_GRAD, [inputs[4], outputs[0], outputs[1], gradient.out, gradient.lse], [accumulator(4)]);
  },
});

const MERGE_BACKWARD = defineOp({
  name: "attention_merge_backward",
  ints: [],
  floats: [],
  reference: ({ inputs, outputs }) => {
    const [out, dout, dlse] = inputs.slice(5);
    const [, heads, value] = (out as Value).shape;
    const g = floats(dout);
    for (let row = 0; row < floats(inputs[1]).length; row++) {
      const { weights } = rowWeights(inputs, row, heads);
      const delta = dot(g, row * value, floats(out), row * value, value) - (dlse ? floats(dlse)[row] : 0);
      for (let part = 0; part < outputs.length / 2; part++) {
        const [o, d, dl] = [floats(inputs[2 * part]), floats(outputs[2 * part]), floats(outputs[2 * part + 1])];
        for (let i = row * value; i < (row + 1) * value; i++) d[i] = weights[part] * g[i];
        dl[row] = weights[part] * (dot(g, row * value, o, row * value, value) - delta);
      }
    }
  },
});

const SINKS_GRAD = defineOp({
  name: "attention_sinks_grad",
  ints: [],
  floats: [],
  inout: [0],
  reference: ({ inputs, outputs }) => {
    const [sinks, out, lse, dout, dlse] = inputs;
    const [rows, heads, value] = (out as Value).shape;
    for (let h = 0; h < heads; h++) {
      let sum = 0;
      for (let t = 0; t < rows; t++) {
        const row = t * heads + h;
        const delta = dot(floats(dout), row * value, floats(out), row * value, value);
        sum += Math.exp(floats(sinks)[h] - floats(lse)[row]) * ((dlse ? floats(dlse)[row] : 0) - delta);
      }
      floats(outputs[0])[h] += sum;
    }
  },
});

/**
 * One softmax over the keys of `a`, of `b` (disjoint from a's; null: none) and over sink logits f32 [H]. out [T, H, Dv] and lse
 * [T, H] like a's. Differentiable in all of them.
 */
export function mergeAttention(a: Attended, b: Attended | null, sinks: Tensor | null): Attended {
  const { program, shape } = a.out;
  expectRank("attention_merge", "out", a.out, 3);
  expectShape("attention_merge", "lse", a.lse, shape.slice(0, 2));
  if (b) expectShape("attention_merge", "the second result", b.out, shape);
  if (b) expectShape("attention_merge", "the second lse", b.lse, shape.slice(0, 2));
  if (sinks) expectShape("attention_merge", "sinks", sinks, [shape[1]]);
  for (const tensor of [a.out, a.lse, b?.out, b?.lse, sinks])
    if (tensor) expectDtype("attention_merge", tensor.name, tensor, "f32");
  const out = program.temp("f32", shape);
  const lse = program.temp("f32", shape.slice(0, 2));
  program.emit(MERGE, [a.out, a.lse, b?.out ?? null, b?.lse ?? null, sinks], [out, lse]);
  return { out, lse };
}

const MLA_KEYS = defineOp({
  name: "mla_keys",
  ints: [],
  floats: [],
  reference: ({ inputs, outputs: [keys, values] }) => {
    const [parts, rotary] = inputs as Value[];
    const [rows, heads, dk] = keys.shape;
    const [dv, rope] = [values.shape[2], rotary.shape[1]];
    const nope = dk - rope;
    const [x, r, k, v] = [parts, rotary, keys, values].map(floats);
    for (let row = 0; row < rows * heads; row++) {
      for (let i = 0; i < nope; i++) k[row * dk + i] = x[row * (nope + dv) + i];
      for (let i = 0; i < rope; i++) k[row * dk + nope + i] = r[Math.floor(row / heads) * rope + i];
      for (let i = 0; i < dv; i++) v[row * dv + i] = x[row * (nope + dv) + nope + i];
    }
  },
  backward: ({ inputs, outputs, gradOf, needs, give }) => {
    const { program } = outputs[0];
    const grads = outputs.map((output, i) => gradOf(i) ?? fill(program, output.shape, 0));
    const parts = inputs.map((tensor) => program.temp("f32", (tensor as Tensor).shape));
    program.emit(MLA_KEYS_BACKWARD, grads, parts);
    parts.forEach((part, i) => needs(i) && give(i, part));
  },
});

const MLA_KEYS_BACKWARD = defineOp({
  name: "mla_keys_backward",
  ints: [],
  floats: [],
  reference: ({ inputs, outputs: [parts, rotary] }) => {
    const [keys, values] = inputs as Value[];
    const [rows, heads, dk] = keys.shape;
    const [dv, rope] = [values.shape[2], rotary.shape[1]];
    const nope = dk - rope;
    const [x, r, k, v] = [parts, rotary, keys, values].map(floats);
    for (let row = 0; row < rows * heads; row++) {
      for (let i = 0; i < nope; i++) x[row * (nope + dv) + i] = k[row * dk + i];
      for (let i = 0; i < dv; i++) x[row * (nope + dv) + nope + i] = v[row * dv + i];
    }
    for (let t = 0; t < rows; t++) {
      for (let i = 0; i < rope; i++) {
        let sum = 0;
        for (let h = 0; h < heads; h++) sum += k[(t * heads + h) * dk + nope + i];
        r[t * rope + i] = sum;
      }
    }
  },
});

/**
 * MLA's expanded keys and values (DeepSeek-V2 §2.1.2–2.1.3): kNopeV [T, H, nope + value] as kv_b_proj gives it (or [T, H·(nope +
 * value)]) and the shared rotated key kRope [T, rope] become k [T, H, nope + rope] and v [T, H, value]. Differentiable.
 */
export function mlaKeys(
  kNopeV: Tensor,
  kRope: Tensor,
  { heads, nope, value }: { heads: number; nope: number; value: number },
): { k: Tensor; v: Tensor } {
  expectDtype("mla_keys", "kNopeV", kNopeV, "f32");
  expectDtype("mla_keys", "kRope", kRope, "f32");
  expectRank("mla_keys", "kRope", kRope, 2);
  const [rows, rope] = [kRope.shape[0], fixedDim("mla_keys", "the rotary width", kRope.shape[1])];
  const split: Dim[] = [rows, heads, nope + value];
  const flat: Dim[] = [rows, heads * (nope + value)];
  const matches = (shape: readonly Dim[]): boolean =>
    kNopeV.shape.length === shape.length && shape.every((d, i) => sameDim(d, kNopeV.shape[i]));
  if (!matches(split) && !matches(flat))
    throw new ProgramError(
      `mla_keys: kNopeV must be ${showShape(split)} or ${showShape(flat)}, but ${kNopeV} was given`,
    );
  const { program } = kNopeV;
  const k = program.temp("f32", [rows, heads, nope + rope]);
  const v = program.temp("f32", [rows, heads, value]);
  program.emit(MLA_KEYS, [kNopeV, kRope], [k, v]);
  return { k, v };
}
