// Index arithmetic of compressed entries.
import assert from "node:assert/strict";
import { test } from "node:test";
import { windowIndices } from "./windows.ts";

test("windows stay within their document and are seen only when whole", () => {
  // Two documents: five tokens and three.
  const positions = [0, 1, 2, 3, 4, 0, 1, 2];
  const starts = [0, 0, 0, 0, 0, 5, 5, 5];
  const plain = windowIndices(positions, starts, 2, false);
  assert.equal(plain.windows, 3);
  assert.deepEqual([...plain.sources], [0, 1, 2, 3, 5, 6]);
  assert.deepEqual([...plain.positions], [0, 2, 0]);
  assert.deepEqual([...plain.count], [0, 1, 1, 2, 2, 0, 1, 1]);
  assert.deepEqual([...plain.first], [0, 0, 0, 0, 0, 2, 2, 2]);
  const overlapping = windowIndices(positions, starts, 2, true);
  assert.deepEqual([...overlapping.sources], [-1, -1, 0, 1, 0, 1, 2, 3, -1, -1, 5, 6]);
});

test("a document shorter than a window has none", () => {
  const none = windowIndices([0, 1], [0, 0], 4, true);
  assert.equal(none.windows, 0);
  assert.deepEqual([...none.count], [0, 0]);
  assert.deepEqual([...none.first], [0, 0]);
});
