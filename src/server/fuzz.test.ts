// The short run of the fuzzer; fuzz.slow.ts has the long one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fuzz } from "./testing/fuzz-run.ts";

test("300 mutations of every endpoint's JSON: never a 500", async () => {
  const statuses = await fuzz(300, 1);
  // Both sides must have been reached for the test to mean anything.
  assert.ok(statuses.get(200)! > 100 && statuses.get(400)! > 100, JSON.stringify([...statuses]));
});
