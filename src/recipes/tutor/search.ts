// Searching as a scratchpad: making a number out of three or four others by trying, checking and going back.
//
//   3 8 5 6>24                                  from these numbers, this target
//   24-6=18                                     let 6 be added last: the others must make 18
//   3 8 5>18
//   3:15,21,6;8+5=13,8-5=3,8*5=40               with 3 last the pair must make 18-3, 18+3 or 18/3; what it makes: none fits
//   8:10,26;5+3=8,5-3=2,5*3=15
//   5:13,23;8+3=11,8-3=5,8*3=24
//   x                                           dead end: go back to the four numbers
//   24/3=8
//   8 5 6>8
//   8:0,16,1;6+5=11,6-5=1                       1 fits
//   8*(6-5)*3=24

import { type Expression, node, type Operator, value } from "./expression.ts";

/** Products from here on are not tried. */
const TOO_BIG = 200;
/** A target multiplied by the last number (for a division at the end) is considered below this. */
const DIVIDEND_LIMIT = 100;

export interface Item {
  value: number;
  e: Expression;
}

export const item = (value: number): Item => ({ value, e: value });

interface Need {
  n: number;
  /** Makes the target out of an expression of value n. */
  close: (x: Expression) => Expression;
}

/** What the rest must make so that one more operation with `c` gives t. */
function needs(c: Item, t: number): Need[] {
  const out: Need[] = [];
  const v = c.value;
  if (t >= v) out.push({ n: t - v, close: (x) => node("+", x, c.e) });
  else out.push({ n: v - t, close: (x) => node("-", c.e, x) });
  out.push({ n: t + v, close: (x) => node("-", x, c.e) });
  if (v > 1 && t % v === 0) out.push({ n: t / v, close: (x) => node("*", x, c.e) });
  if (v > 1 && t * v < DIVIDEND_LIMIT) out.push({ n: t * v, close: (x) => node("/", x, c.e) });
  return out;
}

/** The values two numbers make, larger first. */
function results(a: Item, b: Item): { op: Operator; value: number; e: Expression; text: string }[] {
  const [x, y] = a.value >= b.value ? [a, b] : [b, a];
  const ops: Operator[] = ["+", "-"];
  if (x.value * y.value < TOO_BIG) ops.push("*");
  if (y.value > 1 && x.value % y.value === 0) ops.push("/");
  return ops.map((op) => {
    const e = node(op, x.e, y.e);
    const v = value(node(op, x.value, y.value));
    return { op, value: v, e, text: `${x.value}${op}${y.value}=${v}` };
  });
}

export interface Found {
  lines: string[];
  solution?: Expression;
}

/** Tries each of three numbers as the last one. Complete for sums, differences, products below 200 and whole quotients. */
export function tryThree(items: readonly Item[], t: number): Found {
  const lines: string[] = [`${items.map((i) => i.value).join(" ")}>${t}`];
  for (let i = 0; i < 3; i++) {
    const c = items[i];
    if (items.slice(0, i).some((d) => d.value === c.value)) continue;
    const [a, b] = items.filter((_, j) => j !== i);
    const wanted = needs(c, t);
    const tried: string[] = [];
    for (const r of results(a, b)) {
      tried.push(r.text);
      const fit = wanted.find((w) => w.n === r.value);
      if (fit) {
        lines.push(`${c.value}:${wanted.map((w) => w.n).join(",")};${tried.join(",")}`);
        return { lines, solution: fit.close(r.e) };
      }
    }
    lines.push(`${c.value}:${wanted.map((w) => w.n).join(",")};${tried.join(",")}`);
  }
  return { lines };
}

interface Branch extends Found {
  /** Sets one number aside: what it leaves for the others to make. */
  first: string;
  rank: number;
}

/**
 * The first moves with four numbers in the order in which they are tried, each followed to its end: dividing the target by a
 * number, then taking the difference, then the sum, then the product; within each the numbers in their order, equal ones once.
 * Three branches solve nine in ten of random targets, so that a search without any foresight ends soon.
 */
export function branches(items: readonly Item[], t: number): Branch[] {
  const out: Branch[] = [];
  const seen = new Set<string>();
  items.forEach((d, i) => {
    const rest = items.filter((_, j) => j !== i);
    const v = d.value;
    for (const w of needs(d, t)) {
      if (w.n < 1 || w.n >= TOO_BIG) continue;
      const [first, rank] =
        w.n === t / v && v > 1
          ? [`${t}/${v}=${w.n}`, 0]
          : w.n === Math.abs(t - v)
            ? [t >= v ? `${t}-${v}=${w.n}` : `${v}-${t}=${w.n}`, 1]
            : w.n === t + v
              ? [`${t}+${v}=${w.n}`, 2]
              : [`${t}*${v}=${w.n}`, 3];
      if (seen.has(first)) continue;
      seen.add(first);
      const below = tryThree(rest, w.n);
      out.push({ ...below, first, rank, solution: below.solution && w.close(below.solution) });
    }
  });
  return out.sort((a, b) => a.rank - b.rank);
}

/** The search among four numbers, dead ends included; undefined when more than `most` branches would be needed. */
export function searchFour(numbers: readonly number[], t: number, most: number): Found | undefined {
  const all = branches(numbers.map(item), t).slice(0, most);
  const good = all.findIndex((b) => b.solution !== undefined);
  if (good < 0) return undefined;
  const lines = [`${numbers.join(" ")}>${t}`];
  for (const dead of all.slice(0, good)) lines.push(dead.first, ...dead.lines, "x");
  const { first, lines: rest, solution } = all[good];
  lines.push(first, ...rest);
  return { lines, solution };
}
