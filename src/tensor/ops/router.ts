// Mixture-of-experts routing: choosing experts, sorting tokens by expert, bringing results back, and the sequence-wise balance loss.
// Scoring and selection follow DeepSeek-V2 (softmax, group-limited by max), V3 (sigmoid, bias for selection only, groups by the sum of
// the two best; V3 report §2.1.2) and V4 (square root of softplus). The expert products are ops/linear.ts.
import { defineOp } from "../op.ts";
import { expectDtype, expectRank, expectShape, ProgramError, type Tensor, times } from "../program.ts";
import { floats, scaleBy } from "./elementwise.ts";

export type Scoring = "softmax" | "sigmoid" | "sqrtsoftplus";
const SCORINGS: Scoring[] = ["softmax", "sigmoid", "sqrtsoftplus"];

export interface RouterOptions {
  topK: number;
  scoring: Scoring;
  /** Divide the chosen weights by their sum (+1e-20). */
  normalise: boolean;
  /** Factor on the final weights (routed_scaling_factor). */
  scale: number;
  /** Experts are split into this many groups, of which `topGroups` may be chosen from. Default 1, 1. */
  groups?: number;
  topGroups?: number;
  /** A group's score: its best expert (V2) or the sum of its two best (V3). */
  groupScore?: "max" | "top2";
}

/** What the kernels keep on their stack (kernels/router.c). */
const MOST_EXPERTS = 1024;

const score = (
  kind: number,
  logits: Float32Array | Float64Array,
  at: number,
  count: number,
  out: Float32Array | Float64Array,
): void => {
  if (kind === 0) {
    let max = -Infinity;
    for (let e = 0; e < count; e++) max = Math.max(max, logits[at + e]);
    let sum = 0;
    for (let e = 0; e < count; e++) sum += Math.exp(logits[at + e] - max);
    for (let e = 0; e < count; e++) out[at + e] = Math.exp(logits[at + e] - max) / sum;
    return;
  }
  for (let e = 0; e < count; e++) {
    const x = logits[at + e];
    out[at + e] = kind === 1 ? 1 / (1 + Math.exp(-x)) : Math.sqrt(Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))));
  }
};

/** Indices of the k largest of values[0..n), best first, the lower index first among equals. */
const largest = (values: number[], k: number): number[] =>
  values
    .map((_, i) => i)
    .sort((a, b) => values[b] - values[a] || a - b)
    .slice(0, k);

const ROUTER = defineOp({
  name: "router",
  ints: ["topK", "scoring", "groups", "topGroups", "groupTop2", "normalise"],
  floats: ["scale"],
  reference: ({
    inputs,
    outputs,
    ints: [topK, scoring, groups, topGroups, groupTop2, normalise],
    floats: [factor],
  }) => {
    const logits = floats(inputs[0]);
    const bias = inputs[1] && floats(inputs[1]);
    const given = inputs[2] && (inputs[2].data as Int32Array);
    const ids = outputs[0].data as Int32Array;
    const [weights, scores] = [floats(outputs[1]), floats(outputs[2])];
    const [rows, experts] = outputs[2].shape;
    for (let row = 0; row < rows; row++) {
      const at = row * experts;
      score(scoring, logits, at, experts, scores);
      let chosen: number[];
      if (given) chosen = Array.from(given.subarray(row * topK, (row + 1) * topK));
      else {
        const choice = Array.from({ length: experts }, (_, e) => scores[at + e] + (bias ? bias[e] : 0));
        if (groups > 1) {
          const size = experts / groups;
          const groupScores = Array.from({ length: groups }, (_, g) => {
            const members = choice.slice(g * size, (g + 1) * size).sort((a, b) => b - a);
            return groupTop2 ? members[0] + members[1] : members[0];
          });
          const kept = new Set(largest(groupScores, topGroups));
          for (let e = 0; e < experts; e++) if (!kept.has(Math.floor(e / size))) choice[e] = 0;
        }
        chosen = largest(choice, topK);
      }
      let sum = 0;
      for (const e of chosen) sum += scores[at + e];
      chosen.forEach((e, k) => {
        ids[row * topK + k] = e;
        weights[row * topK + k] = (normalise ? scores[at + e] / (sum + 1e-20) : scores[at + e]) * factor;
      });
    }
  },
  backward: ({ inputs, outputs, attributes, gradOf, needs, give }) => {
    const [dweights, dscores] = [gradOf(1), gradOf(2)];
    if (!needs(0) || (!dweights && !dscores)) return;
    const logits = inputs[0] as Tensor;
    const dlogits = logits.program.temp("f32", logits.shape);
    const { topK, scoring, normalise, scale } = attributes;
    logits.program.emit(ROUTER_BACKWARD, [dweights, dscores, logits, outputs[0], outputs[2]], [dlogits], {
      topK,
      scoring,
      normalise,
      scale,
    });
    give(0, dlogits);
  },
});

