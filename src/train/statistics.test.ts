// Intervals and pass@k against published values and enumeration.
import assert from "node:assert/strict";
import { test } from "node:test";
import { meanInterval, passAt, wilson } from "./statistics.ts";

test("Wilson's interval", () => {
  const [low, high] = wilson(8, 10);
  assert.ok(Math.abs(low - 0.4902) < 1e-4 && Math.abs(high - 0.9433) < 1e-4, `${low} ${high}`);
  assert.equal(wilson(0, 10)[0], 0);
  assert.ok(Math.abs(wilson(10, 10)[1] - 1) < 1e-12);
  assert.throws(() => wilson(0, 0), RangeError);
});

test("pass@k is the share of k-subsets with a right one", () => {
  const n = 6;
  for (let c = 0; c <= n; c++)
    for (let k = 1; k <= n; k++) {
      let [hits, all] = [0, 0];
      for (let set = 0; set < 1 << n; set++) {
        const size = set.toString(2).replaceAll("0", "").length;
        if (size !== k) continue;
        all++;
        if (set & ((1 << c) - 1)) hits++;
      }
      assert.ok(Math.abs(passAt(k, n, c) - hits / all) < 1e-12, `k ${k}, c ${c}`);
    }
  assert.throws(() => passAt(3, 2, 1), RangeError);
});

test("Student's interval", () => {
  const [mean, half] = meanInterval([1, 2, 4]);
  assert.ok(Math.abs(mean - 7 / 3) < 1e-12 && Math.abs(half - 3.7945) < 1e-3, `${mean} ${half}`);
  assert.throws(() => meanInterval([1]), RangeError);
});
