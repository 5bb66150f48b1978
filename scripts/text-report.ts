// The report of scripts/text-run.ts: what the runs in DIR came to, with 95 % intervals over seeds, as Markdown and a figure beside it.
//   node scripts/text-report.ts DIR REPORT.md
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { svgOf } from "../src/train/metrics.ts";
import { meanInterval } from "../src/train/statistics.ts";

interface Head {
  arm: string;
  seed: number;
  threads: number;
  steps: number;
  parameters: number;
  flopsPerToken: number;
  device: string;
}
interface Line {
  step: number;
  tokens: number;
  loss: number;
  bitsPerByte?: number;
}
interface Final {
  tokens: number;
  seconds: number;
  bitsPerByte: number;
  bySource: Record<string, number>;
  expertLoad: [number, number][];
}
interface Run {
  head: Head;
  lines: Line[];
  final: Final;
}

const [directory, report] = process.argv.slice(2);
if (report === undefined) throw new Error("give the directory of the runs and the report to write");
const runs = readdirSync(directory)
  .filter((name) => /^(moe|dense)-\d+\.jsonl$/.test(name))
  .map((name): Run => {
    const lines = readFileSync(join(directory, name), "utf8").trim().split("\n");
    const [head, ...rest] = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    const final = rest.at(-1);
    if (!final?.final) throw new Error(`${name} has not run to its end`);
    return {
      head: head as unknown as Head,
      lines: rest.slice(0, -1) as unknown as Line[],
      final: final as unknown as Final,
    };
  });
const arms = ["moe", "dense"] as const;
const of = (arm: string): Run[] =>
  runs.filter(({ head }) => head.arm === arm).sort((a, b) => a.head.seed - b.head.seed);
const seeds = of("moe").map(({ head }) => head.seed);
if (
  seeds.length < 2 ||
  of("dense")
    .map(({ head }) => head.seed)
    .join() !== seeds.join()
)
  throw new Error("an interval needs both arms with the same seeds, at least two");

const work = arms.map((arm) => of(arm)[0].head.flopsPerToken);
if (Math.abs(work[0] / work[1] - 1) > 0.02)
  throw new Error(`the arms take ${work.join(" and ")} operations per token: a comparison of them says nothing`);

const figure = (values: readonly number[], digits = 4): string => {
  const [mean, half] = meanInterval(values);
  return `${mean.toFixed(digits)} ± ${half.toFixed(digits)}`;
};
const row = (...cells: (string | number)[]): string => `| ${cells.join(" | ")} |`;
const million = (n: number): string => (n / 1e6).toFixed(2);
/** moe − dense, seed by seed. */
const paired = (value: (run: Run) => number): number[] => of("moe").map((run, i) => value(run) - value(of("dense")[i]));

const one = of("moe")[0];
const points = one.lines.flatMap(({ bitsPerByte, step, tokens }) =>
  bitsPerByte === undefined ? [] : [{ step, tokens }],
);
const at =
  (step: number) =>
  (run: Run): number =>
    run.lines[step - 1].bitsPerByte!;
const difference = paired((run) => run.final.bitsPerByte);
const [mean, half] = meanInterval(difference);
const verdict =
  Math.abs(mean) <= half
    ? "The interval holds 0: this run does not tell the two apart."
    : `The ${mean < 0 ? "mixture" : "dense twin"} is better; the interval does not hold 0.`;
const sources = Object.keys(one.final.bySource);
const balance = of("moe").flatMap(({ final }) => final.expertLoad);

const text = [
  "# A mixture of experts and its dense twin on real text",
  "",
  `Python's documentation and Dive into Deep Learning in English and Chinese, the Rust book, the World Factbook and children's stories; ${million(one.final.tokens)} million training tokens, seeds ${seeds.join(", ")}. Both arms read the same documents in the same order with the same optimiser (Muon, WSD), untuned for either. The dense twin's MLPs are as wide as the experts that a token meets. Made by \`scripts/text-run.ts\` and \`scripts/text-report.ts\`; the figures after ± are half of Student's 95 % interval over the seeds, the difference is paired by seed.`,
  "",
  row("", "parameters, million", "MFLOP per token", "held-out bits per byte", "tokens/s", "threads, device"),
  row("---", "---", "---", "---", "---", "---"),
  ...arms.map((arm) => {
    const mine = of(arm);
    const [{ head }] = mine;
    return row(
      arm,
      million(head.parameters),
      million(head.flopsPerToken),
      figure(mine.map(({ final }) => final.bitsPerByte)),
      figure(
        mine.map(({ final }) => final.tokens / final.seconds),
        0,
      ),
      `${head.threads}, ${head.device}`,
    );
  }),
  "",
  `Difference (moe − dense): ${figure(difference)} bits per byte. ${verdict}`,
  "",
  "Tokens/s count forward, backward and update, all runs of a set at the same time on one machine.",
  "",
  `![Training loss](${basename(report).replace(/\.md$/, "")}.svg)`,
  "",
  "## Along the run",
  "",
  "Bits per byte over a fixed part of the held-out texts.",
  "",
  row("tokens, million", "moe", "dense", "moe − dense"),
  row("---", "---", "---", "---"),
  ...points.map(({ step, tokens }) =>
    row(million(tokens), figure(of("moe").map(at(step))), figure(of("dense").map(at(step))), figure(paired(at(step)))),
  ),
  "",
  "## By source",
  "",
  row("source", "moe", "dense", "moe − dense"),
  row("---", "---", "---", "---"),
  ...sources.map((source) => {
    const value = (run: Run): number => run.final.bySource[source];
    return row(source, figure(of("moe").map(value)), figure(of("dense").map(value)), figure(paired(value)));
  }),
  "",
  "## Expert load",
  "",
  `Over the second half of the runs, the least used expert of any layer and seed took ${Math.min(...balance.map(([low]) => low)).toFixed(2)} of the mean load, the most used ${Math.max(...balance.map(([, high]) => high)).toFixed(2)}.`,
  "",
].join("\n");

/** Mean loss over the arm's seeds, in at most 150 points. */
function lossCurve(arm: string): [number, number][] {
  const mine = of(arm);
  const steps = mine[0].lines.length;
  const width = Math.max(1, Math.ceil(steps / 150));
  return Array.from({ length: Math.floor(steps / width) }, (_, i) => {
    const slice = mine.flatMap(({ lines }) => lines.slice(i * width, (i + 1) * width));
    return [(i + 1) * width, slice.reduce((sum, { loss }) => sum + loss, 0) / slice.length];
  });
}
mkdirSync(dirname(report), { recursive: true });
writeFileSync(report, text);
writeFileSync(
  report.replace(/\.md$/, ".svg"),
  svgOf(
    "training loss, nats per token (mean of the seeds)",
    arms.map((name) => ({ name, points: lossCurve(name) })),
  ),
);
console.log(text);