const ROUTER_BACKWARD = defineOp({
  name: "router_backward",
  ints: ["topK", "scoring", "normalise"],
  floats: ["scale"],
  reference: ({ inputs, outputs, ints: [topK, scoring, normalise], floats: [factor] }) => {
    const dweights = inputs[0] && floats(inputs[0]);
    const dscores = inputs[1] && floats(inputs[1]);
    const logits = floats(inputs[2]);
    const ids = inputs[3].data as Int32Array;
    const scores = floats(inputs[4]);
    const dlogits = floats(outputs[0]);
    const [rows, experts] = outputs[0].shape;
    const ds = new Float64Array(experts);
    for (let row = 0; row < rows; row++) {
      const at = row * experts;
      for (let e = 0; e < experts; e++) ds[e] = dscores ? dscores[at + e] : 0;
      if (dweights) {
        let sum = 1e-20;
        let product = 0;
        for (let k = 0; k < topK; k++) {
          sum += scores[at + ids[row * topK + k]];
          product += dweights[row * topK + k] * scores[at + ids[row * topK + k]];
        }
        for (let k = 0; k < topK; k++) {
          const d = dweights[row * topK + k] * factor;
          ds[ids[row * topK + k]] += normalise ? d / sum - (product * factor) / (sum * sum) : d;
        }
      }
      let inner = 0;
      for (let e = 0; e < experts; e++) inner += ds[e] * scores[at + e];
      for (let e = 0; e < experts; e++) {
        const s = scores[at + e];
        if (scoring === 0) dlogits[at + e] = s * (ds[e] - inner);
        else if (scoring === 1) dlogits[at + e] = ds[e] * s * (1 - s);
        else dlogits[at + e] = ds[e] / (2 * Math.max(s, 1e-20) * (1 + Math.exp(-logits[at + e])));
      }
    }
  },
});

/**
 * Chooses topK of E experts per row of `logits` [T, E]: ids i32 [T, K] (best first), weights f32 [T, K], scores f32 [T, E].
 * `bias` [E] is added for the choice only; the weights come from the unbiased scores. `given` i32 [T, K] replaces the choice (hash
 * routing, replayed routes); the weights still come from the scores.
 */
