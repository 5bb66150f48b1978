// JSON numbers between bounds, as digits: a range of whole numbers is split by its leading digits.
import {
  alt,
  byteRange,
  EMPTY,
  type Expr,
  literal,
  NEVER,
  oneOf,
  optional,
  refuse,
  repeat,
  rule,
  seq,
} from "./expr.ts";

const DIGIT = byteRange(48, 57);
/** Digits before the point where no bound says otherwise: all such integers are exact, and a number must end. */
const DIGITS = 15;
const WHOLE = alt(literal("0"), seq(byteRange(49, 57), repeat(DIGIT, 0, DIGITS - 1)));
const MINUS = optional(literal("-"));
const MOST_DECIMALS = 20;

export const INTEGER: Expr = seq(MINUS, WHOLE);
export const NUMBER: Expr = seq(
  MINUS,
  WHOLE,
  optional(seq(literal("."), repeat(DIGIT, 1, DIGITS))),
  optional(seq(oneOf("eE"), optional(oneOf("+-")), repeat(DIGIT, 1, 2))),
);

export interface Bounds {
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  multipleOf?: number;
}

/** x · 10^places, rounded towards the inside of a range, and whether that was exact. x is read as its shortest decimal. */
function scaled(x: number, places: number, up: boolean): { value: bigint; exact: boolean } {
  const [, sign, whole, fraction = "", exponent = "0"] = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/.exec(String(x))!;
  const shift = Number(exponent) - fraction.length + places;
  let value = BigInt(sign + whole + fraction);
  if (shift >= 0) return { value: value * 10n ** BigInt(shift), exact: true };
  const unit = 10n ** BigInt(-shift);
  const rest = value % unit;
  value /= unit;
  if (rest !== 0n && up === rest > 0n) value += up ? 1n : -1n;
  return { value, exact: rest === 0n };
}

function decimals(x: number): number {
  const [, fraction = "", exponent = "0"] = /(?:\.(\d+))?(?:e([+-]?\d+))?$/.exec(String(x))!;
  return Math.max(0, fraction.length - Number(exponent));
}

/** Digit strings of equal length from `low` to `high`. */
function between(low: string, high: string, point: number): Expr {
  if (low === "") return EMPTY;
  const dot = low.length === point ? literal(".") : EMPTY;
  const [a, b] = [low.charCodeAt(0), high.charCodeAt(0)];
  const [lows, highs] = [low.slice(1), high.slice(1)];
  const least = "0".repeat(lows.length);
  const most = "9".repeat(lows.length);
  if (lows === least && highs === most) {
    const inside = point > 0 && point <= lows.length;
    const rest = inside
      ? seq(repeat(DIGIT, lows.length - point, lows.length - point), literal("."), repeat(DIGIT, point, point))
      : repeat(DIGIT, lows.length, lows.length);
    return seq(dot, byteRange(a, b), rest);
  }
  if (a === b) return seq(dot, byteRange(a, a), between(lows, highs, point));
  const out = [seq(byteRange(a, a), between(lows, most, point)), seq(byteRange(b, b), between(least, highs, point))];
  if (a + 1 < b) out.push(seq(byteRange(a + 1, b - 1), between(least, most, point)));
  return seq(dot, alt(...out));
}

/** Numbers low..high in units of 10^-places, neither below zero. */
function fromTo(low: bigint, high: bigint, places: number): Expr {
  const out: Expr[] = [];
  for (let length = places + 1; length <= Math.max(places + 1, String(high).length); length++) {
    const least = length === places + 1 ? 0n : 10n ** BigInt(length - 1);
    const most = 10n ** BigInt(length) - 1n;
    const from = low > least ? low : least;
    const to = high < most ? high : most;
    if (from > to) continue;
    out.push(between(String(from).padStart(length, "0"), String(to).padStart(length, "0"), places));
  }
  return alt(...out);
}

/** Numbers with exactly so many decimals inside the bounds. */
function fixed(bounds: Bounds, places: number): Expr {
  const [low, high] = limits(bounds, places);
  const parts: Expr[] = [];
  if (high >= 0n && high >= low) parts.push(fromTo(low > 0n ? low : 0n, high, places));
  if (low < 0n && high >= low) parts.push(seq(literal("-"), fromTo(high < 0n ? -high : 1n, -low, places)));
  return parts.length === 0 ? NEVER : alt(...parts);
}

