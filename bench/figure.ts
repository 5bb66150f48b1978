// What a benchmark suite reports, and the timing that all suites share.

export interface Figure {
  suite: string;
  name: string;
  value: number;
  unit: string;
  /** What it is measured beside in the same run: another program or a limit of the machine. */
  peer?: string;
  peerValue?: number;
  /** value / peerValue, or its inverse where less is better: above 1 is always good. Filled in when absent and both values are there. */
  ratio?: number;
  /** The least ratio we ask for. */
  need?: number;
  /** Filled in from ratio and need. */
  met?: boolean;
}

export type Report = (figure: Figure) => void;

/** What the command line asks of suites that have such choices; others ignore it. */
export interface SuiteOptions {
  /** Print where the time goes instead of figures, where the suite can. */
  profile?: boolean;
  /** One case alone. */
  only?: string;
  rounds?: number;
  /** Where models that were written stay for the next run. */
  keep?: string;
  /** Cases too large for every machine too. */
  large?: boolean;
}

/** A suite: bench/suites/NAME.ts exports one as its default. */
export type Suite = (report: Report, options: SuiteOptions) => Promise<void>;

/**
 * Seconds of one call: the fastest of several rounds of at least `milliseconds` each. Interleave peers by calling this for each in turn
 * and keep the better of the turns; the least time is what the machine can do, more is what disturbed it.
 */
export async function seconds(run: () => unknown, { milliseconds = 100, rounds = 5 } = {}): Promise<number> {
  await run();
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    let calls = 0;
    const begin = performance.now();
    let passed = 0;
    do {
      const pending = run();
      if (pending instanceof Promise) await pending;
      calls++;
      passed = performance.now() - begin;
    } while (passed < milliseconds);
    best = Math.min(best, passed / calls / 1000);
  }
  return best;
}

/** A peer's package, or undefined with the reason printed: a figure without its peer is reported without a ratio. */
export async function peer<T>(name: string): Promise<T | undefined> {
  try {
    return (await import(name)) as T;
  } catch (error) {
    console.error(`bench: ${name} is not available: ${(error as Error).message.split("\n")[0]}`);
    return undefined;
  }
}

/** The middle of the values (the upper one of two). */
export const median = (values: number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1];
