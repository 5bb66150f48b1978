// SwiGLU (Shazeer 2020), with DeepSeek-V4's optional clamp: gate bounded above, up bounded on both sides.
import { defineOp } from "../op.ts";
import { expectDtype, expectShape, ProgramError, type Tensor } from "../program.ts";
import { floats } from "./elementwise.ts";

const SWIGLU = defineOp({
  name: "swiglu",
  ints: [],
  floats: ["limit"],
  inPlace: 0,
  reference: ({ inputs, outputs, floats: [limit] }) => {
    const [gate, up, y] = [floats(inputs[0]), floats(inputs[1]), floats(outputs[0])];
    for (let i = 0; i < y.length; i++) {
      const g = limit > 0 ? Math.min(gate[i], limit) : gate[i];
      const u = limit > 0 ? Math.max(-limit, Math.min(up[i], limit)) : up[i];
      y[i] = (g / (1 + Math.exp(-g))) * u;
    }
  },
  backward: ({ inputs, attributes, gradOf, give }) => {
    const dy = gradOf(0);
    if (!dy) return;
    const [gate, up] = inputs as [Tensor, Tensor];
    const { program } = gate;
    const [dgate, dup] = [program.temp("f32", gate.shape), program.temp("f32", up.shape)];
    program.emit(SWIGLU_BACKWARD, [dy, gate, up], [dgate, dup], { limit: attributes.limit });
    give(0, dgate);
    give(1, dup);
  },
});

const SWIGLU_BACKWARD = defineOp({
  name: "swiglu_backward",
  ints: [],
  floats: ["limit"],
  reference: ({ inputs, outputs, floats: [limit] }) => {
    const [dy, gate, up] = inputs.map(floats);
    const [dgate, dup] = outputs.map(floats);
    for (let i = 0; i < dy.length; i++) {
      const g = limit > 0 ? Math.min(gate[i], limit) : gate[i];
      const u = limit > 0 ? Math.max(-limit, Math.min(up[i], limit)) : up[i];
      const sigmoid = 1 / (1 + Math.exp(-g));
      dgate[i] = limit > 0 && gate[i] > limit ? 0 : dy[i] * u * sigmoid * (1 + g * (1 - sigmoid));
      dup[i] = limit > 0 && Math.abs(up[i]) > limit ? 0 : dy[i] * g * sigmoid;
    }
  },
});

/** silu(gate) · up; with `limit` > 0 gate is cut at limit and up at ±limit first (V4's swiglu_limit). */
export function swiglu(gate: Tensor, up: Tensor, limit = 0): Tensor {
  expectDtype("swiglu", "gate", gate, "f32");
  expectDtype("swiglu", "up", up, "f32");
  expectShape("swiglu", "up", up, gate.shape);
  if (limit < 0) throw new ProgramError(`swiglu: limit must not be negative, but ${limit} was given (0 means none)`);
  const y = gate.program.temp("f32", gate.shape);
  gate.program.emit(SWIGLU, [gate, up], [y], { limit });
  return y;
}
