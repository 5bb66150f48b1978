// The report of a run, from its record alone: tables and figures in Markdown, English and plain. It measures nothing.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { SKILL_CLASSES } from "../tutor/problem.ts";
import type { Evaluation, Rate } from "./evaluate.ts";
import { barFigure, type Line, lineFigure } from "./figures.ts";
import { type RecipeRecord, STAGES, type Stage, writeAtomic } from "./record.ts";

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;

const withInterval = (k: number, n: number, [low, high]: readonly [number, number]): string =>
  `${percent(k / n)} (${(low * 100).toFixed(1)}–${(high * 100).toFixed(1)})`;

const rateText = ({ k, n, interval }: Rate): string => withInterval(k, n, interval);

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n");

const time = (seconds: number): string =>
  seconds < 90 ? `${seconds.toFixed(0)} s` : `${(seconds / 60).toFixed(1)} min`;

/** What the evaluation found for a class or skill, over one set. */
const tally = (evaluation: Evaluation, set: string, skillClass: string, name = skillClass) =>
  evaluation.sets[`${set}/${skillClass}`]?.tallies[name];

/** What each stage did and cost. */
export function stageTable(record: RecipeRecord): string {
  const rows = STAGES.flatMap((stage) => {
    const done = record.stages[stage];
    if (!done) return [];
    const { learnt, reinforced, sampled } = done;
    const work = [
      ...(sampled ? [`${sampled.answers} answers to ${sampled.problems} problems, ${sampled.kept} kept`] : []),
      ...(learnt ? [`${learnt.steps} updates, ${(learnt.tokens / 1e6).toFixed(2)} M tokens`] : []),
      ...(reinforced ? [`${reinforced.steps} steps, ${(reinforced.tokens / 1e6).toFixed(2)} M tokens sampled`] : []),
    ].join("; ");
    return [[stage, work, done.flops > 0 ? done.flops.toExponential(2) : "", time(done.seconds)]];
  });
  const all = STAGES.reduce((sum, stage) => sum + (record.stages[stage]?.seconds ?? 0), 0);
  const flops = STAGES.reduce((sum, stage) => sum + (record.stages[stage]?.flops ?? 0), 0);
  return table(["stage", "work", "FLOPs", "time"], [...rows, ["all", "", flops.toExponential(2), time(all)]]);
}

function accuracyTable(record: RecipeRecord, trained: readonly Stage[]): string {
  const rows = trained.map((stage) => {
    const evaluation = record.evaluations[stage]!;
    const cells = SKILL_CLASSES.map((skillClass) => {
      const t = tally(evaluation, "operands", skillClass);
      return t ? withInterval(t.correct, t.n, t.interval) : "";
    });
    return [stage, ...cells, rateText(evaluation.formatOk)];
  });
  return table(["after", ...SKILL_CLASSES.map((c) => (c === "manners" ? c : `class ${c}`)), "format kept"], rows);
}

/** Right answers by class and by skill over both test sets. */
export function finalTables(evaluation: Evaluation): string {
  const cell = (set: string, skillClass: string, name: string): string => {
    const t = tally(evaluation, set, skillClass, name);
    return t ? withInterval(t.correct, t.n, t.interval) : "";
  };
  const classes = SKILL_CLASSES.map((c) => [
    c === "manners" ? c : `class ${c}`,
    cell("operands", c, c),
    cell("phrasing", c, c),
  ]);
  const skills = SKILL_CLASSES.flatMap((c) =>
    Object.keys(evaluation.sets[`operands/${c}`]?.tallies ?? {})
      .filter((name) => name.includes("/"))
      .map((name) => [c, name.slice(c.length + 1), cell("operands", c, name), cell("phrasing", c, name)]),
  );
  return [
    table(["class", "unseen operands", "unseen wordings"], classes),
    `Format kept ${rateText(evaluation.formatOk)}, language matched ${rateText(evaluation.languageOk)}, thinking and answer agree ${rateText(evaluation.answerAgrees)}.`,
    table(["class", "skill", "unseen operands", "unseen wordings"], skills),
  ].join("\n\n");
}

const smooth = (values: readonly number[], window: number): number[] =>
  values.map((_, i) => {
    const part = values.slice(Math.max(0, i - window + 1), i + 1);
    return part.reduce((a, b) => a + b, 0) / part.length;
  });