export function router(
  logits: Tensor,
  bias: Tensor | null,
  options: RouterOptions,
  given: Tensor | null = null,
): { ids: Tensor; weights: Tensor; scores: Tensor } {
  const { topK, scoring, normalise, scale, groups = 1, topGroups = 1, groupScore = "max" } = options;
  expectDtype("router", "logits", logits, "f32");
  expectRank("router", "logits", logits, 2);
  const [rows, experts] = logits.shape;
  if (typeof experts !== "number") throw new ProgramError(`router: the number of experts of ${logits} must be fixed`);
  if (bias) expectShape("router", "bias", bias, [experts]);
  if (given) {
    expectDtype("router", "given", given, "i32");
    expectShape("router", "given", given, [rows, topK]);
  }
  if (experts > MOST_EXPERTS) throw new ProgramError(`router: at most ${MOST_EXPERTS} experts, not ${experts}`);
  if (topK < 1 || topK > experts) throw new ProgramError(`router: topK must be 1..${experts}, not ${topK}`);
  if (experts % groups !== 0 || topGroups < 1 || topGroups > groups) {
    throw new ProgramError(
      `router: ${experts} experts do not fall into ${groups} groups of which ${topGroups} are kept`,
    );
  }
  if (topK > (experts / groups) * topGroups)
    throw new ProgramError(`router: ${topGroups} groups of ${experts / groups} hold fewer than topK = ${topK} experts`);
  if (groupScore === "top2" && groups > 1 && experts / groups < 2)
    throw new ProgramError("router: groups scored by their two best need at least two experts each");
  const { program } = logits;
  const ids = program.temp("i32", [rows, topK]);
  const weights = program.temp("f32", [rows, topK]);
  const scores = program.temp("f32", [rows, experts]);
  program.emit(ROUTER, [logits, bias, given], [ids, weights, scores], {
    topK,
    scoring: SCORINGS.indexOf(scoring),
    groups,
    topGroups,
    groupTop2: Number(groupScore === "top2"),
    normalise: Number(normalise),
    scale,
  });
  return { ids, weights, scores };
}

const DISPATCH = defineOp({
  name: "dispatch",
  ints: [],
  floats: [],
  reference: ({ inputs, outputs }) => {
    const ids = inputs[0].data as Int32Array;
    const [order, inverse, offsets, tokens] = outputs.map((output) => output.data as Int32Array);
    const topK = inputs[0].shape[1];
    const experts = offsets.length - 1;
    offsets.fill(0);
    for (const e of ids) offsets[e + 1]++;
    for (let e = 0; e < experts; e++) offsets[e + 1] += offsets[e];
    const next = offsets.slice(0, experts);
    ids.forEach((e, slot) => {
      order[next[e]] = slot;
      tokens[next[e]] = Math.floor(slot / topK);
      inverse[slot] = next[e]++;
    });
  },
});

export interface Dispatch {
  /** i32 [T*K]: for each sorted place the slot t*K+k it came from. */
  order: Tensor;
  /** i32 [T*K]: for each slot its sorted place. */
  inverse: Tensor;
  /** i32 [E+1]: where each expert's places begin. */
  offsets: Tensor;
  /** i32 [T*K]: for each sorted place its token, order / K. */
  tokens: Tensor;
  topK: number;
}

/** Sorts the slots of ids i32 [T, K] by expert, stably (within an expert by token). */
export function dispatch(ids: Tensor, experts: number): Dispatch {
  expectDtype("dispatch", "ids", ids, "i32");
  expectRank("dispatch", "ids", ids, 2);
  const topK = ids.shape[1] as number;
  const places = times(ids.shape[0], topK);
  const { program } = ids;
  const order = program.temp("i32", [places]);
  const inverse = program.temp("i32", [places]);
  const offsets = program.temp("i32", [experts + 1]);
  const tokens = program.temp("i32", [places]);
  program.emit(DISPATCH, [ids], [order, inverse, offsets, tokens]);
  return { order, inverse, offsets, tokens, topK };
}

const GATHER_TOKENS = defineOp({
  name: "gather_tokens",
  ints: ["topK"],
  floats: [],
  reference: ({ inputs, outputs, ints: [topK] }) => {
    const [x, y] = [floats(inputs[0]), floats(outputs[0])];
    const width = outputs[0].shape[1];
    (inputs[1].data as Int32Array).forEach((slot, place) => {
      const token = Math.floor(slot / topK);
      for (let i = 0; i < width; i++) y[place * width + i] = x[token * width + i];
    });
  },
  backward: ({ inputs, attributes, gradOf, give }) => {
    const dy = gradOf(0);
    if (!dy) return;
    const x = inputs[0] as Tensor;
    const dx = x.program.temp("f32", x.shape);
    x.program.emit(COMBINE, [dy, inputs[2], null], [dx], { topK: attributes.topK });
    give(0, dx);
  },
});

