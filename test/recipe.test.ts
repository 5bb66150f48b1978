// The R1 recipe end to end, preset xs on two easy skills and a few thousand exercises: every stage does what it is for by its own measure,
// the record and the report are whole, a control starts from the same cold start, and finished work is not done over.
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { openModel } from "../src/engine/open.ts";
import { compareRuns } from "../src/recipes/r1/compare.ts";
import { BUDGETS } from "../src/recipes/r1/presets.ts";
import { Recipe, type RecipeOptions } from "../src/recipes/r1/recipe.ts";
import { readRecord } from "../src/recipes/r1/record.ts";
import type { Reinforced, ReinforcePoint } from "../src/recipes/r1/reinforce.ts";
import { verify } from "../src/recipes/tutor/verify.ts";

const root = mkdtempSync(join(tmpdir(), "weir-recipe-"));
after(() => rmSync(root, { recursive: true, force: true }));

const options = (name: string, more: Partial<RecipeOptions> = {}): RecipeOptions => ({
  preset: "xs",
  directory: join(root, name),
  threads: 2,
  budget: {
    ...BUDGETS.xs,
    stepTokens: 1024,
    pretrain: 200,
    coldStart: 120,
    rl: { steps: 12, prompts: 16, samples: 8, lr: 5e-4 },
    rejection: { problems: 40, samples: 2, steps: 10 },
    scenario: { steps: 3, prompts: 8, samples: 4, lr: 3e-4 },
    reach: { problems: 16, samples: 4 },
    passAtK: { problems: 16, samples: 4 },
    evaluation: { between: 8, final: 8 },
    mixture: {
      classes: { A: 0, B: 0, C: 0, D: 0, manners: 0 },
      skills: { add: 2, "equation-add": 2, talk: 1 },
      levels: { add: 1, "equation-add": 1 },
    },
  },
  ...more,
});

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

const format = (points: readonly ReinforcePoint[]): number => mean(points.map(({ parts }) => parts.format));
const soon = ({ curve }: Reinforced): number => format(curve.slice(0, 3));
const late = ({ curve }: Reinforced): number => format(curve.slice(-3));

test("the whole recipe, and what each stage is for", async () => {
  const recipe = new Recipe(options("run"));
  for (const stage of recipe.plan) await recipe.run(stage);
  assert.ok(recipe.plan.every((stage) => recipe.done(stage)));
  const record = readRecord(join(root, "run"))!;
  const { stages, evaluations } = record;

  const pretrain = stages.pretrain!.learnt!;
  assert.ok(pretrain.curve[0].loss > 5.5, `pretraining starts at ${pretrain.curve[0].loss}`);
  assert.ok(pretrain.loss < 1.5, `pretraining ends at ${pretrain.loss}`);
  assert.equal(pretrain.tokens > 200 * 1024 * 0.8, true);
  assert.ok(pretrain.flops > 1e11 && pretrain.flops < 1e13, `${pretrain.flops} operations`);

  const cold = stages["cold-start"]!.learnt!;
  const early = mean(cold.curve.slice(0, 10).map(({ loss }) => loss));
  assert.ok(cold.loss < 0.85 * early, `the cold start goes from ${early} to ${cold.loss}`);
  const kept = (stage: "pretrain" | "cold-start"): number => evaluations[stage]!.formatOk.k;
  assert.ok(kept("cold-start") >= kept("pretrain") - 2, `format kept: ${kept("pretrain")}, then ${kept("cold-start")}`);
  assert.ok(kept("cold-start") >= 24, `the cold start keeps the format in ${kept("cold-start")} of 40 answers`);

  const rl = stages["reasoning-rl"]!.reinforced!;
  // A model this raw solves too little for its accuracy to move in twelve steps; the format it can learn from rewards alone.
  assert.ok(late(rl) > soon(rl), `format rewards go from ${soon(rl)} to ${late(rl)}`);
  assert.ok(
    rl.curve.every(({ ratioDeviation }) => ratioDeviation < 1e-3),
    "sampler and trainer disagree",
  );
  assert.ok(record.reach!.kinds.every(({ skill }) => skill === "add" || skill === "equation-add"));

  const { sampled, learnt } = stages["rejection-sft"]!;
  assert.ok(sampled!.kept > 0, "nothing was kept");
  assert.ok(sampled!.kept < sampled!.answers, "a model this small is not always right");
  const chunk = JSON.parse(readFileSync(join(root, "run", "samples", "0000.json"), "utf8"));
  for (const { messages } of chunk.kept) {
    const [, { content, reasoningContent }] = messages;
    // Kept answers are the model's own: judged anew as numbers they must at least be well formed.
    const verdict = verify({ answer: { kind: "number", value: "0" }, language: "en" }, { content, reasoningContent });
    assert.ok(verdict.formatOk && verdict.answerAgrees);
  }
  assert.ok(learnt!.loss < learnt!.curve[0].loss * 1.2, "learning from what was kept made things worse");

  const scenario = stages["scenario-rl"]!.reinforced!;
  assert.ok(format(scenario.curve) > soon(rl), "the last stage has lost what came before");
  assert.equal(evaluations.evaluate!.sets["phrasing/D"].right.length, 8);

  const report = readFileSync(join(root, "run", "report.md"), "utf8");
  for (const [, file] of report.matchAll(/\]\((figures\/[^)]+)\)/g))
    assert.ok(existsSync(join(root, "run", file)), file);
  assert.match(report, /\| reasoning-rl \| 12 steps/);
  const model = await openModel(join(root, "run", "model"));
  assert.equal(model.engine.model.architecture, "DeepseekV3ForCausalLM");
  await model.engine.close();
});