/** Both bounds in units of 10^-places; an open side goes well past the other. */
function limits(bounds: Bounds, places: number): [bigint, bigint] {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum } = bounds;
  const tightest = (values: bigint[], low: boolean): bigint | undefined =>
    values.length === 0 ? undefined : values.reduce((a, b) => (a > b === low ? a : b));
  const lows: bigint[] = [];
  const highs: bigint[] = [];
  if (minimum !== undefined) lows.push(scaled(minimum, places, true).value);
  if (maximum !== undefined) highs.push(scaled(maximum, places, false).value);
  if (exclusiveMinimum !== undefined) {
    const { value, exact } = scaled(exclusiveMinimum, places, true);
    lows.push(exact ? value + 1n : value);
  }
  if (exclusiveMaximum !== undefined) {
    const { value, exact } = scaled(exclusiveMaximum, places, false);
    highs.push(exact ? value - 1n : value);
  }
  const reach = (value: bigint | undefined): bigint =>
    10n ** BigInt(Math.max(DIGITS + places, value === undefined ? 0 : String(value).replace("-", "").length)) - 1n;
  const low = tightest(lows, true);
  const high = tightest(highs, false);
  return [low ?? -reach(high), high ?? reach(low)];
}

const MOST_MULTIPLES = 5000;

/** Numbers, or only integers, inside the bounds. */
export function numbers(bounds: Bounds, integer: boolean, field: string): Expr {
  const { multipleOf, minimum, maximum, exclusiveMinimum, exclusiveMaximum } = bounds;
  const bounded = [minimum, maximum, exclusiveMinimum, exclusiveMaximum].some((bound) => bound !== undefined);
  if (multipleOf !== undefined && multipleOf !== 1) return multiples(bounds, multipleOf, field);
  if (integer || multipleOf === 1) return bounded ? fixed(bounds, 0) : INTEGER;
  if (!bounded) return NUMBER;
  const stated = [minimum, maximum, exclusiveMinimum, exclusiveMaximum].map((bound) =>
    bound === undefined ? 0 : decimals(bound),
  );
  const places = Math.min(MOST_DECIMALS, Math.max(2, ...stated) + 1);
  // Past the exact integers a last decimal could round over an exclusive bound.
  const large = [minimum, maximum, exclusiveMinimum, exclusiveMaximum].some((bound) => Math.abs(bound ?? 0) > 2 ** 40);
  if (large) return fixed(bounds, 0);
  return alt(...Array.from({ length: places + 1 }, (_, i) => fixed(bounds, i)));
}

function multiples(bounds: Bounds, unit: number, field: string): Expr {
  if (!(unit > 0)) refuse(`multipleOf is ${unit}; it must be greater than 0`, `${field}.multipleOf`);
  if (!Number.isInteger(unit)) refuse("multipleOf of fractions is not supported", `${field}.multipleOf`);
  const step = BigInt(unit);
  const ends = [bounds.minimum ?? bounds.exclusiveMinimum, bounds.maximum ?? bounds.exclusiveMaximum];
  if (ends.every((end) => end === undefined)) {
    // Any number of steps: the remainder of the digits read so far is the state.
    if (unit > 500) refuse("multipleOf above 500 needs minimum and maximum", `${field}.multipleOf`);
    return seq(MINUS, divisible(unit));
  }
  const [low, high] = limits(bounds, 0);
  const first = low >= 0n ? (low + step - 1n) / step : low / step;
  const last = high >= 0n ? high / step : (high - step + 1n) / step;
  if (last - first > MOST_MULTIPLES)
    refuse(`there are more than ${MOST_MULTIPLES} multiples between the bounds`, `${field}.multipleOf`);
  const out: Expr[] = [];
  for (let n = first; n <= last; n++) out.push(literal(String(n * step)));
  return alt(...out);
}

/** Digits, at most 15 so that the number is exact, whose number is divisible. */
function divisible(unit: number): Expr {
  const known = new Map<number, Expr>();
  const after = (remainder: number, left: number): Expr => {
    const key = left * unit + remainder;
    const found = known.get(key);
    if (found) return found;
    const made = rule(`remainder ${remainder}`);
    known.set(key, made);
    const next = Array.from({ length: left > 0 ? 10 : 0 }, (_, digit) =>
      seq(byteRange(48 + digit, 48 + digit), after((remainder * 10 + digit) % unit, left - 1)),
    );
    made.rule.body = alt(...(remainder === 0 ? [EMPTY] : []), ...next);
    return made;
  };
  const first = Array.from({ length: 9 }, (_, i) => seq(byteRange(49 + i, 49 + i), after((i + 1) % unit, DIGITS - 1)));
  return alt(literal("0"), ...first);
}
