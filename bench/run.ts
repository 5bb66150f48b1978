// npm run bench -- SUITE… [--json] [--only CASE] [--rounds N] [--keep FOLDER] [--large] [--profile]: runs bench/suites/SUITE.ts and prints a table, or one JSON line per figure. A figure that falls
// short of its need is marked; that is a finding, not a failure: the exit code tells only whether the suites ran.
import { globSync } from "node:fs";
import { basename } from "node:path";
import { parseArgs } from "node:util";
import type { Figure, Suite, SuiteOptions } from "./figure.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: "boolean", default: false },
    only: { type: "string" },
    rounds: { type: "string" },
    keep: { type: "string" },
    large: { type: "boolean" },
    profile: { type: "boolean" },
  },
});
const known = globSync("suites/*.ts", { cwd: import.meta.dirname })
  .map((file) => basename(file, ".ts"))
  .sort();
const options: SuiteOptions = { ...values, rounds: values.rounds === undefined ? undefined : Number(values.rounds) };
const wrong = positionals.filter((name) => !known.includes(name));
if (positionals.length === 0 || wrong.length > 0) {
  if (wrong.length > 0) console.error(`bench: no suite ${wrong.join(", ")}`);
  console.error(
    `usage: npm run bench -- SUITE… [--json] [--only CASE] [--rounds N] [--profile]; suites: ${known.join(", ") || "none yet"}`,
  );
  process.exit(2);
}

const short = (value: number | undefined): string =>
  value === undefined ? "" : Math.abs(value) >= 1000 ? value.toFixed(0) : value.toPrecision(3);
const row = (cells: string[]): string =>
  [
    cells[0].padEnd(52),
    ...cells.slice(1, 3).map((cell) => cell.padStart(9)),
    cells[3].padEnd(26),
    ...cells.slice(4).map((cell) => cell.padStart(8)),
  ].join(" ");

/** Ratio and verdict where the suite left them to us. */
export function complete(figure: Figure): Figure {
  const ratio = figure.ratio ?? (figure.peerValue === undefined ? undefined : figure.value / figure.peerValue);
  const met = ratio === undefined || figure.need === undefined ? figure.met : ratio >= figure.need;
  return { ...figure, ratio, met };
}

for (const name of positionals) {
  const { default: suite } = (await import(`./suites/${name}.ts`)) as { default: Suite };
  if (!values.json) console.log(`${row([name, "value", "beside", "", "ratio", "need", ""])}`);
  await suite((figure) => {
    const full = complete(figure);
    if (values.json) console.log(JSON.stringify(full));
    else {
      const verdict = full.met === undefined ? "" : full.met ? "met" : "SHORT";
      const peer = full.peer ? ` ${full.peer}` : "";
      console.log(
        row([
          full.name,
          short(full.value),
          short(full.peerValue),
          `${full.unit}${peer}`,
          short(full.ratio),
          short(full.need),
          verdict,
        ]),
      );
    }
  }, options);
}
process.exit(0); // a peer may leave threads behind