/** Each token's row once per chosen expert, sorted by expert: x [T, D] → [T*K, D]. */
export function gatherTokens(x: Tensor, { order, inverse, topK }: Dispatch): Tensor {
  expectDtype("gather_tokens", "x", x, "f32");
  expectRank("gather_tokens", "x", x, 2);
  expectShape("gather_tokens", "order", order, [times(x.shape[0], topK)]);
  const y = x.program.temp("f32", [times(x.shape[0], topK), x.shape[1]]);
  x.program.emit(GATHER_TOKENS, [x, order, inverse], [y], { topK });
  return y;
}

const COMBINE = defineOp({
  name: "combine",
  ints: ["topK"],
  floats: [],
  reference: ({ inputs, outputs, ints: [topK] }) => {
    const [y, out] = [floats(inputs[0]), floats(outputs[0])];
    const inverse = inputs[1].data as Int32Array;
    const weights = inputs[2] && floats(inputs[2]);
    const [rows, width] = outputs[0].shape;
    for (let row = 0; row < rows; row++) {
      for (let i = 0; i < width; i++) {
        let sum = 0;
        for (let k = 0; k < topK; k++)
          sum += y[inverse[row * topK + k] * width + i] * (weights ? weights[row * topK + k] : 1);
        out[row * width + i] = sum;
      }
    }
  },
  backward: ({ inputs, attributes, gradOf, give }) => {
    const dout = gradOf(0);
    if (!dout) return;
    const [y, inverse, weights] = inputs as [Tensor, Tensor, Tensor];
    const { program } = y;
    const dy = program.temp("f32", y.shape);
    const dweights = program.temp("f32", weights.shape);
    program.emit(COMBINE_BACKWARD, [dout, y, inverse, weights], [dy, dweights], { topK: attributes.topK });
    give(0, dy);
    give(2, dweights);
  },
});

const COMBINE_BACKWARD = defineOp({
  name: "combine_backward",
  ints: ["topK"],
  floats: [],
  reference: ({ inputs, outputs, ints: [topK] }) => {
    const [dout, y] = [floats(inputs[0]), floats(inputs[1])];
    const inverse = inputs[2].data as Int32Array;
    const weights = floats(inputs[3]);
    const [dy, dweights] = outputs.map(floats);
    const [rows, width] = inputs[0].shape as number[];
    for (let row = 0; row < rows; row++) {
      for (let k = 0; k < topK; k++) {
        const place = inverse[row * topK + k];
        let sum = 0;
        for (let i = 0; i < width; i++) {
          sum += dout[row * width + i] * y[place * width + i];
          dy[place * width + i] = dout[row * width + i] * weights[row * topK + k];
        }
        dweights[row * topK + k] = sum;
      }
    }
  },
});

/** Σ_k weights[t,k] · y[place of (t,k)]: y [T*K, D] sorted by expert, weights [T, K] → [T, D]. */
export function combine(y: Tensor, { inverse, topK }: Dispatch, weights: Tensor): Tensor {
  expectDtype("combine", "y", y, "f32");
  expectRank("combine", "y", y, 2);
  expectDtype("combine", "weights", weights, "f32");
  const rows = weights.shape[0];
  expectShape("combine", "y", y, [times(rows, topK), y.shape[1]]);
  const out = y.program.temp("f32", [rows, y.shape[1]]);
  y.program.emit(COMBINE, [y, inverse, weights], [out], { topK });
  return out;
}

const EXPERT_LOAD = defineOp({
  name: "expert_load",
  ints: [],
  floats: [],
  inout: [0],
  reference: ({ inputs, outputs }) => {
    const load = outputs[0].data as Int32Array;
    const offsets = inputs[0].data as Int32Array;
    for (let e = 0; e < load.length; e++) load[e] += offsets[e + 1] - offsets[e];
  },
});

