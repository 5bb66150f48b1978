// Integer expressions as trees: built by generators, printed in the scratchpad's notation, and worked out on a scratchpad
// one operation at a time (brackets first, then products, then sums, from the left). Exact values are rational.ts's affair.

import type { Scratch } from "./scratch.ts";

export type Operator = "+" | "-" | "*" | "/";
export interface Operation {
  op: Operator;
  left: Expression;
  right: Expression;
  bracket?: boolean;
}
export type Expression = number | Operation;

const rank = (op: Operator): number => (op === "+" || op === "-" ? 1 : 2);

export const node = (op: Operator, left: Expression, right: Expression): Expression => ({ op, left, right });

/** Marks brackets that the rules of precedence do not need, as nested exercises show them. */
export const bracketed = (e: Expression): Expression => (typeof e === "number" ? e : { ...e, bracket: true });

/** `12*(3+4)-(-5)`: brackets where needed or marked, around negative numbers except at the start. */
export function print(e: Expression, start = true): string {
  if (typeof e === "number") return e < 0 && !start ? `(${e})` : `${e}`;
  const side = (child: Expression, right: boolean): string => {
    if (typeof child === "number") return print(child, start && !right);
    const inner = rank(child.op);
    const mine = rank(e.op);
    const needed = child.bracket || inner < mine || (right && inner === mine && (e.op === "-" || e.op === "/"));
    return needed || (right && inner === mine) ? `(${print(child)})` : print(child, start && !right);
  };
  return side(e.left, false) + e.op + side(e.right, true);
}

export function value(e: Expression): number {
  if (typeof e === "number") return e;
  const a = value(e.left);
  const b = value(e.right);
  return e.op === "+" ? a + b : e.op === "-" ? a - b : e.op === "*" ? a * b : a / b;
}

/** How many operations an expression has. */
export const size = (e: Expression): number => (typeof e === "number" ? 0 : 1 + size(e.left) + size(e.right));

/** Does the operation between two integers on the scratchpad; a quotient must be whole. */
export function operate(s: Scratch, op: Operator, a: number, b: number): number {
  switch (op) {
    case "+":
      return s.add(a, b);
    case "-":
      return s.subtract(a, b);
    case "*":
      return s.multiply(a, b);
    default:
      return s.divideExactly(a, b);
  }
}

/**
 * Works the expression out. The scratchpad shows the expression, then per operation its procedure and the shorter
 * expression that is left (`=19*3-5`). A single operation on natural numbers shows itself and its procedure.
 */
export function workOut(s: Scratch, e: Expression): number {
  if (typeof e === "number") return e;
  const result = value(e);
  if (size(e) === 1 && result >= 0) {
    const { op, left, right } = e;
    if ((left as number) >= 0 && (right as number) >= 0) {
      const from = s.lines.length;
      operate(s, op, left as number, right as number);
      s.head(print(e), from);
      return result;
    }
  }
  s.say(print(e));
  let rest: Expression = e;
  while (typeof rest !== "number") {
    rest = reduceOnce(s, rest);
    s.say(`=${print(rest)}`);
  }
  return rest;
}

/** Does the operation that comes next on the scratchpad and returns what is left. */
function reduceOnce(s: Scratch, e: Expression): Expression {
  const next = nextOperation(e);
  return replace(e, next, operate(s, next.op, next.left as number, next.right as number));
}

/** The expression with the operation `part` (this very object) replaced by a value. */
export function replace(e: Expression, part: Expression, value: number): Expression {
  if (e === part) return value;
  if (typeof e === "number") return e;
  const left = replace(e.left, part, value);
  const right = left === e.left ? replace(e.right, part, value) : e.right;
  return left === e.left && right === e.right ? e : { ...e, left, right };
}

/** The next operation by the school's order: the first bracket that holds a plain operation, else products, else sums. */
export function nextOperation(e: Expression): Operation {
  let best = e as Operation;
  let bestScore = -1;
  const visit = (x: Expression, depth: number, parent: Operator | undefined, right: boolean): void => {
    if (typeof x === "number") return;
    let inside = depth;
    if (parent !== undefined) {
      const needed = x.bracket || rank(x.op) < rank(parent) || (right && rank(x.op) === rank(parent));
      if (needed) inside += 1;
    }
    if (typeof x.left === "number" && typeof x.right === "number") {
      const score = inside * 2 + rank(x.op) - 1;
      if (score > bestScore) {
        best = x;
        bestScore = score;
      }
    }
    visit(x.left, inside, x.op, false);
    visit(x.right, inside, x.op, true);
  };
  visit(e, 0, undefined, false);
  return best;
}
