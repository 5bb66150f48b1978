// The committed WebAssembly was built from the kernels as they are: the builder leaves a hash of its sources beside the files. That the
// bytes are what the compiler gives is proven by scripts/build-wasm.ts --check, where that compiler is installed.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { sourceHash } from "../scripts/kernels.ts";

test("src/tensor/wasm was built from kernels/ as it is", () => {
  const built = readFileSync(new URL("../src/tensor/wasm/SOURCE", import.meta.url), "utf8").trim();
  assert.equal(built, sourceHash(), "kernels/ changed since: run npm run build:wasm and commit src/tensor/wasm");
});
