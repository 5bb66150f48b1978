// Log-probabilities of target tokens, fused with the output head so that the logits of all rows never exist at once. Cross-entropy,
// GRPO and distillation losses are weighted sums of what this gives.
import { defineOp, type Value } from "../op.ts";
import { expectDtype, expectRank, expectShape, ProgramError, type Tensor } from "../program.ts";
import { floats } from "./elementwise.ts";

/** Rows whose logits exist at the same time: about 4 MB of them. */
const logitRows = (vocab: number): number => Math.max(16, Math.min(256, Math.floor(2 ** 20 / vocab)));

/** Most tokens that a row may be restricted to; the kernel's WEIR_KEPT. */
export const MOST_KEPT = 32;

/** The tokens that a row is restricted to, or undefined for all. */
function keptOf(kept: Value | null, row: number): number[] | undefined {
  if (!kept) return undefined;
  const width = kept.shape[1];
  const ids = Array.from((kept.data as Int32Array).subarray(row * width, (row + 1) * width));
  const end = ids.indexOf(-1);
  return end === 0 ? undefined : ids.slice(0, end < 0 ? width : end);
}

const LOGPROB = defineOp({
  name: "logprob",
  ints: [],
  floats: ["logitScale"],
  reference: ({ inputs, outputs, floats: [logitScale] }) => {
    const [x, w] = [floats(inputs[0]), floats(inputs[1])];
    const targets = inputs[2].data as Int32Array;
    const [logp, lse, entropy] = outputs.map(floats);
    const [vocab, width] = inputs[1].shape as number[];
    const all = new Float64Array(vocab);
    for (let row = 0; row < targets.length; row++) {
      for (let v = 0; v < vocab; v++) {
        let sum = 0;
        for (let i = 0; i < width; i++) sum += x[row * width + i] * w[v * width + i];
        all[v] = sum * logitScale;
      }
      const logits = keptOf(inputs[3], row)?.map((id) => all[id]) ?? [...all];
      const max = Math.max(...logits);
      let sum = 0;
      for (const logit of logits) sum += Math.exp(logit - max);
      lse[row] = max + Math.log(sum);
      logp[row] = all[targets[row]] - lse[row];
      let mean = 0;
      for (const logit of logits) mean += Math.exp(logit - lse[row]) * logit;
      entropy[row] = lse[row] - mean;
    }
  },
  backward: ({ inputs, outputs, attributes, gradOf, needs, give, accumulator }) => {
    const dlogp = gradOf(0);
    if (gradOf(1) || gradOf(2))
      throw new ProgramError("logprob: only the log-probabilities have a gradient, not lse and entropy");
    if (!dlogp) return;
    const [x, w, targets, kept] = inputs as [Tensor, Tensor, Tensor, Tensor | null];
    const { program } = x;
    const dx = program.temp("f32", x.shape);
    const dw = needs(1) ? accumulator(1) : program.temp("f32", w.shape);
    program.emit(
      LOGPROB_BACKWARD,
      [dlogp, x, w, targets, outputs[1], kept],
      [dw, dx, program.temp("f32", [logitRows(w.shape[0] as number), w.shape[0]])],
      attributes,
    );
    if (needs(0)) give(0, dx);
  },
});

const LOGPROB_BACKWARD = defineOp({
  name: "logprob_backward",
  ints: [],
  floats: ["logitScale"],
  inout: [0],
  reference: ({ inputs, outputs, floats: [logitScale] }) => {
    const [dlogp, x, w] = inputs.slice(0, 3).map(floats);
    const targets = inputs[3].data as Int32Array;
    const lse = floats(inputs[4]);
    const [dw, dx] = outputs.map(floats);
    const [vocab, width] = inputs[2].shape as number[];
    dx.fill(0);
    for (let row = 0; row < targets.length; row++) {
      for (const v of keptOf(inputs[5], row) ?? Array.from({ length: vocab }, (_, id) => id)) {
        let sum = 0;
        for (let i = 0; i < width; i++) sum += x[row * width + i] * w[v * width + i];
        const d = dlogp[row] * logitScale * ((v === targets[row] ? 1 : 0) - Math.exp(sum * logitScale - lse[row]));
        for (let i = 0; i < width; i++) {
          dx[row * width + i] += d * w[v * width + i];
          dw[v * width + i] += d * x[row * width + i];
        }
      }
    }
  },
});

/**
 * Natural log-probability of targets i32 [T] under softmax(logitScale · x·Wᵀ), x [T, D], W f32 [V, D]:
 * logp [T], the log of the partition sum lse [T] and the entropy [T] (nats). Gradients flow through logp only. `kept` i32 [T, K],
 * K ≤ 32: the tokens that a row's distribution is restricted to, the target among them, −1 after the last; a row that begins with
 * −1 is not restricted. It is how truncated sampling is trained on (V3.2 report §3.1, keep sampling mask).
 */
export function logprob(
  x: Tensor,
  w: Tensor,
  targets: Tensor,
  logitScale = 1,
  kept: Tensor | null = null,
): { logp: Tensor; lse: Tensor; entropy: Tensor } {
  expectDtype("logprob", "x", x, "f32");
  expectRank("logprob", "x", x, 2);
  expectDtype("logprob", "w", w, "f32");
  expectShape("logprob", "w", w, [w.shape[0], x.shape[1]]);
  expectDtype("logprob", "targets", targets, "i32");
  expectShape("logprob", "targets", targets, [x.shape[0]]);
  if (targets.kind === "input" && (targets.range === undefined || targets.range.max > (w.shape[0] as number))) {
    throw new ProgramError(
      `logprob: ${targets} must be declared with a range within 0..${w.shape[0]}, so that bad ids are caught`,
    );
  }
  if (kept) {
    expectDtype("logprob", "kept", kept, "i32");
    expectShape("logprob", "kept", kept, [x.shape[0], kept.shape[1]]);
    if ((kept.shape[1] as number) > MOST_KEPT)
      throw new ProgramError(`logprob: at most ${MOST_KEPT} tokens are kept per row, but ${kept} was given`);
    if (kept.kind === "input" && (kept.range === undefined || kept.range.max > (w.shape[0] as number)))
      throw new ProgramError(`logprob: ${kept} must be declared with a range within -1..${w.shape[0]}`);
  }
  const { program } = x;
  const rows = x.shape[0];
  const [logp, lse, entropy] = [program.temp("f32", [rows]), program.temp("f32", [rows]), program.temp("f32", [rows])];
  program.emit(
    LOGPROB,
    [x, w, targets, kept],
    [logp, lse, entropy, program.temp("f32", [logitRows(w.shape[0] as number), w.shape[0]])],
    {
      logitScale,
    },
  );
  return { logp, lse, entropy };
}
