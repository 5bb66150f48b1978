// The limits of this machine, which other suites compare with, and what one run of an empty program costs.
import { NativeDevice, probeMachine } from "../../src/tensor/native.ts";
import { fill } from "../../src/tensor/ops/elementwise.ts";
import { Program } from "../../src/tensor/program.ts";
import { type Report, seconds } from "../figure.ts";

export default async function machine(report: Report): Promise<void> {
  for (const threads of [1, 2]) {
    const { bandwidth, peak } = probeMachine(threads, 1000);
    report({ suite: "machine", name: `read bandwidth, ${threads} thread(s)`, value: bandwidth / 1e9, unit: "GB/s" });
    report({ suite: "machine", name: `multiply-add peak, ${threads} thread(s)`, value: peak / 1e9, unit: "GFLOP/s" });
    const device = new NativeDevice({ threads, grain: 0 });
    const program = new Program("small");
    for (let i = 0; i < 100; i++) program.output(fill(program, [64], i), `out${i}`);
    const executable = device.compile(program);
    const time = await seconds(() => executable.run());
    report({
      suite: "machine",
      name: `run of 100 tiny instructions, ${threads} thread(s)`,
      value: time * 1e6,
      unit: "µs",
    });
    executable.free();
    device.close();
  }
}
