// `weir runs`: lists training runs and draws their curves.
import { parseArgs } from "node:util";
import { writeTextAtomically } from "../../checkpoint/atomic.ts";
import { curve, findRuns, sparkline, svgOf } from "../../train/metrics.ts";
import { reportOf } from "../../train/report.ts";
import { type Command, UsageError } from "../command.ts";

const command: Command = {
  summary: "list training runs, draw and compare their curves / 列出训练、绘制并比较曲线",
  usage: `Usage: weir runs [FOLDER…] [--metric NAME] [--svg FILE] [--html FILE]

Lists the runs under each FOLDER (default: runs) with steps done, the last value and the curve of one metric.

  --metric NAME   a field of metrics.jsonl: loss, reward, entropy, parts.exact … (default: reward in grpo, else loss)
  --svg FILE      write all curves into one figure
  --html FILE     write a page with every metric, the settings that differ, sample outputs and alarms`,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { metric: { type: "string" }, svg: { type: "string" }, html: { type: "string" } },
    });
    const runs = (positionals.length > 0 ? positionals : ["runs"]).flatMap(findRuns);
    if (runs.length === 0) throw new UsageError("no run there: a run is a directory that weir train has written");
    const drawn = runs.map((run) => {
      const metric = values.metric ?? (run.method === "grpo" ? "reward" : "loss");
      return { ...run, metric, points: curve(run.lines, metric) };
    });
    for (const { name, method, steps, lines, metric, points } of drawn) {
      const last = points.at(-1)?.[1];
      const value = last === undefined ? "no values" : `${metric} ${last.toPrecision(4)}`;
      const progress = `${lines.at(-1)?.step ?? 0}/${steps}`.padStart(11);
      console.log(`${name.padEnd(24)} ${method.padEnd(9)} ${progress}  ${value.padEnd(18)} ${sparkline(points, 40)}`);
    }
    if (values.svg !== undefined) writeTextAtomically(values.svg, svgOf(values.metric ?? drawn[0].metric, drawn));
    if (values.html !== undefined) writeTextAtomically(values.html, reportOf(runs));
    return 0;
  },
};
export default command;
