// Chooses the device: the native kernels, else WebAssembly, else the reference; or the one that WEIR_DEVICE or the caller names.
import { type Device, TensorError } from "./device.ts";

export type DeviceName = Device["name"];

const ORDER: DeviceName[] = ["native", "wasm", "reference"];

export interface DeviceOptions {
  /** This one or an error. Absent: WEIR_DEVICE, else the best that opens. */
  device?: DeviceName;
  /** Threads of a run. Absent: WEIR_THREADS, else the number of processors. */
  threads?: number;
}

export interface DeviceChoice {
  device: Device;
  /** Why it was this one, for people: what was forced and what could not be used. */
  reasons: string[];
}

const environment = (name: string): string | undefined =>
  (globalThis as { process?: { env?: Record<string, string | undefined> } }).process?.env?.[name] || undefined;

async function processors(): Promise<number> {
  const hardware = (globalThis as { navigator?: { hardwareConcurrency?: number } }).navigator?.hardwareConcurrency;
  if (typeof process === "undefined" || !process.versions?.node) return hardware ?? 1;
  const os = "node:os"; // a variable: bundlers for the browser must not look for it
  return ((await import(/* @vite-ignore */ os)) as typeof import("node:os")).availableParallelism();
}

async function threadCount(asked: number | undefined): Promise<number> {
  const variable = environment("WEIR_THREADS");
  if (asked === undefined && variable === undefined) return Math.min(256, await processors());
  const count = asked ?? Number(variable);
  if (Number.isInteger(count) && count >= 1 && count <= 256) return count;
  const name = asked === undefined ? "WEIR_THREADS" : "threads";
  throw new TensorError("size_out_of_range", `${name} must be a whole number from 1 to 256, not ${asked ?? variable}`);
}

async function open(name: DeviceName, threads: number): Promise<Device> {
  // Only the device that is wanted is loaded: every module costs a start some time.
  if (name === "reference") return new (await import("./reference.ts")).ReferenceDevice();
  if (name === "wasm") return (await import("./wasm.ts")).WasmDevice.open({ threads });
  if (typeof process === "undefined" || !process.versions?.node)
    throw new TensorError("no_kernel", "the native kernels need Node");
  const native = "./native.ts"; // a variable: bundlers for the browser must not follow it
  const { NativeDevice } = (await import(/* @vite-ignore */ native)) as typeof import("./native.ts");
  return new NativeDevice({ threads });
}

/** As openDevice, with the reasons. */
export async function chooseDevice(options: DeviceOptions = {}): Promise<DeviceChoice> {
  const variable = environment("WEIR_DEVICE");
  const forced = options.device ?? variable;
  const threads = await threadCount(options.threads);
  if (forced !== undefined) {
    const by = options.device ? "asked for" : "WEIR_DEVICE";
    if (!ORDER.includes(forced as DeviceName))
      throw new TensorError("no_kernel", `there is no device ${forced} (${by}); there are ${ORDER.join(", ")}`);
    try {
      return { device: await open(forced as DeviceName, threads), reasons: [`${forced}: ${by}`] };
    } catch (error) {
      throw new TensorError("no_kernel", `the ${forced} device (${by}) cannot be used: ${firstLine(error)}`);
    }
  }
  const reasons: string[] = [];
  for (const name of ORDER) {
    try {
      const device = await open(name, threads);
      return { device, reasons: [...reasons, `${name}: the best that can be used here`] };
    } catch (error) {
      reasons.push(`${name} cannot be used: ${firstLine(error)}`);
    }
  }
  throw new TensorError("no_kernel", reasons.join("; "));
}

const firstLine = (error: unknown): string => (error instanceof Error ? error.message : String(error)).split("\n")[0];

/** Opens the device to compute on. Throws a TensorError where a device that was asked for by name cannot be used. */
export const openDevice = async (options: DeviceOptions = {}): Promise<Device> => (await chooseDevice(options)).device;
