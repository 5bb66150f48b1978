// AdamW steps against PyTorch's on the goldens that have them: all twenty, of V4 the first four (goldens.slow.ts takes the rest).
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { withTorchTies } from "../model/torch-ties.fixture.ts";
import { NativeDevice } from "../tensor/native.ts";
import { ReferenceDevice } from "../tensor/reference.ts";
import { compareSteps } from "./goldens.fixture.ts";

const root = "../shared/goldens";
if (!existsSync(root)) console.log(`${root} is absent: the twenty training steps are not compared`);
else {
  for (const name of ["qwen2", "deepseek-v2-lite", "deepseek-v3"])
    test(`twenty steps of ${name}`, () => compareSteps(new NativeDevice(), join(root, name)));

  test("steps of deepseek-v4, choosing among equal index scores as PyTorch does", () =>
    withTorchTies(50, () => compareSteps(new ReferenceDevice("f64"), join(root, "deepseek-v4"), 4)));
}
