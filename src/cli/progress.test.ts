// The progress line with a clock and a terminal of our own.
import assert from "node:assert/strict";
import { test } from "node:test";
import { formatBytes, formatSeconds, Progress } from "./progress.ts";

function terminal(isTTY: boolean) {
  const written: string[] = [];
  return { written, isTTY, columns: 80, write: (text: string) => written.push(text) };
}

test("sizes and times read well", () => {
  assert.deepEqual([0, 1023, 1536, 20 * 2 ** 20, 3.5 * 2 ** 40].map(formatBytes), [
    "0 B",
    "1023 B",
    "1.50 KiB",
    "20.0 MiB",
    "3.50 TiB",
  ]);
  assert.deepEqual([0, 65, 3725].map(formatSeconds), ["0:00", "1:05", "1:02:05"]);
});

test("share, rate and remaining time follow what was done, not what was there before", () => {
  let now = 0;
  const stream = { ...terminal(true), columns: 200 };
  const bar = new Progress("model", { total: 10 * 2 ** 20, start: 5 * 2 ** 20, stream, now: () => now });
  now = 2000;
  bar.update(6 * 2 ** 20);
  const line = stream.written[0];
  assert.match(line, /^\rmodel {2}\[#{12}-{8}\] {2}60% {2}6\.00 MiB of 10\.0 MiB {2}512\.0 KiB\/s {2}0:08 left/);
  now = 4000;
  bar.update(10 * 2 ** 20);
  bar.end();
  assert.match(stream.written.at(-2)!, /100%.*in 0:04/);
  assert.equal(stream.written.at(-1), "\n");
});

test("the rate is that of the last ten seconds", () => {
  let now = 0;
  const bar = new Progress("x", { total: null, unit: "steps", stream: terminal(true), now: () => now });
  for (let second = 1; second <= 60; second++) {
    now = second * 1000;
    bar.update(second <= 40 ? second * 100 : 4000 + (second - 40));
  }
  assert.match(bar.line(), /1 steps\/s|1\.\d steps\/s/);
});

test("a terminal is redrawn ten times a second at most, a file gets a line every ten seconds", () => {
  let now = 0;
  for (const [isTTY, expected] of [
    [true, 101],
    [false, 2],
  ] as const) {
    const stream = terminal(isTTY);
    now = 0;
    const bar = new Progress("x", { total: 1000, unit: "steps", stream, now: () => now });
    for (let i = 0; i < 1001; i++) {
      now = i * 10.001;
      bar.update(i);
    }
    assert.ok(Math.abs(stream.written.length - expected) <= 1, `${stream.written.length}`);
  }
});

test("names cannot steer the terminal, lines do not wrap", () => {
  const stream = terminal(true);
  const bar = new Progress("\u001b[31mred\r\n", { total: 1, stream });
  bar.update(1, `${"long ".repeat(40)}\u001b]0;title\u0007`);
  assert.ok(!/\u001b\[31m|\u001b\]|\n/.test(stream.written[0]));
  assert.ok(stream.written[0].length <= 80 + 5);
});

test("no total and a total of nothing are shown too", () => {
  assert.match(new Progress("x", { total: null, stream: terminal(false) }).line(), /x {2}0 B/);
  assert.match(new Progress("x", { total: 0, stream: terminal(false) }).line(), /100%/);
});
