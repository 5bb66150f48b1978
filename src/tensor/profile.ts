// Where a program's time goes: what Executable.profile measured, added up by kind of instruction, beside the arithmetic it has to do.
import { type Dim, type Instruction, type Program, showShape } from "./program.ts";

export interface ProfileLine {
  /** Instruction name, with the shapes of its operands when asked for. */
  name: string;
  /** How many instructions of the program. */
  count: number;
  /** Seconds of the run, and of processor time over all threads. */
  seconds: number;
  processor: number;
  /** Floating-point operations of matrix products; 0 for everything else, whose cost is memory. */
  operations: number;
}

/** Elements at these register values. */
const elements = (shape: readonly Dim[], registers: Record<string, number>): number =>
  shape.reduce<number>(
    (product, d) => product * (typeof d === "number" ? d : registers[d.register.name] * d.factor),
    1,
  );

/** Multiply-adds count as two. Experts' products have one row per slot. Attention and fused heads are left out: their work is not in their shapes. */
function operations({ op, inputs, outputs }: Instruction, registers: Record<string, number>): number {
  const size = (i: number): number => elements(inputs[i]!.shape, registers);
  const last = (shape: readonly Dim[]): number => shape[shape.length - 1] as number;
  if (/^(grouped_|head_)?linear(_dx)?$/.test(op.name)) return 2 * size(0) * last(outputs[0].shape);
  if (/^(grouped_|head_)?linear_dw$/.test(op.name)) return 2 * size(0) * last(inputs[1]!.shape);
  if (op.name === "matmul") {
    // a holds batch·m·k elements; each meets n columns.
    return 2 * size(0) * last(outputs[0].shape);
  }
  if (op.name === "logprob") return 2 * size(0) * (inputs[1]!.shape[0] as number);
  if (op.name === "logprob_backward") return 6 * size(1) * (inputs[2]!.shape[0] as number);
  return 0;
}

/** Floating-point operations of all matrix products of one run; attention, whose work its shapes do not tell, is not among them. */
export const programOperations = (program: Program, registers: Record<string, number>): number =>
  program.instructions.reduce((sum, instruction) => sum + operations(instruction, registers), 0);

/**
 * One line per kind of instruction, the dearest first, from seconds as Executable.profile gives them for `runs` runs at `registers`;
 * everything is per run. `byShape` keeps instructions of other shapes apart.
 */
export function profileLines(
  program: Program,
  seconds: Float64Array,
  { runs, registers, byShape = false }: { runs: number; registers: Record<string, number>; byShape?: boolean },
): ProfileLine[] {
  const lines = new Map<string, ProfileLine>();
  program.instructions.forEach((instruction, i) => {
    const { op, inputs, outputs } = instruction;
    const shapes = (tensors: readonly ({ shape: readonly Dim[] } | null)[]): string =>
      tensors.flatMap((tensor) => (tensor ? [showShape(tensor.shape)] : [])).join(" ");
    const name = byShape ? `${op.name} ${shapes(inputs)} → ${shapes(outputs)}` : op.name;
    const line = lines.get(name) ?? { name, count: 0, seconds: 0, processor: 0, operations: 0 };
    line.count++;
    line.seconds += seconds[2 * i] / runs;
    line.processor += seconds[2 * i + 1] / runs;
    line.operations += operations(instruction, registers);
    lines.set(name, line);
  });
  return [...lines.values()].sort((a, b) => b.processor - a.processor);
}

/** The lines as a table for people; the rate is per second of processor time, that is per thread. */
export function showProfile(lines: readonly ProfileLine[], most = 30): string {
  const total = lines.reduce((sum, { processor }) => sum + processor, 0);
  const milliseconds = (value: number): string => (value * 1000).toFixed(2).padStart(9);
  return [
    `${"run ms".padStart(9)} ${"cpu ms".padStart(9)}  share GFLOP/s  times instruction`,
    ...lines.slice(0, most).map(({ name, count, seconds, processor, operations }) => {
      const rate = operations > 0 && processor > 0 ? (operations / processor / 1e9).toFixed(1) : "";
      const share = `${((100 * processor) / total).toFixed(1)} %`;
      return `${milliseconds(seconds)} ${milliseconds(processor)} ${share.padStart(6)} ${rate.padStart(7)} ${String(count).padStart(6)} ${name}`;
    }),
    `${milliseconds(lines.reduce((sum, line) => sum + line.seconds, 0))} ${milliseconds(total)}         all`,
  ].join("\n");
}
