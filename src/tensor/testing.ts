// The test harness of all instruction families: one program on every device, results compared; gradients against central
// differences. For tests only; it holds no data of its own. After a change to kernels/ both builds must be made anew:
// npm run build -- --keep-going; npm run build:wasm -- --keep-going (a file that does not compile is left out, for work on others).
//
//   checkOp({ build, registers, inputs, tolerance })   reference f64 ↔ reference f32, native (every instruction set; 1, 2, 3 threads,
//                                                      the same bits), wasm
//   checkGradients({ build, registers, inputs })       central differences in float64 ↔ reference f64, then as checkOp
//   checkRows({ build, register, inputs, registers })  a row's bits do not depend on the rows beside it
//   uniform(seed, n), integers(seed, n, max), toBf16, toF16   data
import assert from "node:assert/strict";
import { gradients } from "./autodiff.ts";
import type { Device, DeviceBuffer, HostArray } from "./device.ts";
import { byteLength, isPacked, unpackedDtype } from "./dtype.ts";
import { dumpCase } from "./dump.ts";
import { NativeDevice, nativeIsas } from "./native.ts";
import { add, copy, dot } from "./ops/elementwise.ts";
import { maxDim, Program, type Tensor } from "./program.ts";
import { ReferenceDevice } from "./reference.ts";
import { WasmDevice, wasmFeatures } from "./wasm.ts";

export type TestData = ArrayLike<number> | ArrayBufferView;

export interface OpCase {
  /** Builds the program: declares params, inputs and states, marks what is to be compared with program.output (or uses states). */
  build(program: Program): unknown;
  registers?: Record<string, number>;
  /**
   * Values of params, inputs and states by name, at least as many as the registers' current values need; what is not named stays
   * zero. Raw bytes or Uint16Array for dtypes other than f32 and i32; a `packed:` param takes the plain bytes and is packed by
   * each device.
   */
  inputs?: Record<string, TestData>;
  /** |got - wanted| <= tolerance · (|wanted| + rms of wanted), per output; one number for all or by name. Default 1e-5. */
  tolerance?: number | Record<string, number>;
  /** How often to run in a row (states carry over). Default 1. */
  runs?: number;
  /** Whether results must be free of NaN and infinity. Default true. */
  finite?: boolean;
}

/** Results by name (outputs and states), cut to the registers' values. */
export type Results = Map<string, { values: Float64Array; bits: Uint8Array }>;

const noted = new Set<string>();
const note = (line: string): void => {
  if (!noted.has(line)) console.log(line);
  noted.add(line);
};

/** Uniform in (-scale, scale), the same for the same seed everywhere (a 32-bit mixer: Steele & Vigna's splitmix finaliser). */
export function uniform(seed: number, n: number, scale = 1): Float32Array {
  const values = new Float32Array(n);
  for (let i = 0; i < n; i++) values[i] = (mix(seed, i) / 2 ** 31 - 1) * scale;
  return values;
}

/** Whole numbers in 0..max-1. */
export const integers = (seed: number, n: number, max: number): Int32Array =>
  Int32Array.from({ length: n }, (_, i) => mix(seed, i) % max);

function mix(seed: number, i: number): number {
  let z = (Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(i + 1, 0x85ebca6b)) >>> 0;
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad) >>> 0;
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97) >>> 0;
  return (z ^ (z >>> 15)) >>> 0;
}

const word = new Uint32Array(1);
const single = new Float32Array(word.buffer);

/** bf16 bits, to nearest even. */
export const toBf16 = (values: ArrayLike<number>): Uint16Array =>
  Uint16Array.from({ length: values.length }, (_, i) => {
    single[0] = values[i];
    return (word[0] + 0x7fff + ((word[0] >>> 16) & 1)) >>> 16;
  });

/** f16 bits, to nearest even. */
export const toF16 = (values: ArrayLike<number>): Uint16Array => {
  const halves = new Float16Array(values.length);
  halves.set(values);
  return new Uint16Array(halves.buffer);
};

