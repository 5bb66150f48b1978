// The long soak: 2,000 requests.
import assert from "node:assert/strict";
import { test } from "node:test";
import { soak } from "./soak.fixture.ts";

test("2,000 requests in any company get the answers they get alone", async () => {
  const figures = await soak(2000, 2);
  console.log(figures);
  assert.ok(figures.cancelled > 100 && figures.most > 8, "the soak was too gentle");
});
