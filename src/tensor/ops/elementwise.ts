// Element-wise instructions and whole-tensor reductions: fill, copy, add, multiply, scale, sum. Broadcasting is by rows only where an
// op says so.
import { defineOp, type Value } from "../op.ts";
import { type Dim, expectDtype, expectShape, type Program, ProgramError, type Tensor } from "../program.ts";

type Floats = Float32Array | Float64Array;
export const floats = (value: Value | null): Floats => (value as Value).data as Floats;

const FILL = defineOp({
  name: "fill",
  ints: [],
  floats: ["value"],
  reference: ({ outputs, floats: [value] }) => void floats(outputs[0]).fill(value),
});

/** A new f32 tensor, every element `value`; or `into` overwritten. */
export function fill(
  program: Program,
  shape: readonly Dim[],
  value: number,
  into: Tensor = program.temp("f32", shape),
): Tensor {
  expectDtype("fill", "the destination", into, "f32");
  program.emit(FILL, [], [into], { value });
  return into;
}

const COPY = defineOp({
  name: "copy",
  ints: [],
  floats: [],
  reference: ({ inputs, outputs }) => void (outputs[0].data as Floats).set((inputs[0] as Value).data as Floats),
  backward: ({ gradOf, give }) => {
    const gradient = gradOf(0);
    if (gradient) give(0, gradient);
  },
});

/** A copy of an f32 or i32 tensor, or `into` overwritten with it. */
export function copy(x: Tensor, into: Tensor = x.program.temp(x.dtype, x.shape)): Tensor {
  expectDtype("copy", "x", x, "f32", "i32");
  expectDtype("copy", "the destination", into, x.dtype);
  expectShape("copy", "the destination", into, x.shape);
  x.program.emit(COPY, [x], [into]);
  return into;
}

const ADD = defineOp({
  name: "add",
  ints: [],
  floats: [],
  inPlace: 0,
  reference: ({ inputs, outputs }) => {
    const [a, b, out] = [floats(inputs[0]), floats(inputs[1]), floats(outputs[0])];
    for (let i = 0; i < out.length; i++) out[i] = a[i] + b[i];
  },
  backward: ({ gradOf, needs, give }) => {
    const gradient = gradOf(0);
    if (!gradient) return;
    for (const i of [0, 1]) if (needs(i)) give(i, gradient);
  },
});

/** a + b, same shapes. `into` may be a or b itself. */
export function add(a: Tensor, b: Tensor, into: Tensor = a.program.temp("f32", a.shape)): Tensor {
  expectDtype("add", "a", a, "f32");
  expectShape("add", "b", b, a.shape);
  expectShape("add", "the destination", into, a.shape);
  a.program.emit(ADD, [a, b], [into]);
  return into;
}

const MULTIPLY = defineOp({
  name: "multiply",
  ints: [],
  floats: [],
  inPlace: 0,
  reference: ({ inputs, outputs }) => {
    const [a, b, out] = [floats(inputs[0]), floats(inputs[1]), floats(outputs[0])];
    for (let i = 0; i < out.length; i++) out[i] = a[i] * b[i];
  },
  backward: ({ inputs, gradOf, needs, give }) => {
    const gradient = gradOf(0);
    if (!gradient) return;
    if (needs(0)) give(0, multiply(gradient, inputs[1] as Tensor));
    if (needs(1)) give(1, multiply(gradient, inputs[0] as Tensor));
  },
});

/** a · b element by element, same shapes. */
export function multiply(a: Tensor, b: Tensor): Tensor {
  expectDtype("multiply", "a", a, "f32");
  expectShape("multiply", "b", b, a.shape);
  const out = a.program.temp("f32", a.shape);
  a.program.emit(MULTIPLY, [a, b], [out]);
  return out;
}

const SCALE = defineOp({
  name: "scale",
  ints: [],
  floats: ["factor"],
  inPlace: 0,
  reference: ({ inputs, outputs, floats: [factor] }) => {
    const [x, out] = [floats(inputs[0]), floats(outputs[0])];
    for (let i = 0; i < out.length; i++) out[i] = x[i] * factor;
  },
  backward: ({ attributes, gradOf, give }) => {
    const gradient = gradOf(0);
    if (gradient) give(0, scale(gradient, attributes.factor));
  },
});

/** x · factor, the factor fixed when the program is built. */
export function scale(x: Tensor, factor: number): Tensor {
  expectDtype("scale", "x", x, "f32");
  const out = x.program.temp("f32", x.shape);
  x.program.emit(SCALE, [x], [out], { factor });
  return out;
}

const SCALE_BY = defineOp({
  name: "scale_by",
  ints: [],
  floats: [],
  inPlace: 0,
  reference: ({ inputs, outputs }) => {
    const [x, factor, out] = [floats(inputs[0]), floats(inputs[1])[0], floats(outputs[0])];
    for (let i = 0; i < out.length; i++) out[i] = x[i] * factor;
  },
  backward: ({ inputs, gradOf, needs, give }) => {
    const gradient = gradOf(0);
    if (!gradient) return;
    if (needs(0)) give(0, scaleBy(gradient, inputs[1] as Tensor));
    if (needs(1)) give(1, dot(gradient, inputs[0] as Tensor));
  },
});

/** x · factor, the factor a run-time scalar [1]. */
export function scaleBy(x: Tensor, factor: Tensor): Tensor {
  expectDtype("scale_by", "x", x, "f32");
  expectShape("scale_by", "factor", factor, [1]);
  const out = x.program.temp("f32", x.shape);
  x.program.emit(SCALE_BY, [x, factor], [out]);
  return out;
}

const DOT = defineOp({
  name: "dot",
  ints: [],
  floats: [],
  reference: ({ inputs, outputs }) => {
    const [a, b] = [floats(inputs[0]), floats(inputs[1])];
    let sum = 0;
    for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
    floats(outputs[0])[0] = sum;
  },
  backward: ({ inputs, gradOf, needs, give }) => {
    const gradient = gradOf(0);
    if (!gradient) return;
    if (needs(0)) give(0, scaleBy(inputs[1] as Tensor, gradient));
    if (needs(1)) give(1, scaleBy(inputs[0] as Tensor, gradient));
  },
});

/** Σ a·b over all elements, as [1]. A weighted sum of log-probabilities is a loss. */
export function dot(a: Tensor, b: Tensor): Tensor {
  expectDtype("dot", "a", a, "f32");
  if (a.dtype !== b.dtype || a.shape.length !== b.shape.length)
    throw new ProgramError(`dot: ${a} and ${b} must have the same shape`);
  expectShape("dot", "b", b, a.shape);
  const out = a.program.temp("f32", [1]);
  a.program.emit(DOT, [a, b], [out]);
  return out;
}
