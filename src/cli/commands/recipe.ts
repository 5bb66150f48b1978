// `weir recipe`: the named end-to-end recipes; so far r1.
import { parseArgs } from "node:util";
import { type PresetName, SHAPES } from "../../recipes/r1/presets.ts";
import { PRETRAIN_STEPS, Recipe, STAGES, STEP_TOKENS, type Stage } from "../../recipes/r1/recipe.ts";
import { type Command, UsageError } from "../command.ts";
import { Progress } from "../progress.ts";

const command: Command = {
  summary: "run a training recipe (r1: the Step Tutor)",
  usage: `Usage: weir recipe r1 --out DIR [--preset xs|s|m|m-plus] [--stage STAGE] [--steps N] [--problems N] [--seed N] [--again]

Makes the Step Tutor from nothing: data by seed, a digit-level tokenizer, pretraining, evaluation, a model directory. Killed, it
goes on where it was. Stages: ${STAGES.join(", ")}.

  --out DIR      run directory: tokenizer, states, record.json, model/
  --preset P     size (default s): ${Object.keys(SHAPES).join(", ")}
  --stage S      only this stage
  --steps N      updates of pretraining, ${STEP_TOKENS} tokens each (default ${Object.entries(PRETRAIN_STEPS)
    .map(([name, steps]) => `${name} ${steps}`)
    .join(", ")})
  --problems N   test problems per class and set (default 600)
  --again        run stages anew that are finished`,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        out: { type: "string" },
        preset: { type: "string", default: "s" },
        stage: { type: "string" },
        steps: { type: "string" },
        problems: { type: "string" },
        seed: { type: "string" },
        again: { type: "boolean", default: false },
      },
    });
    if (positionals[0] !== "r1" || positionals.length > 1)
      throw new UsageError("the recipe is r1: weir recipe r1 --out DIR");
    if (!values.out) throw new UsageError("--out DIR is missing");
    if (!(values.preset in SHAPES))
      throw new UsageError(`--preset must be ${Object.keys(SHAPES).join(", ")}, not '${values.preset}'`);
    if (values.stage && !STAGES.includes(values.stage as Stage))
      throw new UsageError(`--stage must be ${STAGES.join(", ")}, not '${values.stage}'`);
    const whole = (name: "steps" | "problems" | "seed"): number | undefined => {
      const text = values[name];
      if (text === undefined) return undefined;
      const value = Number(text);
      if (!Number.isInteger(value) || value < 1)
        throw new UsageError(`--${name} must be a whole number above 0, not '${text}'`);
      return value;
    };
    const preset = values.preset as PresetName;
    const steps = whole("steps");
    const total = (steps ?? PRETRAIN_STEPS[preset]) * STEP_TOKENS;
    let progress: Progress | undefined;
    const recipe = new Recipe({
      preset,
      directory: values.out,
      seed: whole("seed"),
      steps,
      problems: whole("problems"),
      report: ({ step, loss, tokens }) => {
        progress ??= new Progress("pretrain", { total, unit: "tokens", start: step * STEP_TOKENS });
        progress.add(tokens, `step ${step + 1}, loss ${loss.toFixed(4)}`);
      },
    });
    const stages = values.stage ? [values.stage as Stage] : STAGES;
    if (stages.every((stage) => recipe.done(stage)) && !values.again) {
      throw new UsageError(`${values.out} is finished; --again runs it anew`);
    }
    for (const stage of stages) {
      if (recipe.done(stage) && !values.again) continue;
      console.log(`stage ${stage}`);
      await recipe.run(stage);
      progress?.end();
      progress = undefined;
    }
    console.log(`done: ${values.out}/record.json`);
    return 0;
  },
};
export default command;
