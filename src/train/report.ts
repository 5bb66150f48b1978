// Runs as one HTML page that needs nothing else: a table, a figure per metric, where the settings differ, what the models said.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { curve, type RunRecord, svgOf } from "./metrics.ts";

const escapeHtml = (text: string): string =>
  text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]!);

/** Metrics drawn where at least two values are there, in this order; `parts.*` stands for every reward. */
const METRICS = [
  "loss",
  "crossEntropy",
  "reward",
  "parts.*",
  "gradNorm",
  "lr",
  "entropy",
  "kl",
  "ratioDeviation",
  "clipShare",
  "zeroVariance",
  "meanLength",
  "truncated",
  "tokensPerSecond",
];

/** Settings as `a.b` → value, for comparing. */
function flat(value: unknown, at = ""): [string, string][] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [[at, JSON.stringify(value) ?? ""]];
  return Object.entries(value).flatMap(([key, inner]) => flat(inner, at === "" ? key : `${at}.${key}`));
}

function linesOf(path: string): Record<string, unknown>[] {
  if (!existsSync(path)) return [];
  return readFileSync(path, "utf8")
    .split("\n")
    .flatMap((line) => {
      try {
        return [JSON.parse(line) as Record<string, unknown>];
      } catch {
        // The last line of a killed run may be half a line.
        return [];
      }
    });
}

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  `<table><tr>${head.map((cell) => `<th>${escapeHtml(cell)}</th>`).join("")}</tr>${rows
    .map((row) => `<tr>${row.map((cell) => `<td>${escapeHtml(cell)}</td>`).join("")}</tr>`)
    .join("")}</table>`;

/** Speed as a metric of its own, whatever kind of step a line is of. */
function withSpeed(lines: RunRecord["lines"]): RunRecord["lines"] {
  return lines.map((line) => {
    const seconds =
      typeof line.seconds === "number"
        ? line.seconds
        : Object.values((line.seconds ?? {}) as Record<string, number>).reduce((a, b) => a + b, 0);
    return seconds > 0 ? { ...line, tokensPerSecond: Number(line.tokens) / seconds } : line;
  });
}

/** The page for these runs. */
export function reportOf(runs: readonly RunRecord[]): string {
  const timed = runs.map((run) => ({ ...run, lines: withSpeed(run.lines) }));
  const rewards = [...new Set(runs.flatMap(({ lines }) => Object.keys((lines[0]?.parts ?? {}) as object)))];
  const metrics = METRICS.flatMap((name) => (name === "parts.*" ? rewards.map((reward) => `parts.${reward}`) : [name]));
  const figures = metrics.flatMap((metric) => {
    const drawn = timed
      .map(({ name, lines }) => ({ name, points: curve(lines, metric) }))
      .filter(({ points }) => points.length > 1);
    return drawn.length > 0 ? [svgOf(metric, drawn)] : [];
  });
  const settings = runs.map(
    ({ directory }) => new Map(flat(JSON.parse(readFileSync(join(directory, "settings.json"), "utf8")))),
  );
  const differing = [...new Set(settings.flatMap((of) => [...of.keys()]))].filter(
    (key) => runs.length === 1 || new Set(settings.map((of) => of.get(key))).size > 1,
  );
  const samples = runs.flatMap(({ name, directory }) =>
    linesOf(join(directory, "samples.jsonl"))
      .slice(-4)
      .map(({ step, prompt, text }) => [name, String(step), String(prompt), String(text)]),
  );
  const failures = runs.flatMap(({ name, directory }) =>
    linesOf(join(directory, "metrics.jsonl")).flatMap(({ step, failure, alarms }) =>
      [failure, ...(Array.isArray(alarms) ? alarms : [])]
        .filter((text) => typeof text === "string")
        .map((text) => [name, String(step), text as string]),
    ),
  );
  const last = (run: RunRecord, metric: string): string => curve(run.lines, metric).at(-1)?.[1].toPrecision(5) ?? "";
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Weir runs</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 78rem; padding: 0 1rem; color: #1a1a1a; background: #fff }
table { border-collapse: collapse; margin: 1rem 0 } th, td { text-align: left; padding: .2rem .8rem; border-bottom: 1px solid #ddd; vertical-align: top }
td { white-space: pre-wrap; overflow-wrap: anywhere } .figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(30rem, 1fr)); gap: 1rem }
svg { width: 100%; height: auto; border: 1px solid #eee }
</style>
<h1>Training runs</h1>
${table(
  ["run", "method", "steps", "loss", "reward"],
  runs.map((run) => [
    run.name,
    run.method,
    `${run.lines.at(-1)?.step ?? 0}/${run.steps}`,
    last(run, "loss"),
    last(run, "reward"),
  ]),
)}
<div class="figures">
${figures.join("\n")}
</div>
<h2>${runs.length === 1 ? "Settings" : "Settings that differ"}</h2>
${table(
  ["setting", ...runs.map(({ name }) => name)],
  differing.map((key) => [key, ...settings.map((of) => of.get(key) ?? "")]),
)}
${samples.length > 0 ? `<h2>Last sample outputs</h2>${table(["run", "step", "prompt", "output"], samples)}` : ""}
${failures.length > 0 ? `<h2>Alarms</h2>${table(["run", "step", "alarm"], failures.slice(-100))}` : ""}
</html>
`;
}