/** File name and content of every figure that the record has the numbers for, and what to say about it. */
function figures(record: RecipeRecord, trained: readonly Stage[]): { file: string; svg: string; text: string }[] {
  const out: { file: string; svg: string; text: string }[] = [];
  const losses = trained.flatMap((stage): Line[] => {
    const { learnt } = record.stages[stage] ?? {};
    if (!learnt) return [];
    const values = smooth(
      learnt.curve.map(({ loss }) => loss),
      8,
    );
    const last = Math.max(...learnt.curve.map(({ step }) => step), 1);
    return [{ name: stage, points: learnt.curve.map(({ step }, i) => [step / last, values[i]]) }];
  });
  if (losses.length > 0)
    out.push({
      file: "loss.svg",
      svg: lineFigure("Loss of the supervised stages (nats per weighted token)", "share of the stage", losses),
      text: "Pretraining also predicts questions (at a tenth of the weight), which nobody can foresee; the later stages learn answers only, hence their lower floor.",
    });
  out.push({
    file: "accuracy.svg",
    svg: barFigure(
      "Right answers to unseen operands after each stage",
      SKILL_CLASSES,
      trained.map((stage) => ({
        name: stage,
        bars: SKILL_CLASSES.map((c) => {
          const t = tally(record.evaluations[stage]!, "operands", c);
          return t && { value: t.correct / t.n, interval: t.interval };
        }),
      })),
    ),
    text: "Black lines are 95 % intervals (Wilson).",
  });
  for (const stage of ["reasoning-rl", "scenario-rl"] as const) {
    const curve = record.stages[stage]?.reinforced?.curve;
    if (!curve || curve.length === 0) continue;
    const parts = Object.keys(curve[0].parts);
    out.push({
      file: `${stage}-reward.svg`,
      svg: lineFigure(
        `Rewards during ${stage}`,
        "step",
        parts.map((part) => ({ name: part, points: curve.map((point) => [point.step, point.parts[part]]) })),
        { percent: true },
      ),
      text: "Mean over everything sampled in a step.",
    });
    out.push({
      file: `${stage}-length.svg`,
      svg: lineFigure(`Tokens per answer during ${stage}`, "step", [
        { name: "length", points: curve.map(({ step, length }) => [step, length]) },
      ]),
      text: "Mean over completions.",
    });
    out.push({
      file: `${stage}-entropy.svg`,
      svg: lineFigure(`Entropy during ${stage} (nats per token)`, "step", [
        { name: "entropy", points: curve.map(({ step, entropy }) => [step, entropy]) },
      ]),
      text: "Mean of −log π over the sampled tokens: how undecided the model is.",
    });
  }
  const { before, after } = record.passAtK;
  if (before && after)
    out.push({
      file: "pass-at-k.svg",
      svg: lineFigure(
        "At least one of k samples right, before and after reasoning RL",
        "log2 k",
        [before, after].map(({ passAt }, i) => ({
          name: i === 0 ? "before" : "after",
          points: Object.entries(passAt).map(([k, value]) => [Math.log2(Number(k)), value]),
        })),
        { percent: true },
      ),
      text: `On ${before.problems} held-out problems of the kinds that were reinforced, temperature 1. A curve that rises on the left and not on the right says that the model became surer of what it could already find.`,
    });
  return out;
}

function loadText(record: RecipeRecord): string {
  const load = record.stages.pretrain?.learnt?.load ?? {};
  const rows = Object.entries(load).map(([layer, counts]) => {
    const mean = counts.reduce((a, b) => a + b, 0) / counts.length;
    return [layer, ...[Math.min(...counts), Math.max(...counts)].map((n) => (n / mean).toFixed(2))];
  });
  return rows.length === 0
    ? "This model has no experts."
    : `Tokens of the least and the most used expert over the mean, by layer, over pretraining:\n\n${table(["layer", "least", "most"], rows)}`;
}

function samplesText(evaluation: Evaluation): string {
  return evaluation.samples
    .slice(0, 10)
    .map(({ skill, question, text, correct }) => {
      const fenced = `${question}\n\n${text}`.replaceAll("```", "'''");
      return `${skill}, ${correct ? "right" : "wrong"}:\n\n\`\`\`\n${fenced}\n\`\`\``;
    })
    .join("\n\n");
}

function reinforcementText(record: RecipeRecord): string {
  const { reach, passAtK } = record;
  const lines: string[] = [];
  if (reach)
    lines.push(
      `Pass rates of ${Object.keys(reach.rates).length} kinds of tasks were measured after the cold start; ${reach.kinds.length} were taken: ${reach.kinds
        .map((kind) => `${kind.skill} ${kind.level} (${percent(reach.rates[`${kind.skill}@${kind.level}`] ?? 0)})`)
        .join(", ")}.`,
    );
  if (passAtK.before && passAtK.after)
    lines.push(
      table(
        ["pass@k", ...Object.keys(passAtK.before.passAt)],
        [
          ["before", ...Object.values(passAtK.before.passAt).map(percent)],
          ["after", ...Object.values(passAtK.after.passAt).map(percent)],
        ],
      ),
    );
  for (const stage of ["reasoning-rl", "scenario-rl"] as const) {
    const alarms = Object.entries(record.stages[stage]?.reinforced?.alarms ?? {});
    for (const [text, count] of alarms) lines.push(`Alarm in ${stage}, ${count} times: ${text}.`);
  }
  return lines.join("\n\n");
}

/** Writes report.md and figures/ into the run directory. Throws Error where nothing has been trained yet. */
export function writeReport(directory: string, record: RecipeRecord): void {
  const trained = STAGES.filter((stage) => stage !== "evaluate" && record.evaluations[stage]);
  if (trained.length === 0) throw new Error(`${directory} has no evaluated stage to report on`);
  mkdirSync(join(directory, "figures"), { recursive: true });
  const drawn = figures(record, trained);
  for (const { file, svg } of drawn) writeAtomic(join(directory, "figures", file), svg);
  const final = record.evaluations.evaluate;
  const { parameters } = record;
  const parts = [
    `# Run of the R1 recipe: preset ${record.preset}, seed ${record.seed}${record.control ? `, control ${record.control}` : ""}`,
    `${(parameters.total / 1e6).toFixed(2)} million parameters, ${(parameters.active / 1e6).toFixed(2)} million at work per token. ${record.machine}.`,
    "## What was done",
    stageTable(record),
    "Time is that of the machine as it was, whatever else ran on it. FLOPs count two per active weight and token forward, three times that with the way back, and attention by its real lengths; measuring pass rates and sampling for rejection are in, evaluation and pass@k are not.",
    "## Accuracy after each stage",
    accuracyTable(record, trained),
    ...drawn.flatMap(({ file, text }) => [`![${file}](figures/${file})`, text]),
    "## Reinforcement",
    reinforcementText(record),
    "## Experts",
    loadText(record),
    ...(final ? ["## The finished model", finalTables(final)] : []),
    "## Sample answers",
    samplesText(final ?? record.evaluations[trained[trained.length - 1]]!),
  ];
  writeAtomic(join(directory, "report.md"), `${parts.filter((part) => part !== "").join("\n\n")}\n`);
}
