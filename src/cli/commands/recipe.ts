// `weir recipe`: the named end-to-end recipes; so far r1.
import { parseArgs } from "node:util";
import { compareRuns, comparisonText } from "../../recipes/r1/compare.ts";
import { BUDGETS, type PresetName, SHAPES } from "../../recipes/r1/presets.ts";
import { Recipe, type RecipeReport } from "../../recipes/r1/recipe.ts";
import { CONTROLS, type Control, STAGES, type Stage } from "../../recipes/r1/record.ts";
import { type Command, UsageError } from "../command.ts";
import { Progress } from "../progress.ts";

const COUNTS = [
  "seed",
  "threads",
  "minutes",
  "pretrain-steps",
  "cold-steps",
  "rl-steps",
  "rejection-steps",
  "scenario-steps",
  "problems",
] as const;

/** What a line of progress says beside the share that is done. */
function detail({ learn, reinforce }: RecipeReport): string {
  if (learn) return `step ${learn.step + 1}, loss ${learn.loss.toFixed(4)}`;
  if (reinforce)
    return `step ${reinforce.step}, reward ${reinforce.reward.toFixed(3)}, right ${((reinforce.parts.accuracy ?? 0) * 100).toFixed(0)} %, ${reinforce.length.toFixed(0)} tokens, entropy ${reinforce.entropy.toFixed(3)}`;
  return "";
}

