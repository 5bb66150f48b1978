// What every device offers: buffers that outlive runs, and programs compiled against them. How a program is executed is the
// device's own business; reference.ts, native.ts and wasm.ts implement this.
import type { Dtype } from "./dtype.ts";
import type { Program, Tensor } from "./program.ts";

export type HostArray = Float32Array | Float64Array | Int32Array | Uint8Array;

/** Bytes on a device that live until freed. */
export interface DeviceBuffer {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /**
   * The elements in place, without a copy: Float32Array for f32 (Float64Array on a float64 reference device), Int32Array for i32,
   * Uint8Array otherwise. Ask anew after every allocation on the device: the wasm memory may have moved.
   */
  view(): HostArray;
  free(): void;
}

export interface Executable {
  /** Runs once with these register values. Throws a TensorError for a bad size or index; buffers then hold nothing of use. */
  run(registers?: Record<string, number>): void;
  /** The same off the calling thread where the device can; runs of one device never overlap. */
  runAsync(registers?: Record<string, number>): Promise<void>;
  /** The buffer of a param, input, state or output. */
  buffer(tensor: Tensor | string): DeviceBuffer;
  /**
   * Seconds since the last call, two per instruction of the program: of the run, and of processor time over all threads. The first
   * call gives zeros and makes runs measure from then on, somewhat slower. Absent where the device has no clock.
   */
  profile?(): Float64Array;
  /** Bytes planned for temps. */
  readonly arenaBytes: number;
  free(): void;
}

export interface Device {
  readonly name: "reference" | "native" | "wasm";
  /** What it runs on, for people: instruction set, threads. */
  readonly description: string;
  threads: number;
  buffer(dtype: Dtype, shape: readonly number[], data?: ArrayLike<number> | ArrayBufferView): DeviceBuffer;
  /** Weights rearranged for this machine; the logical shape stays. The reference device returns a plain copy. */
  pack(weights: DeviceBuffer): DeviceBuffer;
  /** Places a program. `bindings` gives buffers for params, inputs, states and outputs by name; what is missing is allocated (zero). */
  compile(program: Program, bindings?: Record<string, DeviceBuffer>): Executable;
  close(): void;
}

export type TensorErrorCode =
  | "index_out_of_range"
  | "size_out_of_range"
  | "wrong_binding"
  | "no_kernel"
  | "out_of_memory"
  | "closed"
  | "numeric";

/** A run or a compilation that cannot be done; the process and other programs go on. */
export class TensorError extends Error {
  readonly code: TensorErrorCode;

  constructor(code: TensorErrorCode, message: string) {
    super(message);
    this.name = "TensorError";
    this.code = code;
  }
}
