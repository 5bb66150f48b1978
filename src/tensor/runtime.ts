// What the native and the wasm device share: kernels/runtime.c is behind both. Translates its status numbers into sentences.
import { TensorError, type TensorErrorCode } from "./device.ts";
import type { Program, Tensor } from "./program.ts";
import { checkRegisters, indexMessage } from "./reference.ts";

/** Status, subject, element, value, text: weir_error of kernels/runtime.h. */
export type RunReport = readonly [number, number, number, number, string | undefined];

/** Kernel numbers by name; missing kernels have an empty name. */
export const kernelNumbers = (names: readonly string[]): Map<string, number> => {
  const numbers = new Map<string, number>();
  names.forEach((name, number) => {
    if (name) numbers.set(name, number);
  });
  return numbers;
};

/** The registers in the program's order; throws size_out_of_range where one is missing or out of range. */
export function registerWords(program: Program, given: Record<string, number> = {}): Int32Array {
  const values = checkRegisters(program, given);
  return Int32Array.from(program.registers, ({ name }) => values.get(name) as number);
}

/** A weight as equal matrices: [N, K] is one, [E, N, K] is E. Undefined for what is no matrix. */
export function splitMatrices(shape: readonly number[]): { matrices: number; rows: number; cols: number } | undefined {
  if (shape.length < 2) return undefined;
  const [rows, cols] = shape.slice(-2);
  const matrices = shape.slice(0, -2).reduce((product, d) => product * d, 1);
  return matrices > 0 ? { matrices, rows, cols } : undefined;
}

const CODES: Record<number, TensorErrorCode> = {
  2: "no_kernel",
  3: "wrong_binding",
  4: "size_out_of_range",
  5: "index_out_of_range",
  6: "out_of_memory",
};

/** The error for a report whose status is not 0. */
export function runError(program: Program, report: RunReport, externals: readonly Tensor[] = []): TensorError {
  const [status, subject, element, value, text] = report;
  const where = `program ${program.name}`;
  const code = CODES[status] ?? "wrong_binding";
  if (status === 5) {
    const tensor = program.tensors.filter((other) => other.kind !== "temp" && !other.viewOf)[subject];
    return new TensorError(code, indexMessage(tensor, value, element));
  }
  if (status === 3) {
    const tensor = externals[subject];
    const sizes = value > element ? ` (${element} bytes, ${value} are needed)` : "";
    return new TensorError(code, `${where}: ${tensor ?? `slot ${subject}`}: ${text}${sizes}`);
  }
  if (status === 6) return new TensorError(code, `${where}: ${text} (${value} bytes)`);
  return new TensorError(code, `${where}: ${text ?? `status ${status}`} (word ${subject})`);
}
