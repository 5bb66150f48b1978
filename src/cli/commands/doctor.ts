// `weir doctor`: what this machine offers, which device is in use and why. It only prints what src/tensor says.
import { cpus, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { compilerNames, findCompiler } from "../../tensor/compiler.ts";
import { chooseDevice } from "../../tensor/devices.ts";
import { nativeIsas, nativePath, probeMachine } from "../../tensor/native.ts";
import { wasmFeatures } from "../../tensor/wasm.ts";
import type { Command } from "../command.ts";

function nativeLines(): string[] {
  try {
    return nativeIsas().map(({ name, kernels }) => {
      const missing = kernels.filter((kernel) => kernel === "").length;
      return `built, ${name}: ${kernels.length - missing} kernels${missing > 0 ? `, ${missing} MISSING` : ""}`;
    });
  } catch (error) {
    return [`not usable: ${(error as Error).message.split("\n")[0]} (${nativePath()}; npm run build makes it)`];
  }
}

export default {
  summary: "what this machine offers and which device Weir uses / 检查本机与计算设备",
  usage: `Usage: weir doctor [--quick]

Prints the processor, the C compiler, the native kernels, what WebAssembly offers, the device in use and the reason, and
measures memory bandwidth and arithmetic peak (--quick leaves the measurement out).
打印处理器、C 编译器、原生内核、WebAssembly 能力、所用设备及原因，并实测内存带宽与算力上限（--quick 跳过实测）。

Environment: WEIR_DEVICE=native|wasm|reference forces a device, WEIR_THREADS=N its threads.`,
  async run(args) {
    const { values } = parseArgs({ args, options: { quick: { type: "boolean", default: false } } });
    const line = (name: string, ...texts: string[]): void =>
      texts.forEach((text, i) => console.log(`${(i === 0 ? name : "").padEnd(12)} ${text}`));
    const compiler = findCompiler();
    const processors = cpus();
    const features = wasmFeatures();
    line("node", `${process.version}, ${process.platform} ${process.arch}`);
    line("processor", `${processors[0]?.model.trim() || "unknown"}, ${processors.length} cores`);
    line("memory", `${(totalmem() / 2 ** 30).toFixed(1)} GiB`);
    line("compiler", compiler?.version ?? `none (tried ${compilerNames().join(", ")})`);
    line("native", ...nativeLines());
    line("wasm", `relaxed SIMD: ${features.relaxed ? "yes" : "no"}, threads: ${features.threads ? "yes" : "no"}`);
    const { device, reasons } = await chooseDevice();
    line("device", device.description, ...reasons);
    if (!values.quick && device.name === "native") {
      const { bandwidth, peak } = probeMachine(device.threads);
      line(
        "measured",
        `${(bandwidth / 1e9).toFixed(1)} GB/s read, ${(peak / 1e9).toFixed(0)} GFLOP/s float32, ${device.threads} threads`,
      );
    }
    device.close();
    return 0;
  },
} satisfies Command;
