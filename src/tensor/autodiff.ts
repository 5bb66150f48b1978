// Reverse-mode differentiation: appends to a program the instructions that compute gradients of a scalar. Each op's own rule is
// beside its definition in ops/; this file walks the list backwards and sums contributions.
// (Griewank & Walther, Evaluating Derivatives, chapter 3: reverse accumulation.)
import { add, fill } from "./ops/elementwise.ts";
import { type Program, ProgramError, type Tensor } from "./program.ts";

/**
 * Appends the gradient instructions of `loss` (shape [1]) for every param that requires one and influences it. The gradient of a
 * param named `w` is a state named `grad.w`, to which this program ADDS at every run: zero it (or let the optimiser zero it)
 * between updates. `seed` (shape [1]) scales the loss; absent means 1. `extra` names further tensors whose gradients are wanted
 * (inputs marked requiresGrad, temps); they are returned under the tensor, not accumulated over runs.
 */
export function gradients(
  program: Program,
  loss: Tensor,
  options: { seed?: Tensor; extra?: Tensor[] } = {},
): Map<Tensor, Tensor> {
  if (loss.shape.length !== 1 || loss.shape[0] !== 1 || loss.dtype !== "f32")
    throw new ProgramError(`gradients: the loss must be f32 [1], but ${loss} was given`);
  if (!loss.base.requiresGrad)
    throw new ProgramError(`gradients: ${loss} depends on no tensor that requires a gradient`);
  const extra = new Set((options.extra ?? []).map((tensor) => tensor.base));
  /** By base tensor; shapes are the base's. */
  const pending = new Map<Tensor, Tensor>();
  const result = new Map<Tensor, Tensor>();
  const accumulators = new Set<Tensor>();

  const paramGradient = (param: Tensor): Tensor => {
    let gradient = result.get(param);
    if (!gradient) {
      gradient = program.state(`grad.${param.name}`, "f32", param.shape);
      result.set(param, gradient);
    }
    return gradient;
  };
  const give = (tensor: Tensor, gradient: Tensor): void => {
    const base = tensor.base;
    const shaped = tensor === base ? gradient : gradient.reshape(...base.shape);
    if (base.kind === "param") {
      const total = paramGradient(base);
      add(total, shaped, total);
      return;
    }
    const before = pending.get(base);
    if (!before) pending.set(base, shaped);
    else if (accumulators.has(before.base)) add(before, shaped, before);
    else pending.set(base, add(before, shaped));
  };
  const accumulator = (tensor: Tensor): Tensor => {
    const base = tensor.base;
    const shaped = (gradient: Tensor): Tensor => (tensor === base ? gradient : gradient.reshape(...tensor.shape));
    if (base.kind === "param") return shaped(paramGradient(base));
    let total = pending.get(base);
    if (!total || !accumulators.has(total.base)) {
      const zero = fill(program, base.shape, 0);
      accumulators.add(zero.base);
      if (total) add(zero, total, zero);
      total = zero;
      pending.set(base, total);
    }
    return shaped(total);
  };

  pending.set(loss.base, (options.seed ?? fill(program, [1], 1)).reshape(...loss.base.shape));
  const forward = [...program.instructions];
  for (const instruction of forward.reverse()) {
    const { op } = instruction;
    const reached = instruction.outputs.some((output) => pending.has(output.base));
    if (!reached || !instruction.inputs.some((input) => input?.base.requiresGrad)) continue;
    if (!op.backward) {
      throw new ProgramError(
        `gradients: ${op.name} has no gradient rule, but ${instruction.outputs.join(", ")} needs one; detach its inputs or leave it out of the loss`,
      );
    }
    const attributes: Record<string, number> = {};
    op.ints.forEach((name, i) => (attributes[name] = instruction.ints[i]));
    op.floats.forEach((name, i) => (attributes[name] = instruction.floats[i]));
    op.backward({
      inputs: instruction.inputs,
      outputs: instruction.outputs,
      attributes,
      gradOf: (i) => {
        const output = instruction.outputs[i];
        const gradient = pending.get(output.base);
        if (!gradient) return null;
        return output === output.base ? gradient : gradient.reshape(...output.shape);
      },
      needs: (i) => instruction.inputs[i]?.base.requiresGrad ?? false,
      give: (i, gradient) => give(instruction.inputs[i] as Tensor, gradient),
      accumulator: (i) => accumulator(instruction.inputs[i] as Tensor),
    });
    // What an instruction wrote is complete now: nothing before it can add to these gradients.
    for (const output of instruction.outputs) {
      const gradient = pending.get(output.base);
      if (gradient && extra.has(output.base)) result.set(output.base, gradient);
      pending.delete(output.base);
    }
  }
  for (const tensor of extra) {
    const gradient = pending.get(tensor) ?? result.get(tensor);
    if (!gradient) throw new ProgramError(`gradients: ${loss} does not depend on ${tensor}`);
    result.set(tensor, gradient);
  }
  return result;
}