const command: Command = {
  summary: "run a training recipe (r1: the Step Tutor) / 运行训练配方（r1：步骤数学助教）",
  usage: `Usage: weir recipe r1 --out DIR [--preset ${Object.keys(SHAPES).join("|")}] [options]
       weir recipe compare RUN[,RUN…] WITH[,WITH…]

r1 makes the Step Tutor from nothing, in the four stages of DeepSeek-R1: data by seed, a digit-level tokenizer, pretraining, cold start,
reasoning RL, rejection sampling, all-scenario RL, evaluation after each, a model directory, a report. Killed, it goes on
where it was when the same command is given again. Stages: ${STAGES.filter((stage) => stage !== "more-sft").join(", ")}.

  --out DIR             run directory: tokenizer, states, record.json, model/, report.md
  --preset P            size (default s): ${Object.keys(SHAPES).join(", ")}
  --stage S             only this stage
  --again               run the given stage (without --stage: everything) anew although it is finished; what came after
                        it is forgotten
  --seed N              default 1
  --threads N           default: all processors
  --minutes N           bound on the whole run; stages get their shares of it
  --init STATE          start pretraining from the weights of this state (its tokenizer.json must lie beside it)
  --pretrain-steps N --cold-steps N --rl-steps N --rejection-steps N --scenario-steps N
                        instead of the preset's (s: ${BUDGETS.s.pretrain}, ${BUDGETS.s.coldStart}, ${BUDGETS.s.rl.steps}, ${BUDGETS.s.rejection.steps}, ${BUDGETS.s.scenario.steps})
  --problems N          test problems per class and set at the end, and per class after each stage
  --control C           ${CONTROLS.join(", ")}: what the run is to be compared with
  --from DIR            the run whose cold start a control of reinforcement learning begins with (all but dense)
  --teacher DIR         the run that teaches, for distill-sequences and distill-logits
  --tokenizer FILE      a tokenizer.json to use instead of training one (a student needs its teacher's)

compare says how much better the first runs are than the second ones, problem by problem, with 95 % intervals; give the same seeds in
the same order on both sides.`,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        out: { type: "string" },
        preset: { type: "string" },
        stage: { type: "string" },
        init: { type: "string" },
        control: { type: "string" },
        from: { type: "string" },
        teacher: { type: "string" },
        tokenizer: { type: "string" },
        again: { type: "boolean", default: false },
        ...Object.fromEntries(COUNTS.map((name) => [name, { type: "string" as const }])),
      },
    });
    if (positionals[0] === "compare") {
      if (positionals.length !== 3) throw new UsageError("weir recipe compare RUN[,RUN…] WITH[,WITH…]");
      console.log(comparisonText(compareRuns(positionals[1].split(","), positionals[2].split(","))));
      return 0;
    }
    if (positionals[0] !== "r1" || positionals.length > 1)
      throw new UsageError("the recipe is r1: weir recipe r1 --out DIR");
    if (!values.out) throw new UsageError("--out DIR is missing");
    const oneOf = <T extends string>(name: string, text: unknown, among: readonly T[]): T | undefined => {
      if (text === undefined || among.includes(text as T)) return text as T | undefined;
      throw new UsageError(`--${name} must be ${among.join(", ")}, not '${text}'`);
    };
    const count = (name: (typeof COUNTS)[number]): number | undefined => {
      const text = (values as Record<string, unknown>)[name];
      if (text === undefined) return undefined;
      const value = Number(text);
      if (!Number.isInteger(value) || value < 1)
        throw new UsageError(`--${name} must be a whole number above 0, not '${text}'`);
      return value;
    };
    const preset = oneOf("preset", values.preset, Object.keys(SHAPES) as PresetName[]) ?? "s";
    const stage = oneOf<Stage>("stage", values.stage, STAGES);
    const control = oneOf<Control>("control", values.control, CONTROLS);
    const standard = BUDGETS[preset];
    const problems = count("problems");
    const budget = {
      pretrain: count("pretrain-steps") ?? standard.pretrain,
      coldStart: count("cold-steps") ?? standard.coldStart,
      rl: { ...standard.rl, steps: count("rl-steps") ?? standard.rl.steps },
      rejection: { ...standard.rejection, steps: count("rejection-steps") ?? standard.rejection.steps },
      scenario: { ...standard.scenario, steps: count("scenario-steps") ?? standard.scenario.steps },
      evaluation: problems ? { between: problems, final: problems } : standard.evaluation,
    };
    const text = (name: "init" | "from" | "teacher" | "tokenizer"): string | undefined =>
      values[name] as string | undefined;
    let bar: { what: string; progress: Progress } | undefined;
    const end = (): void => {
      bar?.progress.end();
      bar = undefined;
    };
    const recipe = new Recipe(
      {
        preset,
        directory: values.out as string,
        seed: count("seed"),
        threads: count("threads"),
        minutes: count("minutes"),
        control,
        from: text("from"),
        init: text("init"),
        teacher: text("teacher"),
        tokenizer: text("tokenizer"),
        budget,
      },
      (report) => {
        const what = `${report.stage} ${report.what}`;
        if (bar?.what !== what) {
          end();
          bar = { what, progress: new Progress(what, { total: 100, unit: "%", start: 0 }) };
        }
        bar.progress.update(Math.min(100, report.share * 100), detail(report));
      },
    );
    const stages = stage ? [stage] : recipe.plan;
    if (!stages.every((one) => recipe.plan.includes(one)))
      throw new UsageError(`this run has no stage ${stage}; it has ${recipe.plan.join(", ")}`);
    if (stages.every((one) => recipe.done(one))) {
      if (!values.again) throw new UsageError(`${values.out} is finished; --again runs it anew`);
      for (const one of recipe.plan.slice(recipe.plan.indexOf(stages[0]))) recipe.forget(one);
    }
    for (const one of stages) {
      if (recipe.done(one)) continue;
      await recipe.run(one);
      end();
      console.log(summary(recipe, one));
    }
    console.log(`done: ${values.out}`);
    return 0;
  },
};

/** One line on a finished stage. */
function summary(recipe: Recipe, stage: Stage): string {
  const { record } = recipe;
  const seconds = record.stages[stage]?.seconds ?? 0;
  const evaluation = record.evaluations[stage];
  const classes = Object.entries(evaluation?.sets ?? {})
    .filter(([name]) => name.startsWith("operands/"))
    .map(([name, { tallies }]) => {
      const id = name.slice("operands/".length);
      return `${id} ${((100 * tallies[id].correct) / tallies[id].n).toFixed(1)} %`;
    });
  return `${stage}: ${seconds.toFixed(0)} s${classes.length > 0 ? `; right: ${classes.join(", ")}` : ""}`;
}
export default command;
