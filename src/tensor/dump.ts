// Writes test cases for kernels/testing/driver.c, which runs them without Node: under sanitizers and on other processors. The layout is
// described there. For tests only.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { byteLength, DTYPES, isPacked, unpackedDtype } from "./dtype.ts";
import { encodeProgram, maxElements } from "./encode.ts";
import { type Plan, planMemory } from "./plan.ts";
import { maxDim, type Program, type Tensor } from "./program.ts";

export interface DumpedCase {
  program: Program;
  registers: Record<string, number>;
  /** Raw bytes by name. */
  data: Map<string, Uint8Array>;
  runs: number;
  finite: boolean;
  /** Values wanted after the runs; by name of an output or state. */
  wanted: Map<string, { values: Float64Array; tolerance: number }>;
}

/** The plan with every temp in a place of its own, gaps between them: memory errors cannot hide in a neighbour. */
function scattered(program: Program): Plan {
  const { barrierBefore, offsets } = planMemory(program);
  const places = new Map<number, number>();
  let end = 128;
  for (const tensor of program.tensors) {
    if (!offsets.has(tensor.id)) continue;
    places.set(tensor.id, end);
    const bytes = byteLength(unpackedDtype(tensor.dtype), tensor.shape.map(maxDim));
    end += Math.ceil(bytes / 64) * 64 + 128;
  }
  return { arenaBytes: end, offsets: places, barrierBefore };
}

/** Kernel numbers as the runtime has them: the order of kernels/ops.def. */
function kernelNames(): string[] {
  const text = readFileSync(new URL("../../kernels/ops.def", import.meta.url), "utf8");
  return [...text.matchAll(/^\s*OP\((\w+)\)/gm)].map((match) => match[1]);
}

let written = 0;

/** Writes `test` into `folder`; returns the file's path. */
export function dumpCase(folder: string, test: DumpedCase): string {
  const { program, registers } = test;
  const kernels = kernelNames();
  const plan = scattered(program);
  const { words, externals } = encodeProgram(program, plan, (name) => kernels.indexOf(name));
  const parts: Uint8Array[] = [];
  const raw = (bytes: Uint8Array): void => {
    parts.push(bytes, new Uint8Array((8 - (bytes.length % 8)) % 8));
  };
  const numbers = (...values: number[]): void =>
    raw(new Uint8Array(BigInt64Array.from(values, (value) => BigInt(value)).buffer));
  const bytesOf = (array: ArrayBufferView): Uint8Array =>
    new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  const checks = externals.filter((tensor) => test.wanted.has(tensor.name));
  numbers(0x57454952, words.length, plan.arenaBytes, program.registers.length, externals.length, checks.length);
  numbers(test.runs, test.finite ? 1 : 0, ...program.registers.map(({ name }) => registers[name]));
  raw(bytesOf(words));
  for (const tensor of externals) {
    const given = test.data.get(tensor.name) ?? new Uint8Array(0);
    const shape = tensor.shape.map(maxDim);
    const plain = byteLength(unpackedDtype(tensor.dtype), shape);
    const code = isPacked(tensor.dtype) ? DTYPES[unpackedDtype(tensor.dtype)].code : -1;
    const [rows, cols] = shape.length < 2 ? [1, maxElements(tensor)] : shape.slice(-2);
    const matrices = shape.slice(0, -2).reduce((product, d) => product * d, 1);
    numbers(plain, code, matrices, rows, cols, given.length);
    raw(given);
  }
  for (const tensor of checks) {
    const { values, tolerance } = test.wanted.get(tensor.name) as { values: Float64Array; tolerance: number };
    numbers(externals.indexOf(tensor), elementCode(tensor), values.length);
    raw(bytesOf(Float64Array.of(tolerance)));
    raw(bytesOf(values));
  }
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${process.pid}-${String(written++).padStart(4, "0")}.case`);
  writeFileSync(path, Buffer.concat(parts));
  return path;
}

/** The dtype by which the driver reads single values: bytes where there are no single values. */
const elementCode = ({ dtype }: Tensor): number =>
  dtype === "f32" || dtype === "i32" || dtype === "f16" || dtype === "bf16" || dtype === "i8"
    ? DTYPES[dtype].code
    : DTYPES.q8_0.code;