function read(
  tensor: Tensor,
  view: HostArray,
  registers: Record<string, number>,
): { values: Float64Array; bits: Uint8Array } {
  const shape = tensor.shape.map((d) => (typeof d === "number" ? d : registers[d.register.name] * d.factor));
  const elements = shape.reduce((product, d) => product * d, 1);
  const floats = tensor.dtype === "f32" || tensor.dtype === "i32";
  const part = view.subarray(0, floats ? elements : byteLength(unpackedDtype(tensor.dtype), shape));
  const bits = new Uint8Array(part.buffer, part.byteOffset, part.byteLength).slice();
  if (tensor.dtype === "bf16") {
    const widened = Uint32Array.from(new Uint16Array(bits.buffer), (half) => half << 16);
    return { bits, values: Float64Array.from(new Float32Array(widened.buffer)) };
  }
  if (tensor.dtype === "f16") return { bits, values: Float64Array.from(new Float16Array(bits.buffer)) };
  if (tensor.dtype === "i8") return { bits, values: Float64Array.from(new Int8Array(bits.buffer)) };
  return { bits, values: Float64Array.from(part) };
}

/** Runs a case on one device and returns outputs and states. */
export async function runOn(device: Device, test: OpCase): Promise<Results> {
  const program = new Program("test");
  test.build(program);
  const registers = test.registers ?? {};
  const inputs = test.inputs ?? {};
  const bindings: Record<string, DeviceBuffer> = {};
  const results: Results = new Map();
  const bases = program.tensors.filter((tensor) => tensor.kind !== "temp" && !tensor.viewOf);
  for (const name of Object.keys(inputs))
    assert.ok(
      bases.some((tensor) => tensor.name === name),
      `the case gives ${name}, which the program does not declare`,
    );
  for (const tensor of bases) {
    if (!isPacked(tensor.dtype)) continue;
    const data = inputs[tensor.name];
    assert.ok(data, `${tensor.name} is packed and needs values`);
    const plain = device.buffer(unpackedDtype(tensor.dtype), tensor.shape.map(maxDim), data);
    const packed = device.pack(plain);
    assert.equal(
      packed.dtype,
      tensor.dtype,
      `${device.description} has no packed form of ${unpackedDtype(tensor.dtype)}`,
    );
    bindings[tensor.name] = packed;
    plain.free();
  }
  const executable = device.compile(program, bindings);
  try {
    for (const tensor of bases) {
      const data = inputs[tensor.name];
      if (!data || tensor.name in bindings) continue;
      const view = executable.buffer(tensor).view();
      const raw = tensor.dtype !== "f32" && tensor.dtype !== "i32" && ArrayBuffer.isView(data);
      const from = raw ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : (data as ArrayLike<number>);
      assert.ok(from.length <= view.length, `${tensor.name} holds ${view.length} values, ${from.length} were given`);
      view.set(from);
    }
    for (let i = 0; i < (test.runs ?? 1); i++) {
      if (i % 2 === 0) executable.run(registers);
      else await executable.runAsync(registers);
    }
    for (const tensor of bases)
      if (tensor.kind === "output" || tensor.kind === "state")
        results.set(tensor.name, read(tensor, executable.buffer(tensor).view(), registers));
  } finally {
    executable.free();
    for (const buffer of Object.values(bindings)) buffer.free();
  }
  return results;
}

const toleranceOf = (test: OpCase, name: string): number =>
  (typeof test.tolerance === "object" ? test.tolerance[name] : test.tolerance) ?? 1e-5;

