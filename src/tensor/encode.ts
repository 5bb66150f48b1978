// A program as one Int32Array for the C runtime (kernels/runtime.c reads exactly this layout), with the names it refers to.
// Native and wasm share it.
import { dtypeCode } from "./dtype.ts";
import type { Plan } from "./plan.ts";
import { type Dim, maxDim, type Program, type Tensor } from "./program.ts";

export const PROGRAM_MAGIC = 0x52494557; // "WEIR"
const PROGRAM_VERSION = 1;

export interface EncodedProgram {
  /**
   * magic, version, registers R, tensors T, instructions I, total words; then
   * R × max;
   * T × [external slot or -1, arena offset low, high, dtype code, rank, 4 × (factor, register or -1), checked 0/1, range min, range max];
   * I × [kernel, barrier before 0/1, #in, #out, #ints, #floats, inputs (tensor or -1)…, outputs…, ints…, floats (f32 bits)…].
   */
  words: Int32Array;
  /** The base tensors that live outside the arena; their position is the external slot. */
  externals: Tensor[];
}

/** Encodes `program` with `kernelOf(op name)` as kernel numbers (undefined: the caller's error). */
export function encodeProgram(program: Program, plan: Plan, kernelOf: (name: string) => number): EncodedProgram {
  const externals: Tensor[] = [];
  const slots = new Map<number, number>();
  const slotOf = (base: Tensor): number => {
    let slot = slots.get(base.id);
    if (slot === undefined) {
      slot = externals.length;
      slots.set(base.id, slot);
      externals.push(base);
    }
    return slot;
  };
  const words: number[] = [PROGRAM_MAGIC, PROGRAM_VERSION, program.registers.length, 0, program.instructions.length, 0];
  for (const register of program.registers) words.push(register.max);

  const indices = new Map<Tensor, number>();
  const used: Tensor[] = [];
  const use = (tensor: Tensor): void => {
    if (indices.has(tensor)) return;
    indices.set(tensor, used.length);
    used.push(tensor);
  };
  for (const tensor of program.tensors) if (tensor.kind !== "temp" && !tensor.viewOf) use(tensor);
  for (const { inputs, outputs } of program.instructions)
    for (const tensor of [...inputs, ...outputs]) if (tensor) use(tensor);
  words[3] = used.length;
  const dimWords = (d: Dim): [number, number] =>
    typeof d === "number" ? [d, -1] : [d.factor, program.registers.indexOf(d.register)];
  for (const tensor of used) {
    const base = tensor.base;
    const offset = plan.offsets.get(base.id);
    const slot = base.kind === "temp" ? -1 : slotOf(base);
    words.push(
      slot,
      (offset ?? 0) % 2 ** 31,
      Math.floor((offset ?? 0) / 2 ** 31),
      dtypeCode(tensor.dtype),
      tensor.shape.length,
    );
    for (let i = 0; i < 4; i++) words.push(...(i < tensor.shape.length ? dimWords(tensor.shape[i]) : [1, -1]));
    words.push(tensor.range && !tensor.viewOf ? 1 : 0, tensor.range?.min ?? 0, tensor.range?.max ?? 0);
  }

  const bits = new Float32Array(1);
  const asInt = new Int32Array(bits.buffer);
  program.instructions.forEach(({ op, inputs, outputs, ints, floats }, at) => {
    words.push(
      kernelOf(op.name),
      plan.barrierBefore[at] ? 1 : 0,
      inputs.length,
      outputs.length,
      ints.length,
      floats.length,
    );
    for (const tensor of [...inputs, ...outputs]) words.push(tensor ? (indices.get(tensor) as number) : -1);
    words.push(...ints);
    for (const float of floats) {
      bits[0] = float;
      words.push(asInt[0]);
    }
  });
  words[5] = words.length;
  return { words: Int32Array.from(words), externals };
}

/** Elements a tensor holds at most. */
export const maxElements = (tensor: Tensor): number =>
  tensor.shape.reduce<number>((product, d) => product * maxDim(d), 1);
