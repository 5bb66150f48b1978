// All twenty steps of V4 against PyTorch's. Only the reference device can choose among equal index scores as PyTorch does.
import { existsSync } from "node:fs";
import { test } from "node:test";
import { withTorchTies } from "../model/torch-ties.fixture.ts";
import { ReferenceDevice } from "../tensor/reference.ts";
import { compareSteps } from "./goldens.fixture.ts";

const folder = "../shared/goldens/deepseek-v4";
if (!existsSync(folder)) console.log(`${folder} is absent: V4's training steps are not compared`);
else {
  // Its 200 tokens make 50 entries.
  test("twenty steps of deepseek-v4", () => withTorchTies(50, () => compareSteps(new ReferenceDevice("f64"), folder)));
}