/** Throws an AssertionError that names output, element and both values unless `got` agrees with `wanted`. */
export function compare(what: string, got: Results, wanted: Results, test: OpCase): void {
  for (const [name, { values }] of wanted) {
    const other = got.get(name)?.values;
    assert.ok(other && other.length === values.length, `${what}: ${name} is missing or has another length`);
    const tolerance = toleranceOf(test, name);
    let squares = 0;
    for (const value of values) if (Number.isFinite(value)) squares += value * value;
    const rms = Math.sqrt(squares / Math.max(1, values.length));
    for (let i = 0; i < values.length; i++) {
      if (test.finite !== false) assert.ok(Number.isFinite(other[i]), `${what}: ${name}[${i}] is ${other[i]}`);
      if (Object.is(other[i], values[i]) || other[i] === values[i]) continue;
      const off = Math.abs(other[i] - values[i]);
      assert.ok(
        off <= tolerance * (Math.abs(values[i]) + rms),
        `${what}: ${name}[${i}] is ${other[i]}, wanted ${values[i]} (off by ${off}, rms ${rms}, tolerance ${tolerance})`,
      );
    }
  }
}

/** Throws unless two results are the same to the bit. */
export function sameBits(what: string, got: Results, wanted: Results): void {
  for (const [name, { bits, values }] of wanted) {
    const other = got.get(name);
    assert.ok(other && other.bits.length === bits.length, `${what}: ${name} is missing or has another length`);
    const at = bits.findIndex((byte, i) => byte !== other.bits[i]);
    if (at < 0) continue;
    const element = Math.floor((at / bits.length) * values.length);
    assert.fail(`${what}: ${name}[${element}] differs in its bits: ${other.values[element]} and ${values[element]}`);
  }
}

/**
 * The fast devices to test, each at 1, 2 and 3 threads; WEIR_TEST_DEVICES=native,wasm (or empty) narrows them. A device that cannot
 * be opened is said aloud.
 */
export async function fastDevices(): Promise<{ name: string; open(threads: number): Promise<Device> }[]> {
  if (process.env.WEIR_DUMP) return [];
  const wanted = (process.env.WEIR_TEST_DEVICES ?? "native,wasm").split(",");
  const found: { name: string; open(threads: number): Promise<Device> }[] = [];
  if (wanted.includes("native")) {
    try {
      for (const { name } of nativeIsas())
        found.push({
          name: `native ${name}`,
          open: async (threads) => new NativeDevice({ threads, isa: name, grain: 0 }),
        });
    } catch (error) {
      note(`the native device is NOT tested: ${(error as Error).message.split("\n")[0]}; npm run build makes it`);
    }
  }
  if (wanted.includes("wasm")) {
    found.push({ name: "wasm simd128", open: (threads) => WasmDevice.open({ threads, relaxed: false, grain: 0 }) });
    if (wasmFeatures().relaxed)
      found.push({ name: "wasm relaxed", open: (threads) => WasmDevice.open({ threads, relaxed: true, grain: 0 }) });
    else note("WebAssembly with relaxed SIMD is NOT tested: this runtime lacks it");
  }
  return found;
}

const opened = new Map<string, Promise<Device>>();

