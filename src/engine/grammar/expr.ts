// What every kind of grammar is turned into: expressions over bytes and control tokens, with rules for recursion. automaton.ts
// runs them; nothing here knows JSON or a vocabulary.
import { EngineError } from "../types.ts";

/** A named part that may refer to itself. */
export interface Rule {
  name: string;
  body: Expr | undefined;
}

export type Expr =
  /** One byte of a set of 256 flags. */
  | { t: "bytes"; set: Uint8Array }
  /** One control token. */
  | { t: "token"; id: number }
  | { t: "seq"; items: Expr[] }
  | { t: "alt"; items: Expr[] }
  | { t: "repeat"; item: Expr; min: number; max: number }
  | { t: "rule"; rule: Rule };

/** Code points from..to, both included. */
export type Range = [from: number, to: number];

export const EMPTY: Expr = { t: "seq", items: [] };
/** Matches nothing at all. */
export const NEVER: Expr = { t: "alt", items: [] };
export const LAST_POINT = 0x10ffff;

export const seq = (...items: Expr[]): Expr => (items.length === 1 ? items[0] : { t: "seq", items });
export const alt = (...items: Expr[]): Expr => (items.length === 1 ? items[0] : { t: "alt", items });
export const optional = (item: Expr): Expr => alt(EMPTY, item);
export const rule = (name: string, body?: Expr): Expr & { t: "rule" } => ({ t: "rule", rule: { name, body } });
export function repeat(item: Expr, min: number, max = Number.POSITIVE_INFINITY): Expr {
  if (min > max) return NEVER;
  // Copies of a large item are calls of one rule.
  const one = item.t === "bytes" || item.t === "token" || item.t === "rule" ? item : rule("repeated", item);
  return { t: "repeat", item: one, min, max };
}

export function byteRange(from: number, to: number): Expr {
  const set = new Uint8Array(256);
  set.fill(1, from, to + 1);
  return { t: "bytes", set };
}

export const literal = (text: string): Expr =>
  seq(...Array.from(new TextEncoder().encode(text), (byte) => byteRange(byte, byte)));

/** One of the characters, which are ASCII. */
export function oneOf(characters: string): Expr {
  const set = new Uint8Array(256);
  for (const character of characters) set[character.charCodeAt(0)] = 1;
  return { t: "bytes", set };
}

export function refuse(message: string, field = "grammar"): never {
  throw new EngineError("unsatisfiable_grammar", `${field}: ${message}`, field);
}

/** Sorted, disjoint ranges of the same points, surrogates left out: they are no characters. */
export function normalRanges(ranges: readonly Range[]): Range[] {
  const out: Range[] = [];
  for (const [from, to] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const last = out.at(-1);
    if (last && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else out.push([from, to]);
  }
  return out.flatMap(([from, to]): Range[] => {
    if (to < 0xd800 || from > 0xdfff) return [[from, to]];
    const parts: Range[] = [];
    if (from < 0xd800) parts.push([from, 0xd7ff]);
    if (to > 0xdfff) parts.push([0xe000, to]);
    return parts;
  });
}

export function complement(ranges: readonly Range[]): Range[] {
  const out: Range[] = [];
  let at = 0;
  for (const [from, to] of normalRanges([...ranges])) {
    if (from > at) out.push([at, from - 1]);
    at = Math.max(at, to + 1);
  }
  if (at <= LAST_POINT) out.push([at, LAST_POINT]);
  return normalRanges(out);
}

const LENGTHS: Range[] = [
  [0, 0x7f],
  [0x80, 0x7ff],
  [0x800, 0xffff],
  [0x10000, LAST_POINT],
];

/** One character of the ranges in UTF-8 (RFC 3629): no overlong forms, no surrogates. */
export function characters(ranges: readonly Range[]): Expr {
  const out: Expr[] = [];
  const ascii = new Uint8Array(256);
  for (const [from, to] of normalRanges(ranges)) {
    LENGTHS.forEach(([first, last], tail) => {
      const low = Math.max(from, first);
      const high = Math.min(to, last);
      if (low > high) return;
      if (tail === 0) ascii.fill(1, low, high + 1);
      else split(low, high, tail, out);
    });
  }
  if (ascii.includes(1)) out.push({ t: "bytes", set: ascii });
  return alt(...out);
}

/** Cuts a range of points of equal encoded length into ranges whose bytes vary independently. */
function split(low: number, high: number, tail: number, out: Expr[]): void {
  for (let n = 1; n <= tail; n++) {
    const block = (1 << (6 * n)) - 1;
    if ((low & ~block) === (high & ~block)) continue;
    if ((low & block) !== 0) {
      split(low, low | block, tail, out);
      split((low | block) + 1, high, tail, out);
      return;
    }
    if ((high & block) !== block) {
      split(low, (high & ~block) - 1, tail, out);
      split(high & ~block, high, tail, out);
      return;
    }
  }
  const a = new TextEncoder().encode(String.fromCodePoint(low));
  const b = new TextEncoder().encode(String.fromCodePoint(high));
  out.push(seq(...Array.from(a, (byte, i) => byteRange(byte, b[i]))));
}
