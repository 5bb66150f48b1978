// The memory plan: where each temp lies in one arena, by liveness, and before which instructions the threads must meet.
// Sizes are planned at the registers' maxima, so nothing moves from run to run.
import { byteLength, isPacked } from "./dtype.ts";
import { type Instruction, maxDim, type Program, ProgramError, type Tensor } from "./program.ts";

const ALIGNMENT = 64;

export interface Plan {
  arenaBytes: number;
  /** Byte offset in the arena by base tensor id; only temps that some instruction touches. */
  offsets: Map<number, number>;
  /** Whether the threads must meet before instruction i, because it touches what others may still be writing or reading. */
  barrierBefore: boolean[];
}

interface Span {
  bytes: number;
  first: number;
  last: number;
  members: Tensor[];
}

const maxBytes = (tensor: Tensor): number => {
  if (isPacked(tensor.dtype)) throw new ProgramError(`${tensor}: packed tensors must be bound, they cannot be planned`);
  return byteLength(tensor.dtype, tensor.shape.map(maxDim));
};

function spans(program: Program): Span[] {
  const byBase = new Map<number, Span>();
  const touch = (tensor: Tensor, at: number): void => {
    const base = tensor.base;
    if (base.kind !== "temp") return;
    const span = byBase.get(base.id);
    if (span) span.last = at;
    else byBase.set(base.id, { bytes: maxBytes(base), first: at, last: at, members: [base] });
  };
  program.instructions.forEach((instruction, at) => {
    for (const input of instruction.inputs) {
      if (!input) continue;
      if (input.base.kind === "temp" && !byBase.has(input.base.id)) {
        throw new ProgramError(`${instruction.op.name} (instruction ${at}) reads ${input}, which nothing has written`);
      }
      touch(input, at);
    }
    for (const output of instruction.outputs) touch(output, at);
  });
  // An element-wise op may write over the input that dies with it: join the two spans.
  program.instructions.forEach((instruction, at) => {
    const { inPlace } = instruction.op;
    if (inPlace === undefined) return;
    const input = instruction.inputs[inPlace];
    const from = input && byBase.get(input.base.id);
    const to = byBase.get(instruction.outputs[0].base.id);
    const others = instruction.inputs.filter((other, i) => i !== inPlace && other?.base === input?.base);
    if (!from || !to || from === to || others.length > 0) return;
    if (from.last !== at || to.first !== at || from.bytes !== to.bytes) return;
    from.last = to.last;
    from.members.push(...to.members);
    for (const member of to.members) byBase.set(member.id, from);
  });
  return [...new Set(byBase.values())];
}

function place(all: Span[]): { arenaBytes: number; offsets: Map<number, number> } {
  const offsets = new Map<number, number>();
  const placed: (Span & { offset: number })[] = [];
  let arenaBytes = 0;
  for (const span of [...all].sort((a, b) => b.bytes - a.bytes || a.first - b.first)) {
    const neighbours = placed
      .filter((other) => other.first <= span.last && span.first <= other.last)
      .sort((a, b) => a.offset - b.offset);
    let offset = 0;
    for (const other of neighbours) {
      if (offset + span.bytes <= other.offset) break;
      offset = Math.max(offset, Math.ceil((other.offset + other.bytes) / ALIGNMENT) * ALIGNMENT);
    }
    placed.push({ ...span, offset });
    for (const member of span.members) offsets.set(member.id, offset);
    arenaBytes = Math.max(arenaBytes, offset + span.bytes);
  }
  return { arenaBytes: Math.ceil(arenaBytes / ALIGNMENT) * ALIGNMENT, offsets };
}

function barriers(program: Program, offsets: Map<number, number>): boolean[] {
  interface Range {
    id: number;
    start: number;
    end: number;
    /** The op that writes a part of its own here. */
    partOf?: string;
  }
  const rangeOf = (tensor: Tensor): Range => {
    const base = tensor.base;
    const offset = offsets.get(base.id);
    return offset === undefined
      ? { id: base.id, start: 0, end: 1 }
      : { id: -1, start: offset, end: offset + Math.max(1, maxBytes(base)) };
  };
  const overlap = (a: Range, b: Range): boolean => a.id === b.id && a.start < b.end && b.start < a.end;
  /** Both writing: parts of one tensor do not meet. */
  const collide = (a: Range, b: Range): boolean =>
    overlap(a, b) && !(a.partOf !== undefined && a.partOf === b.partOf && a.start === b.start && a.end === b.end);
  let read: Range[] = [];
  let written: Range[] = [];
  const ranges = (instruction: Instruction): { reads: Range[]; writes: Range[] } => ({
    reads: instruction.inputs.filter((tensor) => tensor !== null).map(rangeOf),
    writes: instruction.outputs.map((output, i) => {
      const range = rangeOf(output);
      return instruction.op.parts?.includes(i) ? { ...range, partOf: instruction.op.name } : range;
    }),
  });
  return program.instructions.map((instruction) => {
    const { reads, writes } = ranges(instruction);
    const clash =
      reads.some((a) => written.some((b) => overlap(a, b))) ||
      writes.some((a) => written.some((b) => collide(a, b)) || read.some((b) => overlap(a, b)));
    if (clash) {
      read = [];
      written = [];
    }
    read.push(...reads);
    written.push(...writes);
    return clash;
  });
}

/** Plans `program` at its registers' maxima. Throws ProgramError for a temp that is read before it is written. */
export function planMemory(program: Program): Plan {
  const { arenaBytes, offsets } = place(spans(program));
  return { arenaBytes, offsets, barrierBefore: barriers(program, offsets) };
}