/** For kernels/testing/driver.c: see dump.ts. */
function dump(folder: string, test: OpCase, wanted: Results): void {
  const program = new Program("dump");
  test.build(program);
  const data = new Map<string, Uint8Array>();
  for (const [name, values] of Object.entries(test.inputs ?? {})) {
    const dtype = program.tensors.find((tensor) => tensor.name === name && !tensor.viewOf)?.dtype;
    const array =
      dtype === "f32"
        ? Float32Array.from(values as ArrayLike<number>)
        : dtype === "i32"
          ? Int32Array.from(values as ArrayLike<number>)
          : ArrayBuffer.isView(values)
            ? values
            : Uint8Array.from(values);
    data.set(name, new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
  }
  const checks = [...wanted].map(
    ([name, { values }]) => [name, { values, tolerance: toleranceOf(test, name) }] as const,
  );
  dumpCase(folder, {
    program,
    registers: test.registers ?? {},
    data,
    runs: test.runs ?? 1,
    finite: test.finite !== false,
    wanted: new Map(checks),
  });
}

/**
 * Runs the case everywhere and compares; returns the float64 reference's results. With WEIR_DUMP=folder it writes the case for the C
 * driver instead of running the fast devices.
 */
export async function checkOp(test: OpCase): Promise<Results> {
  const wanted = await runOn(new ReferenceDevice("f64"), test);
  if (process.env.WEIR_DUMP) {
    dump(process.env.WEIR_DUMP, test, wanted);
    return wanted;
  }
  compare("reference f32", await runOn(new ReferenceDevice("f32"), test), wanted, test);
  for (const { name, open } of await fastDevices()) {
    let first: Results | undefined;
    for (const threads of [1, 2, 3]) {
      const key = `${name} ${threads}`;
      if (!opened.has(key)) opened.set(key, open(threads));
      const results = await runOn(await (opened.get(key) as Promise<Device>), test);
      if (first) sameBits(`${name}, 1 and ${threads} threads`, results, first);
      else compare(name, results, wanted, test);
      first ??= results;
    }
  }
  return wanted;
}

export interface GradientCase extends Omit<OpCase, "build" | "runs"> {
  /**
   * Builds the forward program and returns what to differentiate: every f32 tensor is weighted with fixed random numbers and summed
   * to a loss. Gradients are checked for f32 params and for inputs on which build sets `requiresGrad = true` before using them.
   */
  build(program: Program): Tensor | Tensor[];
  /** Step of the central difference. Default 1e-4. */
  step?: number;
  /** Tolerance of central differences against float64 autodiff, relative as in OpCase. Default 1e-5. */
  differenceTolerance?: number;
  /** Elements of each tensor that are varied (evenly spread). Default 24. */
  samples?: number;
}

/** Checks gradients: float64 central differences ↔ autodiff on the float64 reference, then autodiff on every device as checkOp. */
export async function checkGradients(test: GradientCase): Promise<void> {
  const registers = test.registers ?? {};
  const weights: Record<string, Float32Array> = {};
  const lossOf = (program: Program): Tensor => {
    const built = test.build(program);
    return (Array.isArray(built) ? built : [built])
      .map((tensor, i) => {
        const name = `probe.${i}`;
        const probe = program.input(name, "f32", tensor.shape);
        weights[name] ??= uniform(
          1000 + i,
          tensor.shape.reduce<number>((product, d) => product * maxDim(d), 1),
        );
        return dot(tensor, probe);
      })
      .reduce((sum, term) => add(sum, term));
  };
  const wanted = (program: Program): Tensor[] =>
    program.tensors.filter(
      (tensor) =>
        (tensor.kind === "param" || tensor.kind === "input") &&
        !tensor.viewOf &&
        tensor.dtype === "f32" &&
        tensor.requiresGrad,
    );
  const backward = (program: Program): void => {
    const loss = lossOf(program);
    const tensors = wanted(program);
    assert.ok(tensors.length > 0, "nothing requires a gradient");
    const found = gradients(program, loss, { extra: tensors.filter((tensor) => tensor.kind === "input") });
    for (const tensor of tensors) {
      assert.ok(found.has(tensor), `${tensor} got no gradient`);
      if (tensor.kind === "input") program.output(copy(found.get(tensor) as Tensor), `grad.${tensor.name}`);
    }
  };
  lossOf(new Program("weights")); // fills the weights
  const inputs = { ...test.inputs, ...weights };
  const exact = await runOn(new ReferenceDevice("f64"), { ...test, build: backward, inputs });

  const device = new ReferenceDevice("f64");
  const program = new Program("forward");
  program.output(lossOf(program), "loss");
  const executable = device.compile(program);
  for (const [name, data] of Object.entries(inputs)) {
    const buffer = executable.buffer(name);
    const raw = buffer.dtype !== "f32" && buffer.dtype !== "i32" && ArrayBuffer.isView(data);
    buffer
      .view()
      .set(raw ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : (data as ArrayLike<number>));
  }
  const initial = new Map(
    program.tensors
      .filter((tensor) => tensor.kind === "state")
      .map((tensor) => [tensor, executable.buffer(tensor).view().slice()] as const),
  );
  const loss = (): number => {
    for (const [tensor, data] of initial) executable.buffer(tensor).view().set(data);
    executable.run(registers);
    return executable.buffer("loss").view()[0];
  };
  const step = test.step ?? 1e-4;
  for (const tensor of wanted(program)) {
    const view = executable.buffer(tensor).view();
    const gradient = (exact.get(`grad.${tensor.name}`) as { values: Float64Array }).values;
    const samples = Math.min(gradient.length, test.samples ?? 24);
    const differences = new Float64Array(samples);
    const taken = new Float64Array(samples);
    for (let s = 0; s < samples; s++) {
      const at = Math.floor((s * gradient.length) / samples);
      const before = view[at];
      view[at] = before + step;
      const above = loss();
      view[at] = before - step;
      const below = loss();
      view[at] = before;
      differences[s] = (above - below) / (2 * step);
      taken[s] = gradient[at];
    }
    const as = (values: Float64Array): Results =>
      new Map([[tensor.name, { values, bits: new Uint8Array(values.buffer) }]]);
    const tolerance = test.differenceTolerance ?? 1e-5;
    compare("gradient and central difference", as(taken), as(differences), { build: test.build, tolerance });
  }
  executable.free();
  await checkOp({ ...test, build: backward, inputs });
}

export interface RowsCase extends OpCase {
  /** The register that counts rows. Inputs and outputs whose first dimension is this register alone (times a factor) are rows. */
  register: string;
}

/**
 * Checks that each row's result has the same bits when its rows are computed in pieces: rows 0..k-1, then the rest, with only their own
 * inputs. For instructions whose rows are independent.
 */
export async function checkRows(test: RowsCase): Promise<void> {
  const total = test.registers?.[test.register] ?? 0;
  const program = new Program("rows");
  test.build(program);
  const factorOf = (tensor: Tensor): number | undefined => {
    const [first, ...rest] = tensor.shape;
    if (typeof first !== "object" || first.register.name !== test.register) return undefined;
    return rest.reduce<number>((product, d) => product * maxDim(d), first.factor);
  };
  const bases = program.tensors.filter((tensor) => tensor.kind !== "temp" && !tensor.viewOf);
  for (const { name, open } of await fastDevices()) {
    const device = await open(2);
    const whole = await runOn(device, test);
    for (const cut of [1, Math.floor(total / 2), total - 1].filter((k) => k > 0 && k < total)) {
      for (const [begin, end] of [
        [0, cut],
        [cut, total],
      ]) {
        const inputs: Record<string, TestData> = { ...test.inputs };
        for (const tensor of bases) {
          const factor = factorOf(tensor);
          const data = inputs[tensor.name] as Float32Array | undefined;
          if (factor === undefined || !data) continue;
          inputs[tensor.name] = data.subarray(begin * factor, end * factor);
        }
        const part = await runOn(device, {
          ...test,
          inputs,
          registers: { ...test.registers, [test.register]: end - begin },
        });
        for (const tensor of bases) {
          const factor = factorOf(tensor);
          if (factor === undefined || tensor.kind !== "output") continue;
          const all = whole.get(tensor.name) as { values: Float64Array };
          const some = part.get(tensor.name) as { values: Float64Array };
          some.values.forEach((value, i) => {
            const same = all.values[begin * factor + i];
            assert.ok(
              Object.is(value, same),
              `${name}: ${tensor.name} row ${begin + Math.floor(i / factor)} is ${value} in rows ${begin}..${end - 1} but ${same} among all`,
            );
          });
        }
      }
    }
    device.close();
  }
}
