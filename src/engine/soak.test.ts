// A short soak for every run of the suite; soak.slow.ts has the long one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { soak } from "./soak.fixture.ts";

test("200 requests in any company get the answers they get alone", async () => {
  const figures = await soak(200, 1);
  console.log(figures);
  assert.ok(figures.cancelled > 5 && figures.most > 8 && figures.accepted > 50, "the soak was too gentle");
});
