// Sharing and eviction of cache pages.
import assert from "node:assert/strict";
import { test } from "node:test";
import { PagePool } from "./pages.ts";

const tokens = (...values: number[]): Int32Array => Int32Array.from(values);

test("a full page is shared by sequences with the same prefix, and only by them", () => {
  const pool = new PagePool(4, 2);
  const [a, b] = [pool.take() as number, pool.take() as number];
  pool.publish(a, -1, tokens(1, 2));
  pool.publish(b, a, tokens(3, 4));
  assert.deepEqual(pool.match(tokens(1, 2, 3, 4, 5), 5), [a, b]);
  assert.deepEqual(pool.match(tokens(1, 2, 3, 5), 4), [a]);
  assert.deepEqual(pool.match(tokens(3, 4), 2), []);
  assert.deepEqual(pool.match(tokens(1, 2, 3, 4), 3), [a]);
});

test("released prefixes are kept until room is needed, leaves first", () => {
  const pool = new PagePool(3, 1);
  const pages = [pool.take(), pool.take(), pool.take()] as number[];
  pages.forEach((page, i) => pool.publish(page, i === 0 ? -1 : pages[i - 1], tokens(i)));
  assert.equal(pool.take(), undefined);
  pool.release(pages);
  assert.equal(pool.available, 3);
  assert.equal(pool.take(), pages[2]);
  assert.deepEqual(pool.match(tokens(0, 1, 2), 3), [pages[0], pages[1]]);
});

test("clearing forgets prefixes but not holders", () => {
  const pool = new PagePool(2, 1);
  const page = pool.take() as number;
  pool.publish(page, -1, tokens(7));
  pool.clear();
  assert.deepEqual(pool.match(tokens(7), 1), []);
  pool.release([page]);
  assert.equal(pool.available, 2);
});
