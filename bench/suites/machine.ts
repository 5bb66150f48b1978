// The limits of this machine, which other suites compare with, and what tiny instructions and barriers cost.
import { NativeDevice, probeMachine } from "../../src/tensor/native.ts";
import { scale } from "../../src/tensor/ops/elementwise.ts";
import { Program } from "../../src/tensor/program.ts";
import { type Report, seconds } from "../figure.ts";

export default async function machine(report: Report): Promise<void> {
  for (const threads of [1, 2]) {
    const { bandwidth, peak } = probeMachine(threads, 1000);
    report({ suite: "machine", name: `read bandwidth, ${threads} thread(s)`, value: bandwidth / 1e9, unit: "GB/s" });
    report({ suite: "machine", name: `multiply-add peak, ${threads} thread(s)`, value: peak / 1e9, unit: "GFLOP/s" });
    const device = new NativeDevice({ threads, grain: 0 });
    const program = new Program("small");
    const x = program.input("x", "f32", [64]);
    for (let i = 0; i < 100; i++) program.output(scale(x, i), `out${i}`);
    const chain = new Program("chain");
    let y = chain.input("x", "f32", [64]);
    for (let i = 0; i < 100; i++) y = scale(y, 0.5);
    chain.output(y, "out");
    for (const [what, built] of [
      ["100 independent tiny instructions", program],
      ["100 tiny instructions, a barrier before each", chain],
    ] as const) {
      const executable = device.compile(built);
      const time = await seconds(() => executable.run());
      report({ suite: "machine", name: `run of ${what}, ${threads} thread(s)`, value: time * 1e6, unit: "µs" });
      executable.free();
    }
    device.close();
  }
}