test("a control begins with the same cold start and is compared problem by problem", async () => {
  const from = join(root, "run");
  const control = new Recipe(options("random", { control: "random-reward", from }));
  assert.deepEqual(control.plan, ["reasoning-rl", "export"]);
  await control.run("reasoning-rl");
  const differences = compareRuns([from], [join(root, "random")]);
  assert.ok(differences.some(({ what }) => what === "operands/A"));
  assert.ok(differences.some(({ what, problems }) => what === "reinforced kinds, pass@1" && problems >= 8));
  const [base, random] = [readRecord(from)!, readRecord(join(root, "random"))!];
  assert.deepEqual(random.passAtK.before, base.passAtK.before);
  // The same model and prompts: the first step's answers and their true rewards are equal, what is learnt from them is not.
  const rl = ({ stages }: typeof base): Reinforced => stages["reasoning-rl"]!.reinforced!;
  assert.deepEqual(rl(random).curve[0].parts, rl(base).curve[0].parts);
  assert.ok(
    late(rl(base)) > late(rl(random)) + 0.05,
    `${late(rl(base))} with the verifier, ${late(rl(random))} with coins`,
  );
});

test("more supervised learning and distillation spend what reinforcement spent", async () => {
  const from = join(root, "run");
  const spent = readRecord(from)!.stages["reasoning-rl"]!.reinforced!.flops;
  for (const control of ["sft-only", "distill-sequences", "distill-logits"] as const) {
    // The finished run teaches the cold start that it came from: the same shape and tokenizer.
    const recipe = new Recipe(options(control, { control, from, teacher: from }));
    const [stage] = recipe.plan;
    await recipe.run(stage);
    const record = readRecord(join(root, control))!;
    assert.ok(
      Math.abs(record.stages[stage]!.flops / spent - 1) < 0.3,
      `${control}: ${record.stages[stage]!.flops}, not ${spent}`,
    );
    assert.equal(record.passAtK.after!.problems, record.passAtK.before!.problems);
    assert.equal(compareRuns([join(root, control)], [from]).length, 6);
    const { distilled } = record.stages[stage]!;
    if (distilled) assert.ok(distilled.curve.every(({ kl }) => Number.isFinite(kl)) && distilled.teacherFlops > 0);
  }
});

test("what is finished or another run's is not overwritten", () => {
  assert.ok(new Recipe(options("run")).done("scenario-rl"));
  assert.throws(
    () => new Recipe(options("run", { seed: 2 })),
    /holds a run of preset xs, seed 1; give another directory/,
  );
  assert.throws(() => new Recipe(options("other", { control: "sft-only" })), /needs the run that it is compared with/);
  assert.throws(
    () => new Recipe(options("other", { control: "sft-only", from: join(root, "nothing") })),
    /is no run of preset xs/,
  );
});
