// How much better some runs are than others on the same problems, with paired 95 % intervals: over problems, and over seeds.
import { join } from "node:path";
import type { Evaluation } from "./evaluate.ts";
import { type RecipeRecord, readRecord, STAGES } from "./record.ts";

export interface Difference {
  what: string;
  /** Mean of the first runs and of the second ones, between 0 and 1. */
  means: [number, number];
  difference: number;
  /** 95 %, over problems: each problem's differences averaged over the seeds are one observation. */
  overProblems: [number, number];
  /** 95 %, over seeds (Student's t); undefined for one seed. */
  overSeeds?: [number, number];
  /** By seed. */
  bySeed: number[];
  problems: number;
}

/** Two-sided 97.5 % quantiles of Student's t by degrees of freedom (any statistics table). */
const STUDENT = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262];

function interval(values: readonly number[], quantile: number): [number, number] {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const variance = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / Math.max(1, values.length - 1);
  const half = quantile * Math.sqrt(variance / values.length);
  return [mean - half, mean + half];
}

/**
 * `a[seed][problem]` against `b`, values between 0 and 1. Problems that are the same for all seeds are averaged over them, others are
 * observations of their own. Throws RangeError where they are not about the same problems.
 */
export function pairedDifference(
  what: string,
  a: readonly number[][],
  b: readonly number[][],
  sameForAllSeeds = true,
): Difference {
  if (a.length === 0 || a.length !== b.length)
    throw new RangeError(`${what}: ${a.length} runs cannot be paired with ${b.length}`);
  const differences = a.map((values, seed) => {
    if (values.length !== b[seed].length || values.length === 0)
      throw new RangeError(`${what}: ${values.length} problems cannot be paired with ${b[seed].length}`);
    return values.map((value, i) => value - b[seed][i]);
  });
  const mean = (values: readonly number[]): number => values.reduce((x, y) => x + y, 0) / values.length;
  const bySeed = differences.map(mean);
  const perProblem = sameForAllSeeds
    ? differences[0].map((_, i) => mean(differences.map((values) => values[i])))
    : differences.flat();
  const difference = mean(bySeed);
  return {
    what,
    means: [mean(a.map(mean)), mean(b.map(mean))],
    difference,
    overProblems: interval(perProblem, 1.959964),
    ...(bySeed.length > 1
      ? { overSeeds: interval(bySeed, STUDENT[Math.min(bySeed.length - 2, STUDENT.length - 1)]) }
      : {}),
    bySeed,
    problems: perProblem.length,
  };
}

const digits = (text: string): number[] => [...text].map(Number);

/**
 * The evaluations to compare: those after reinforcement, where one run is another's control and begins with its cold start; else those
 * of the last stage.
 */
function evaluations(a: RecipeRecord, b: RecipeRecord): [Evaluation, Evaluation] {
  const of = (record: RecipeRecord, other: RecipeRecord): Evaluation => {
    const last = STAGES.filter((stage) => record.evaluations[stage]).pop();
    const stage = !record.from && other.from ? "reasoning-rl" : last;
    const evaluation = stage && record.evaluations[stage];
    if (!evaluation) throw new Error("a run to compare has not been evaluated at that stage yet; let it finish");
    return evaluation;
  };
  return [of(a, b), of(b, a)];
}

/** Compares run directories pair by pair: `a[i]` with `b[i]`. Throws Error where they cannot be. */
export function compareRuns(a: readonly string[], b: readonly string[]): Difference[] {
  const read = (directory: string): RecipeRecord => {
    const record = readRecord(directory);
    if (!record) throw new Error(`${join(directory, "record.json")} is missing: no run of the recipe`);
    return record;
  };
  if (a.length !== b.length) throw new Error(`${a.length} runs cannot be paired with ${b.length}`);
  const pairs = a.map((directory, i) => [read(directory), read(b[i])] as const);
  const found = pairs.map(([x, y]) => evaluations(x, y));
  const sets = Object.keys(found[0][0].sets).filter((set) => found.every(([x, y]) => set in x.sets && set in y.sets));
  const differences = sets.map((set) => {
    for (const [x, y] of found)
      if (x.sets[set].fingerprint !== y.sets[set].fingerprint)
        throw new Error(`${set}: the runs were asked different problems; evaluate them with the same --problems`);
    return pairedDifference(
      set,
      found.map(([x]) => digits(x.sets[set].right)),
      found.map(([, y]) => digits(y.sets[set].right)),
    );
  });
  if (pairs.every(([x, y]) => x.passAtK.after && y.passAtK.after && (x.from || y.from))) {
    const passes = (record: RecipeRecord): number[] => {
      const { right, samples } = record.passAtK.after!;
      return right.map((count) => count / samples);
    };
    differences.push(
      pairedDifference(
        "reinforced kinds, pass@1",
        pairs.map(([x]) => passes(x)),
        pairs.map(([, y]) => passes(y)),
        false,
      ),
    );
  }
  return differences;
}

const points = (share: number): string => `${share < 0 ? "−" : "+"}${Math.abs(share * 100).toFixed(1)}`;

/** The differences as a Markdown table, in percentage points. */
export function comparisonText(differences: readonly Difference[]): string {
  const range = (of: readonly [number, number] | undefined): string =>
    of ? `${points(of[0])} … ${points(of[1])}` : "";
  const rows = differences.map(
    ({ what, means, difference, overProblems, overSeeds, bySeed }) =>
      `| ${what} | ${means.map((mean) => `${(mean * 100).toFixed(1)} %`).join(" | ")} | ${points(difference)} | ${range(overProblems)} | ${range(overSeeds)} | ${bySeed.map(points).join(", ")} |`,
  );
  return [
    "| problems | first | second | difference (points) | 95 % over problems | 95 % over seeds | by seed |",
    "|---|---|---|---|---|---|---|",
    ...rows,
  ].join("\n");
}
