// Newton–Schulz orthogonalisation: singular values near one, on every device.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Program } from "../program.ts";
import { ReferenceDevice } from "../reference.ts";
import { checkOp, uniform } from "../testing.ts";
import { muon, orthogonalise } from "./muon.ts";

for (const [batch, rows, columns] of [
  [1, 4, 4],
  [2, 5, 9],
  [3, 9, 5],
]) {
  test(`orthogonalise ${batch}x${rows}x${columns}`, () => {
    const program = new Program("orthogonalise");
    const x = program.input("x", "f32", [batch, rows, columns]);
    program.output(orthogonalise([x])[0], "y");
    const run = new ReferenceDevice("f64").compile(program);
    const values = uniform(1, batch * rows * columns);
    const norm = Math.sqrt(values.reduce((sum, v) => sum + v * v, 0));
    run
      .buffer("x")
      .view()
      .set(values.map((v) => v / norm));
    run.run();
    const y = run.buffer("y").view();
    const short = Math.min(rows, columns);
    for (let b = 0; b < batch; b++) {
      for (let i = 0; i < short; i++) {
        for (let j = 0; j < short; j++) {
          let sum = 0;
          for (let k = 0; k < Math.max(rows, columns); k++) {
            const at = (r: number): number =>
              y[b * rows * columns + (rows <= columns ? r * columns + k : k * columns + r)];
            sum += at(i) * at(j);
          }
          assert.ok(Math.abs(sum - (i === j ? 1 : 0)) < 0.02, `Gram[${i}, ${j}] of matrix ${b} is ${sum}`);
        }
      }
    }
  });
}

test("a Muon step agrees on every device", async () => {
  await checkOp({
    build: (program) => {
      const named = (suffix: string, batch: number) => {
        const [param, grad, buffer] = ["p", "grad", "buffer"].map((name) =>
          program.state(`${name}${suffix}`, "f32", [batch, 5, 7]),
        );
        return { param, grad, buffer };
      };
      const [rates, scale] = [program.input("rates", "f32", [3]), program.input("scale", "f32", [2])];
      // Two parameters of one shape are one batch.
      muon([named("", 2), named("2", 1)], rates, scale, { momentum: 0.95, weightDecay: 0.1, rms: 0.18 });
    },
    inputs: {
      p: uniform(1, 70),
      grad: uniform(2, 70),
      buffer: uniform(3, 70),
      p2: uniform(4, 35),
      grad2: uniform(5, 35),
      buffer2: uniform(6, 35),
      rates: [0.02, 1, 1],
      scale: [1, 0.7],
    },
    // Ten polynomial steps of order 3.4 each amplify rounding.
    tolerance: 2e-3,
  });
});
