// The whole fuzz: 5,000 mutations of every endpoint's JSON.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fuzz } from "./testing/fuzz-run.ts";

test("5,000 mutations of every endpoint's JSON: never a 500", async () => {
  const statuses = await fuzz(5000, 20_261_121);
  assert.ok(statuses.get(200)! > 1000 && statuses.get(400)! > 1000, JSON.stringify([...statuses]));
});
