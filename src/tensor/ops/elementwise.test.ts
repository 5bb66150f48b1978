// Element-wise instructions on every device, their gradients, and awkward sizes.
import { test } from "node:test";
import { dim, type Program, type Tensor } from "../program.ts";
import { checkGradients, checkOp, checkRows, integers, uniform } from "../testing.ts";
import { add, copy, dot, fill, multiply, scale, scaleBy } from "./elementwise.ts";

const operands = (program: Program): [Tensor, Tensor, Tensor] => {
  const rows = dim(program.register("T", 5000));
  const [x, y] = [program.input("x", "f32", [rows, 3]), program.input("y", "f32", [rows, 3])];
  const factor = program.input("factor", "f32", [1]);
  for (const tensor of [x, y, factor]) tensor.requiresGrad = true;
  return [x, y, factor];
};

for (const rows of [0, 1, 7, 341, 342, 1031, 5000]) {
  test(`add, multiply, scale, scale_by, fill and copy of ${rows} rows`, async () => {
    await checkOp({
      build: (program) => {
        const [x, y, factor] = operands(program);
        const ids = program.input("ids", "i32", x.shape, { min: 0, max: 1000 });
        program.output(add(x, y), "sum");
        program.output(multiply(x, y), "product");
        program.output(scale(x, -1.5), "scaled");
        program.output(scaleBy(y, factor), "scaledBy");
        program.output(add(fill(program, x.shape, 0.25), scale(add(x, x), 2)), "chain");
        program.output(copy(ids), "ids copied");
        add(
          program.state("total", "f32", x.shape),
          x,
          program.tensors.find(({ name }) => name === "total"),
        );
      },
      registers: { T: rows },
      inputs: {
        x: uniform(1, rows * 3),
        y: uniform(2, rows * 3, 100),
        factor: [0.75],
        ids: integers(3, rows * 3, 1000),
      },
      runs: 3,
    });
  });
}

test("dot of long vectors stays exact to float32", () =>
  checkOp({
    build: (program) => {
      const [x, y] = operands(program);
      program.output(dot(x, y), "dot");
    },
    registers: { T: 4999 },
    inputs: { x: uniform(4, 4999 * 3), y: uniform(5, 4999 * 3) },
    tolerance: 2e-6,
  }).then(() => undefined));

test("gradients of the element-wise instructions", () =>
  checkGradients({
    build: (program) => {
      const [x, y, factor] = operands(program);
      return [multiply(add(x, y), scale(x, 3)), scaleBy(multiply(x, copy(y)), factor), dot(x, y)];
    },
    registers: { T: 13 },
    inputs: { x: uniform(6, 39), y: uniform(7, 39), factor: [1.25] },
  }));

test("rows are independent", () =>
  checkRows({
    build: (program) => {
      const [x, y, factor] = operands(program);
      program.output(multiply(add(x, y), scaleBy(x, factor)), "out");
    },
    register: "T",
    registers: { T: 700 },
    inputs: { x: uniform(8, 2100), y: uniform(9, 2100), factor: [3] },
  }));
