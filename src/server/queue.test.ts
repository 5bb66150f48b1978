// Taking turns in the queue of requests, and leaving it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ServerError } from "./errors.ts";
import { FairQueue, type Ticket } from "./queue.ts";

const never = new AbortController().signal;
const settle = () => new Promise((resolve) => setTimeout(resolve, 5));

/** Follows a ticket: its positions so far, and whether it runs. */
function follow(ticket: Ticket) {
  const seen = { positions: [] as number[], runs: false, failed: undefined as unknown };
  (async () => {
    for await (const { position } of ticket.positions()) seen.positions.push(position);
    seen.runs = true;
  })().catch((error) => {
    seen.failed = error;
  });
  return seen;
}

test("callers take turns, whatever the length of their lines", async () => {
  const queue = new FairQueue({ running: 1, waiting: 10, perCaller: 10 });
  const first = queue.enter("a", never);
  follow(first);
  const tickets = ["a", "a", "a", "b", "c"].map((caller) => queue.enter(caller, never));
  const seen = tickets.map(follow);
  await settle();
  assert.deepEqual(
    seen.map((each) => each.positions.at(-1)),
    [1, 4, 5, 2, 3],
  );
  const order: number[] = [];
  first.release();
  for (let turn = 0; turn < 5; turn++) {
    await settle();
    const next = seen.findIndex((each, at) => each.runs && !order.includes(at));
    order.push(next);
    tickets[next].release();
  }
  assert.deepEqual(order, [0, 3, 4, 1, 2]);
  assert.deepEqual([queue.running, queue.waiting], [0, 0]);
});

test("positions count down and the rest move up when one leaves", async () => {
  const queue = new FairQueue({ running: 1, waiting: 10, perCaller: 10 });
  const running = queue.enter("a", never);
  const [one, two] = [queue.enter("b", never), queue.enter("b", never)];
  const seen = follow(two);
  follow(one);
  await settle();
  one.release();
  await settle();
  assert.deepEqual(seen.positions, [2, 1]);
  running.release();
  await settle();
  assert.ok(seen.runs);
});

test("a full queue says 503, a caller's full share 429, both with a time to come back", () => {
  const queue = new FairQueue({ running: 1, waiting: 3, perCaller: 2 });
  for (const caller of ["a", "b", "b", "c"]) queue.enter(caller, never);
  const refusal = (caller: string, status: number) => (error: unknown) =>
    error instanceof ServerError && error.status === status && error.retryAfter! >= 1 && caller.length > 0;
  assert.throws(() => queue.enter("b", never), refusal("b", 429));
  assert.throws(() => queue.enter("d", never), refusal("d", 503));
});

test("who aborts while waiting leaves the queue", async () => {
  const queue = new FairQueue({ running: 1, waiting: 3, perCaller: 3 });
  const running = queue.enter("a", never);
  const control = new AbortController();
  const ticket = queue.enter("b", control.signal);
  const seen = follow(ticket);
  await settle();
  control.abort();
  await settle();
  assert.ok(seen.failed);
  ticket.release();
  assert.equal(queue.waiting, 0);
  running.release();
  assert.equal(queue.running, 0);
});
