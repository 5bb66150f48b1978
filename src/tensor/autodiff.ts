// Reverse-mode differentiation: appends to a program the instructions that compute gradients of a scalar. Each op's own rule is
// beside its definition in ops/; this file walks the list backwards and sums contributions.
// (Griewank & Walther, Evaluating Derivatives, chapter 3: reverse accumulation.)
import { add, fill } from "./ops/elementwise.ts";
import { type Instruction, type Program, ProgramError, type Tensor } from "./program.ts";

/**
 * Stretches of the forward pass that are computed a second time when the backward pass comes to them, so that of each only what
 * enters it has to be kept (Chen et al. 2016, Training Deep Nets with Sublinear Memory Cost). A stretch ends with the instruction
 * that writes one of `boundaries`; what comes before the first and after the last boundary is kept as ever.
 */
class Recomputation {
  private readonly program: Program;
  /** Stretch of every instruction by its place in the forward pass; −1: kept. */
  private readonly stretchOf: number[];
  private readonly forward: readonly Instruction[];
  private readonly copies = new Map<Tensor, Tensor>();
  private readonly originals = new Map<Tensor, Tensor>();
  private current = -1;
  private first = 0;
  private again = new Map<Instruction, Instruction>();

  constructor(program: Program, boundaries: readonly Tensor[]) {
    this.program = program;
    this.forward = [...program.instructions];
    const bases = new Set(boundaries.map((tensor) => tensor.base));
    const ends = this.forward.flatMap(({ outputs }, i) => (outputs.some(({ base }) => bases.has(base)) ? [i] : []));
    this.stretchOf = this.forward.map((_, i) => {
      const before = ends.filter((end) => end < i).length;
      return before === 0 || before === ends.length ? -1 : before;
    });
  }

  /** The tensor that a recomputed one stands for: gradients are kept under the first. */
  original(base: Tensor): Tensor {
    return this.originals.get(base) ?? base;
  }

  /** The instruction to differentiate in the place of the forward pass's i-th, its stretch computed again where it is new. */
  take(i: number): Instruction {
    const instruction = this.forward[i];
    const stretch = this.stretchOf[i];
    if (stretch !== this.current) {
      this.finish();
      this.current = stretch;
      if (stretch >= 0) this.emit(stretch);
    }
    return this.again.get(instruction) ?? instruction;
  }

  private emit(stretch: number): void {
    this.first = this.program.instructions.length;
    const within = this.forward.filter((_, i) => this.stretchOf[i] === stretch);
    // What counts or accumulates must happen once.
    const once = new Set(within.flatMap(({ op, outputs }) => (op.inout ?? []).map((k) => outputs[k].base)));
    for (const instruction of within) {
      const { op, inputs, outputs, ints, floats } = instruction;
      if (outputs.some(({ base }) => once.has(base) || base.kind === "state" || base.kind === "param")) continue;
      const attributes: Record<string, number> = {};
      op.ints.forEach((name, k) => (attributes[name] = ints[k]));
      op.floats.forEach((name, k) => (attributes[name] = floats[k]));
      const into = outputs.map((output) => this.copy(output, true));
      this.program.emit(
        op,
        inputs.map((input) => input && this.copy(input, false)),
        into,
        attributes,
      );
      this.again.set(instruction, this.program.instructions[this.program.instructions.length - 1]);
    }
  }

  private copy(tensor: Tensor, make: boolean): Tensor {
    const { base } = tensor;
    let copied = this.copies.get(base);
    if (!copied) {
      if (!make) return tensor;
      copied = this.program.temp(base.dtype, base.shape);
      this.copies.set(base, copied);
      this.originals.set(copied, base);
    }
    return tensor === base ? copied : copied.reshape(...tensor.shape);
  }

  /** Takes out what was computed again and then not used. */
  finish(): void {
    const { instructions } = this.program;
    const repeated = new Set(this.again.values());
    const read = new Set<Tensor>();
    for (let i = instructions.length - 1; i >= this.first && repeated.size > 0; i--) {
      const { inputs, outputs } = instructions[i];
      if (repeated.has(instructions[i]) && !outputs.some(({ base }) => read.has(base))) instructions.splice(i, 1);
      else for (const input of inputs) if (input) read.add(input.base);
    }
    this.again = new Map();
    this.copies.clear();
  }
}

/**
 * Appends the gradient instructions of `loss` (shape [1]) for every param that requires one and influences it. The gradient of a
 * param named `w` is a state named `grad.w`, to which this program ADDS at every run: zero it (or let the optimiser zero it)
 * between updates. `seed` (shape [1]) scales the loss; absent means 1. `extra` names further tensors whose gradients are wanted
 * (inputs marked requiresGrad, temps); they are returned under the tensor, not accumulated over runs. `recompute` lists the
 * tensors between which the forward pass is computed again instead of kept: the same bits for less memory and more time.
 */
export function gradients(
  program: Program,
  loss: Tensor,
  options: { seed?: Tensor; extra?: Tensor[]; recompute?: readonly Tensor[] } = {},
): Map<Tensor, Tensor> {
  if (loss.shape.length !== 1 || loss.shape[0] !== 1 || loss.dtype !== "f32")
    throw new ProgramError(`gradients: the loss must be f32 [1], but ${loss} was given`);
  if (!loss.base.requiresGrad)
    throw new ProgramError(`gradients: ${loss} depends on no tensor that requires a gradient`);
  const recomputation = new Recomputation(program, options.recompute ?? []);
  const original = (tensor: Tensor): Tensor => recomputation.original(tensor.base);
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
    const base = original(tensor);
    const shaped = tensor === tensor.base ? gradient : gradient.reshape(...base.shape);
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
    const base = original(tensor);
    const shaped = (gradient: Tensor): Tensor =>
      tensor === tensor.base ? gradient : gradient.reshape(...tensor.shape);
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
  for (let at = forward.length - 1; at >= 0; at--) {
    const { op } = forward[at];
    const reached = forward[at].outputs.some((output) => pending.has(output.base));
    if (!reached || !forward[at].inputs.some((input) => input?.base.requiresGrad)) continue;
    const instruction = recomputation.take(at);
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
        const gradient = pending.get(original(output));
        if (!gradient) return null;
        return output === output.base ? gradient : gradient.reshape(...output.shape);
      },
      needs: (i) => instruction.inputs[i]?.base.requiresGrad ?? false,
      give: (i, gradient) => give(instruction.inputs[i] as Tensor, gradient),
      accumulator: (i) => accumulator(instruction.inputs[i] as Tensor),
    });
    // What an instruction wrote is complete now: nothing before it can add to these gradients.
    for (const { base } of forward[at].outputs) {
      const gradient = pending.get(base);
      if (gradient && extra.has(base)) result.set(base, gradient);
      pending.delete(base);
    }
  }
  recomputation.finish();
  for (const tensor of extra) {
    const gradient = pending.get(tensor) ?? result.get(tensor);
    if (!gradient) throw new ProgramError(`gradients: ${loss} does not depend on ${tensor}`);
    result.set(tensor, gradient);
  }
  return result;
}