/** Adds each expert's token count of this run to `load` i32 [E], a state the host reads and clears. */
export function expertLoad({ offsets }: Pick<Dispatch, "offsets">, load: Tensor): void {
  expectDtype("expert_load", "load", load, "i32");
  expectShape("expert_load", "load", load, [(offsets.shape[0] as number) - 1]);
  offsets.program.emit(EXPERT_LOAD, [offsets], [load]);
}

const BALANCE_LOSS = defineOp({
  name: "balance_loss",
  ints: [],
  floats: ["alpha"],
  // V3 report, equations 17–20. The second output is d loss / d scores.
  reference: ({ inputs, outputs, floats: [alpha] }) => {
    const scores = floats(inputs[0]);
    const ids = inputs[1].data as Int32Array;
    const starts = inputs[2].data as Int32Array;
    const [loss, dscores] = outputs.map(floats);
    const [rows, experts] = outputs[1].shape;
    const topK = inputs[1].shape[1] as number;
    let sequences = 0;
    for (let row = 0; row < rows; row++) if (row === 0 || starts[row] !== starts[row - 1]) sequences++;
    loss[0] = 0;
    for (let begin = 0; begin < rows; ) {
      let end = begin + 1;
      while (end < rows && starts[end] === starts[begin]) end++;
      const count = end - begin;
      const load = new Float64Array(experts);
      const mean = new Float64Array(experts);
      const sums = new Float64Array(count);
      for (let row = begin; row < end; row++) {
        for (let e = 0; e < experts; e++) sums[row - begin] += scores[row * experts + e];
        for (let e = 0; e < experts; e++) mean[e] += scores[row * experts + e] / sums[row - begin] / count;
        for (let k = 0; k < topK; k++) load[ids[row * topK + k]] += experts / (topK * count);
      }
      for (let e = 0; e < experts; e++) loss[0] += (alpha * load[e] * mean[e]) / sequences;
      for (let row = begin; row < end; row++) {
        const sum = sums[row - begin];
        let inner = 0;
        for (let e = 0; e < experts; e++) inner += load[e] * scores[row * experts + e];
        for (let e = 0; e < experts; e++) {
          dscores[row * experts + e] = ((alpha / (sequences * count)) * (load[e] - inner / sum)) / sum;
        }
      }
      begin = end;
    }
  },
  backward: ({ outputs, gradOf, give }) => {
    const dloss = gradOf(0);
    if (dloss) give(0, scaleBy(outputs[1], dloss));
  },
});

/**
 * The sequence-wise balance loss alpha · Σ f_i P_i, averaged over sequences, as [1]. scores [T, E] and ids [T, K] are the router's;
 * `starts` i32 [T] holds each row's first row of its sequence.
 */
export function balanceLoss(scores: Tensor, ids: Tensor, starts: Tensor, alpha: number): Tensor {
  expectDtype("balance_loss", "scores", scores, "f32");
  expectDtype("balance_loss", "ids", ids, "i32");
  expectShape("balance_loss", "starts", starts, [scores.shape[0]]);
  const { program } = scores;
  const loss = program.temp("f32", [1]);
  program.emit(BALANCE_LOSS, [scores, ids, starts], [loss, program.temp("f32", scores.shape)], { alpha });
  return loss;
}

const HASH_ROUTES = defineOp({
  name: "hash_routes",
  ints: [],
  floats: [],
  reference: ({ inputs, outputs }) => {
    const table = inputs[0].data as Int32Array;
    const out = outputs[0].data as Int32Array;
    const topK = outputs[0].shape[1];
    (inputs[1].data as Int32Array).forEach((id, row) =>
      out.set(table.subarray(id * topK, (id + 1) * topK), row * topK),
    );
  },
});

/** V4's hash layers: the experts of a token come from a table i32 [V, K] by token id [T] → [T, K]. */
export function hashRoutes(table: Tensor, ids: Tensor): Tensor {
  expectDtype("hash_routes", "table", table, "i32");
  expectDtype("hash_routes", "ids", ids, "i32");
  const out = table.program.temp("i32", [ids.shape[0], table.shape[1]]);
  table.program.emit(HASH_ROUTES, [table, ids], [out]);
  return out;
}
