// The recipe's stages over one run directory: each reads what the one before left, writes its state and its part of the record, and
// goes on where it was killed. How a stage learns, samples or measures is in the files beside.
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { cpus } from "node:os";
import { basename, dirname, join } from "node:path";
import type { ModelConfig } from "../../checkpoint/config.ts";
import { countParameters } from "../../checkpoint/tensors.ts";
import { buildTraining } from "../../model/training.ts";
import type { Device } from "../../tensor/device.ts";
import { openDevice } from "../../tensor/devices.ts";
import { r1Format } from "../../text/chat/v3.ts";
import type { Conversation } from "../../text/conversation.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import { exportModel } from "../../train/export.ts";
import type { OptimizerConfig } from "../../train/optimizer.ts";
import { makeParameters } from "../../train/parameters.ts";
import { SamplerPool } from "../../train/sampler.ts";
import { Scorer } from "../../train/scorer.ts";
import { loadParameters } from "../../train/state.ts";
import { Trainer } from "../../train/trainer.ts";
import { type MixtureOptions, mixture, problems, skillWeights } from "../tutor/mixture.ts";
import type { Problem } from "../tutor/problem.ts";
import { random } from "../tutor/random.ts";
import { skill } from "../tutor/registry.ts";
import { prompts, TASK_KINDS, type TaskKind, withinReach } from "../tutor/rewards.ts";
import { cardText } from "./card.ts";
import { tokenizerFrom, trainTokenizer } from "./corpus.ts";
import { distillByLogits } from "./distill.ts";
import { type Asked, evaluate, measurePassAtK, type PassAtK, passRates, problemsOf } from "./evaluate.ts";
import { type LearnOptions, type LearnPoint, type Learnt, learn } from "./learn.ts";
import { BUDGETS, type Budget, type PresetName, SHAPES, shapeConfig } from "./presets.ts";
import {
  type Control,
  type RecipeRecord,
  readRecord,
  STAGES,
  type Stage,
  type StageRecord,
  writeAtomic,
  writeRecord,
} from "./record.ts";
import { type ReinforcePoint, reinforce } from "./reinforce.ts";
import { again, mixed, only, rejectionSample } from "./rejection.ts";
import { writeReport } from "./report.ts";

const SUPERVISED: OptimizerConfig = {
  kind: "muon",
  lr: 3e-3,
  muonLr: 8e-3,
  newtonSchulz: 5,
  beta1: 0.9,
  beta2: 0.95,
  eps: 1e-8,
  weightDecay: 0.1,
  maxGradNorm: 1,
};

/** Gradients of rewards are noisy: AdamW's small steps, and nothing that pulls weights to zero. */
const REINFORCED: OptimizerConfig = { ...SUPERVISED, kind: "adamw", weightDecay: 0 };

/** R1's temperatures: 1 where it reasons, 0.7 in the last stage. */
const TEMPERATURE = { "reasoning-rl": 1, "scenario-rl": 0.7 } as const;

/** Of a run's whole time where it is bounded; evaluations take the rest. */
const TIME_SHARES: Partial<Record<Stage, number>> = {
  pretrain: 0.42,
  "cold-start": 0.2,
  "reasoning-rl": 0.17,
  "rejection-sft": 0.08,
  "scenario-rl": 0.04,
};

export interface RecipeOptions {
  preset: PresetName;
  /** Run directory: tokenizer.json, states, samples/, record.json, model/, report.md. */
  directory: string;
  seed?: number;
  threads?: number;
  /** Bound on the whole run's time, shared out among the stages. */
  minutes?: number;
  control?: Control;
  /** The run whose cold start a control of reinforcement learning begins with. */
  from?: string;
  /** A training state whose weights pretraining starts from; its tokenizer.json lies beside it. */
  init?: string;
  /** A tokenizer.json to use instead of training one: a student must have its teacher's. */
  tokenizer?: string;
  /** The run whose model teaches, for the controls of distillation. */
  teacher?: string;
  /** Instead of the preset's. */
  budget?: Partial<Budget>;
}

export interface RecipeReport {
  stage: Stage;
  what: "learn" | "reinforce" | "evaluate" | "sample";
  /** 0..1. */
  share: number;
  learn?: LearnPoint;
  reinforce?: ReinforcePoint;
}

export class Recipe {
  readonly options: RecipeOptions;
  readonly seed: number;
  readonly budget: Budget;
  readonly config: ModelConfig;
  readonly record: RecipeRecord;
  private readonly report: (progress: RecipeReport) => void;
  private device: Device | undefined;

  /** Throws Error where the directory holds another run, or a control lacks what it is compared with. */
  constructor(options: RecipeOptions, report: (progress: RecipeReport) => void = () => {}) {
    this.options = options;
    this.report = report;
    this.seed = options.seed ?? 1;
    this.budget = { ...BUDGETS[options.preset], ...options.budget };
    const control = options.control ?? null;
    const { directory } = options;
    const found = readRecord(directory);
    const base = options.from === undefined ? undefined : readRecord(options.from);
    const vocab =
      found?.vocab ??
      base?.vocab ??
      (options.tokenizer
        ? tokenizerFrom(JSON.parse(readFileSync(options.tokenizer, "utf8"))).vocabSize
        : SHAPES[options.preset].vocab);
    this.config = shapeConfig({ ...SHAPES[options.preset], vocab }, control === "dense");
    if (found && (found.preset !== options.preset || found.seed !== this.seed || found.control !== control))
      throw new Error(
        `${directory} holds a run of preset ${found.preset}, seed ${found.seed}${found.control ? `, control ${found.control}` : ""}; give another directory`,
      );
    const forks = control !== null && control !== "dense";
    if (forks && !options.from) throw new Error(`control ${control} needs the run that it is compared with (from)`);
    if (options.from) {
      if (!forks) throw new Error("from is for controls of reinforcement learning and distillation");
      if (!base?.stages["reasoning-rl"] || base.preset !== options.preset || base.seed !== this.seed)
        throw new Error(
          `${options.from} is no run of preset ${options.preset}, seed ${this.seed}, that has done its reasoning-rl`,
        );
    }
    if (control?.startsWith("distill") && !options.teacher && !found?.stages.distill)
      throw new Error(`control ${control} needs the run that teaches (teacher)`);
    mkdirSync(directory, { recursive: true });
    const { total, active } = countParameters(this.config);
    this.record = found ?? {
      recipe: "r1",
      preset: options.preset,
      vocab,
      seed: this.seed,
      control,
      from: options.from ?? null,
      parameters: { total, active },
      machine: "",
      stages: {},
      evaluations: {},
      passAtK: {},
    };
  }

  /** The stages that this run consists of, in order. */
  get plan(): Stage[] {
    const { control } = this.record;
    if (control === "random-reward") return ["reasoning-rl", "export"];
    if (control === "sft-only") return ["more-sft", "export"];
    if (control?.startsWith("distill")) return ["distill", "export"];
    return STAGES.filter((stage) => stage !== "more-sft" && stage !== "distill");
  }

  done(stage: Stage): boolean {
    const trains = !["tokenizer", "evaluate", "export", "report"].includes(stage);
    return this.record.stages[stage] !== undefined && (!trains || this.record.evaluations[stage] !== undefined);
  }

  /** Forgets that a stage was done, its state included. */
  forget(stage: Stage): void {
    delete this.record.stages[stage];
    delete this.record.evaluations[stage];
    if (stage === "reasoning-rl") {
      delete this.record.reach;
      this.record.passAtK = {};
    }
    writeRecord(this.options.directory, this.record);
    rmSync(this.state(stage), { force: true });
    if (stage === "rejection-sft") rmSync(this.path("samples"), { recursive: true, force: true });
  }

  /** Runs one stage and its evaluation, from where it was. Throws Error where the stage before has not run. */
  async run(stage: Stage): Promise<void> {
    this.device ??= await openDevice({ threads: this.options.threads });
    this.record.machine = `${cpus()[0]?.model.trim() ?? "unknown processor"}, ${this.device.threads} threads, ${this.device.name} device`;
    if (stage === "tokenizer") return this.tokenizerStage();
    if (stage === "report") return this.reportStage();
    if (stage === "evaluate") return this.evaluateStage();
    if (stage === "export") return this.exportStage();
    if (!this.record.stages[stage]) {
      const began = performance.now();
      const facts =
        stage === "pretrain" || stage === "cold-start" || stage === "more-sft"
          ? await this.supervised(stage)
          : stage === "rejection-sft"
            ? await this.rejection()
            : stage === "distill"
              ? await this.distillation()
              : await this.reinforcement(stage);
      this.finish(stage, { seconds: (performance.now() - began) / 1000, ...facts });
    }
    if (this.record.evaluations[stage]) return;
    const { trainer, asked, close } = await this.open(stage);
    this.record.evaluations[stage] = await evaluate(asked, ["operands"], this.budget.evaluation.between, (n, of) =>
      this.report({ stage, what: "evaluate", share: n / of }),
    );
    writeRecord(this.options.directory, this.record);
    await close();
    trainer.free();
  }

  private path(name: string): string {
    return join(this.options.directory, name);
  }

  private state(stage: Stage): string {
    return this.path(`${stage}.safetensors`);
  }

  private finish(stage: Stage, facts: StageRecord): void {
    this.record.stages[stage] = facts;
    writeRecord(this.options.directory, this.record);
  }

  /** Seconds that the stage may take, undefined without a bound. */
  private seconds(stage: Stage): number | undefined {
    const { minutes } = this.options;
    return minutes === undefined ? undefined : minutes * 60 * (TIME_SHARES[stage] ?? 0);
  }

  private tokenizerJson(): Record<string, unknown> {
    const path = join(this.record.from ?? this.options.directory, "tokenizer.json");
    if (!existsSync(path)) throw new Error(`${path} is missing; run the stage tokenizer first`);
    return JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
  }

  private tokenizer(): Tokenizer {
    return tokenizerFrom(this.tokenizerJson());
  }

  private trainer(kind: "supervised" | "reinforced", temperature = 1): Trainer {
    const reinforced = kind === "reinforced";
    const options = {
      maxTokens: reinforced ? Math.max(4096, this.budget.stepTokens) : this.budget.stepTokens,
      maxPositions: SHAPES[this.options.preset].positions,
      biasSpeed: reinforced ? 0 : 0.002,
      balanceAlpha: reinforced ? 0 : 1e-4,
      logitScale: 1 / temperature,
      optimizer: reinforced ? REINFORCED : SUPERVISED,
    };
    return new Trainer(this.device!, this.config, options, { seed: this.seed });
  }

  /** Where the weights lie that a stage begins with. */
  private before(stage: Stage): string {
    if (this.record.from && ["reasoning-rl", "more-sft", "distill"].includes(stage))
      return join(this.record.from, "cold-start.safetensors");
    const trained: Stage[] = ["pretrain", "cold-start", "reasoning-rl", "rejection-sft", "scenario-rl"];
    return this.state(trained[trained.indexOf(stage) - 1]);
  }

  private load(path: string, trainer: Trainer): void {
    if (!existsSync(path)) throw new Error(`${path} is missing; run the stage that writes it first`);
    loadParameters(path, trainer);
  }

  private sampler({ config, parameters }: Pick<Trainer, "config" | "parameters">): {
    asked: Asked;
    sampler: SamplerPool;
  } {
    const positions = config.maxPositionEmbeddings;
    const json = this.tokenizerJson();
    const sampler = new SamplerPool(config, json, parameters, {
      workers: this.device!.threads,
      model: { context: positions, cacheTokens: 32 * positions, maxSequences: 64 },
    });
    // The longest questions have about a hundred tokens.
    return { sampler, asked: { sampler, tokenizer: tokenizerFrom(json), maxTokens: positions - 128 } };
  }

  /** The model that a stage has left. */
  private async open(stage: Stage): Promise<{ trainer: Trainer; asked: Asked; close: () => Promise<void> }> {
    const trainer = this.trainer("supervised");
    this.load(this.state(stage), trainer);
    const { asked, sampler } = this.sampler(trainer);
    return { trainer, asked, close: () => sampler.close() };
  }

  /** The last stage of the plan that trains and has run. */
  private latest(): Stage {
    return latestStage(this.options.directory, this.record);
  }

  private tokenizerStage(): void {
    const began = performance.now();
    const { init, tokenizer } = this.options;
    const given = tokenizer ?? (init === undefined ? undefined : join(dirname(init), "tokenizer.json"));
    if (given !== undefined && !existsSync(given))
      throw new Error(`${given} is missing: weights are of use only with the tokenizer that they were trained with`);
    const text = given ? readFileSync(given, "utf8") : JSON.stringify(trainTokenizer(this.config.vocabSize, this.seed));
    writeAtomic(this.path("tokenizer.json"), text);
    this.finish("tokenizer", { seconds: (performance.now() - began) / 1000, flops: 0 });
  }

  private learn(
    stage: Stage,
    trainer: Trainer,
    stream: Iterator<Conversation>,
    options: Omit<LearnOptions, "state" | "saveEvery">,
  ): Learnt {
    return learn(
      trainer,
      this.tokenizer(),
      stream,
      { ...options, state: this.state(stage), saveEvery: 50 },
      ({ share, ...point }) => this.report({ stage, what: "learn", share, learn: point }),
    );
  }

  private async supervised(stage: "pretrain" | "cold-start" | "more-sft"): Promise<Omit<StageRecord, "seconds">> {
    const { budget, seed } = this;
    const { init } = this.options;
    const trainer = this.trainer("supervised");
    const seconds = this.seconds(stage);
    let learnt: Learnt;
    if (stage === "pretrain") {
      if (init) this.load(init, trainer);
      // The rate stays high: the cold start is where it falls.
      learnt = this.learn(stage, trainer, mixture({ retry: 0.08, ...budget.mixture }, init ? `${seed} on` : seed), {
        steps: budget.pretrain,
        seconds,
        lr: SUPERVISED.lr,
        schedule: { kind: "constant", warmupSteps: 50 },
        promptWeight: 0.1,
      });
    } else {
      this.load(this.before(stage), trainer);
      const steps = stage === "cold-start" ? budget.coldStart : this.equalSteps();
      learnt = this.learn(stage, trainer, mixture(budget.mixture, `${stage} ${seed}`), {
        steps,
        seconds,
        lr: stage === "cold-start" ? SUPERVISED.lr : SUPERVISED.lr / 4,
        schedule: { kind: "linear", warmupSteps: 5, floor: 0.02 },
        promptWeight: 0,
      });
    }
    if (stage === "more-sft") await this.measureAfter(trainer);
    trainer.free();
    return { flops: learnt.flops, learnt, ...(stage === "pretrain" && init ? { init: basename(init) } : {}) };
  }

  /** Steps of supervised learning that cost what reinforcement learning did in the run that this one is the control of. */
  private equalSteps(): number {
    const base = readRecord(this.record.from!)!;
    const perStep = base.stages["cold-start"]!.learnt!;
    return Math.max(1, Math.round(base.stages["reasoning-rl"]!.reinforced!.flops / (perStep.flops / perStep.steps)));
  }

  private async rejection(): Promise<Omit<StageRecord, "seconds">> {
    const { budget, seed } = this;
    const stage = "rejection-sft";
    const seconds = this.seconds(stage);
    const trainer = this.trainer("supervised");
    this.load(this.before(stage), trainer);
    const { asked, sampler } = this.sampler(trainer);
    const {
      kept,
      problems: asks,
      answers,
      flops,
    } = await rejectionSample(
      asked,
      alternate(this.kinds(), budget.mixture, 0.7, 0, `rejection ${seed}`),
      {
        directory: this.path("samples"),
        problems: budget.rejection.problems,
        samples: budget.rejection.samples,
        seed: seed * 1000,
        seconds: seconds && seconds / 2,
      },
      (n, of) => this.report({ stage, what: "sample", share: n / of }),
    );
    await sampler.close();
    const learnt = this.learn(stage, trainer, mixed(kept, budget.mixture, seed), {
      steps: budget.rejection.steps,
      seconds: seconds && seconds / 2,
      lr: SUPERVISED.lr / 4,
      schedule: { kind: "linear", warmupSteps: 5, floor: 0.02 },
      promptWeight: 0,
    });
    trainer.free();
    return { flops: flops + learnt.flops, learnt, sampled: { problems: asks, answers, kept: kept.length } };
  }

  /** A larger model's answers or probabilities instead of reinforcement, on the same tasks, at the student's same arithmetic. */
  private async distillation(): Promise<Omit<StageRecord, "seconds">> {
    const { budget, seed } = this;
    const stage = "distill";
    const run = this.options.teacher!;
    const taught = readRecord(run);
    if (!taught) throw new Error(`${run} is no run of this recipe; give the teacher's run directory`);
    const own = JSON.stringify(this.tokenizerJson());
    if (JSON.stringify(JSON.parse(readFileSync(join(run, "tokenizer.json"), "utf8"))) !== own)
      throw new Error(
        `${run} has another tokenizer than the student; make the student with the teacher's tokenizer.json`,
      );
    const shape = SHAPES[taught.preset];
    const config = shapeConfig({ ...shape, vocab: taught.vocab }, taught.control === "dense");
    const sizes = { maxTokens: Math.max(4096, budget.stepTokens), maxPositions: shape.positions };
    const { context } = buildTraining(config, { ...sizes, backward: false });
    const parameters = makeParameters(this.device!, context, { seed });
    loadParameters(join(run, `${latestStage(run, taught)}.safetensors`), { parameters, built: { context } });
    const base = readRecord(this.record.from!)!.stages["reasoning-rl"]!.reinforced!;
    const logits = this.record.control === "distill-logits";
    const trainer = this.trainer(logits ? "reinforced" : "supervised");
    this.load(this.before(stage), trainer);
    let found: Omit<StageRecord, "seconds">;
    if (logits) {
      const { asked, sampler } = this.sampler(trainer);
      const teacher = new Scorer(this.device!, config, parameters, sizes);
      const { prompts: count, samples, lr } = budget.rl;
      const distilled = await distillByLogits(
        trainer,
        teacher,
        sampler,
        asked.tokenizer,
        prompts(this.kinds(), `reasoning-rl ${seed}`),
        {
          flops: base.flops,
          prompts: count,
          samples,
          lr,
          maxTokens: asked.maxTokens,
          seed: seed * 31 + 3,
          state: this.state(stage),
          saveEvery: 5,
        },
        ({ share }) => this.report({ stage, what: "learn", share }),
      );
      teacher.free();
      await sampler.close();
      found = { flops: distilled.flops, distilled, teacher: { run, flops: distilled.teacherFlops } };
    } else {
      const { asked, sampler } = this.sampler({ config, parameters });
      const sampled = await rejectionSample(
        asked,
        prompts(this.kinds(), `distill ${seed}`),
        {
          directory: this.path("samples"),
          problems: budget.rejection.problems,
          samples: budget.rejection.samples,
          seed: seed * 1000,
        },
        (n, of) => this.report({ stage, what: "sample", share: n / of }),
      );
      await sampler.close();
      if (sampled.kept.length === 0) throw new Error(`the teacher ${run} solves none of the student's tasks`);
      const learnt = this.learn(stage, trainer, again(sampled.kept, seed), {
        steps: this.equalSteps(),
        lr: SUPERVISED.lr / 4,
        schedule: { kind: "linear", warmupSteps: 5, floor: 0.02 },
        promptWeight: 0,
      });
      const { problems: asks, answers, flops, kept } = sampled;
      found = {
        flops: learnt.flops,
        learnt,
        sampled: { problems: asks, answers, kept: kept.length },
        teacher: { run, flops },
      };
    }
    for (const buffer of Object.values(parameters)) buffer.free();
    await this.measureAfter(trainer);
    trainer.free();
    return found;
  }

  /** pass@k of a control's model, beside that of the cold start it began with. */
  private async measureAfter(trainer: Trainer): Promise<void> {
    const { asked, sampler } = this.sampler(trainer);
    const before = readRecord(this.record.from!)?.passAtK.before;
    this.record.passAtK = { before, after: await this.passAtK(asked) };
    await sampler.close();
  }

  /** The kinds of tasks that reinforcement learning works on; a control has those of the run it is compared with. */
  private kinds(): TaskKind[] {
    const reach = this.record.reach ?? (this.record.from ? readRecord(this.record.from)?.reach : undefined);
    if (!reach) throw new Error("pass rates have not been measured; run the stage reasoning-rl first");
    return reach.kinds;
  }

  /** pass@k on held-out problems of the kinds that are reinforced. */
  private passAtK(asked: Asked): Promise<PassAtK> {
    const { problems: count, samples } = this.budget.passAtK;
    const kinds = this.kinds();
    const each = Math.max(1, Math.round(count / kinds.length));
    return measurePassAtK(asked, problemsOf(kinds, each, "operands", `pass@k ${this.seed}`), samples, this.seed + 17);
  }

  private async reinforcement(stage: "reasoning-rl" | "scenario-rl"): Promise<Omit<StageRecord, "seconds">> {
    const { budget, seed, record } = this;
    const reasoning = stage === "reasoning-rl";
    const given = reasoning ? budget.rl : budget.scenario;
    const trainer = this.trainer("reinforced", TEMPERATURE[stage]);
    this.load(this.before(stage), trainer);
    const { asked, sampler } = this.sampler(trainer);
    let flops = 0;
    if (reasoning) {
      if (record.from) record.passAtK.before ??= readRecord(record.from)?.passAtK.before;
      else if (!record.reach) {
        const { rates, flops: spent } = await passRates(asked, taught(budget.mixture), { ...budget.reach, seed });
        flops += spent;
        record.reach = { rates, kinds: chooseKinds(rates) };
        writeRecord(this.options.directory, record);
      }
      if (!record.passAtK.before) {
        record.passAtK.before = await this.passAtK(asked);
        writeRecord(this.options.directory, record);
      }
    }
    const reinforced = await reinforce(
      trainer,
      sampler,
      asked.tokenizer,
      reasoning
        ? prompts(this.kinds(), `${stage} ${seed}`)
        : alternate(this.kinds(), budget.mixture, 0.35, 0.45, `${stage} ${seed}`),
      {
        ...given,
        seconds: this.seconds(stage),
        temperature: TEMPERATURE[stage],
        maxTokens: asked.maxTokens,
        seed: seed * 31 + (reasoning ? 1 : 2),
        minibatches: 2,
        randomReward: record.control === "random-reward",
        state: this.state(stage),
        saveEvery: 5,
      },
      ({ share, ...point }) => this.report({ stage, what: "reinforce", share, reinforce: point }),
    );
    if (reasoning) record.passAtK.after = await this.passAtK(asked);
    await sampler.close();
    trainer.free();
    return { flops: flops + reinforced.flops, reinforced };
  }

  private async evaluateStage(): Promise<void> {
    const stage = "evaluate";
    const { trainer, asked, close } = await this.open(this.latest());
    const evaluation = await evaluate(asked, ["operands", "phrasing"], this.budget.evaluation.final, (n, of) =>
      this.report({ stage, what: "evaluate", share: n / of }),
    );
    this.record.evaluations[stage] = evaluation;
    this.finish(stage, { seconds: evaluation.seconds, flops: evaluation.flops });
    await close();
    trainer.free();
  }

  /** Writes the model directory for `weir run`, `weir serve` and others. */
  private exportStage(): void {
    const began = performance.now();
    const trainer = this.trainer("supervised");
    this.load(this.state(this.latest()), trainer);
    exportModel(this.path("model"), trainer.config, trainer.parameters, {
      leaveOut: trainer.built.context.constants,
      replace: true,
      dtype: "BF16",
      tokenizer: {
        kind: "tokenizer.json",
        path: join(this.record.from ?? this.options.directory, "tokenizer.json"),
        configPath: null,
      },
      chatTemplate: r1Format.jinja,
      generationConfig: { bos_token_id: 0, eos_token_id: 1, pad_token_id: 2, do_sample: false },
    });
    trainer.free();
    writeAtomic(join(this.path("model"), "README.md"), cardText(this.record));
    this.finish("export", { seconds: (performance.now() - began) / 1000, flops: 0 });
  }

  private reportStage(): void {
    const began = performance.now();
    writeReport(this.options.directory, this.record);
    this.finish("report", { seconds: (performance.now() - began) / 1000, flops: 0 });
  }
}

/** The last stage of a run whose model is there. Throws Error where there is none. */
function latestStage(directory: string, record: RecipeRecord): Stage {
  const last = STAGES.filter(
    (stage) => record.stages[stage] && existsSync(join(directory, `${stage}.safetensors`)),
  ).pop();
  if (!last) throw new Error(`${directory} holds no trained model yet; run the stage pretrain first`);
  return last;
}

/** The kinds of tasks that a corpus has, manners left out. */
function taught(corpus: MixtureOptions): TaskKind[] {
  const drawn = new Set(skillWeights(corpus).map(({ id }) => id));
  return TASK_KINDS.filter(({ skill: id, level }) => {
    const { levels, class: skillClass } = skill(id);
    const top = Math.max(1, corpus.levels?.[id] ?? Math.round(levels * (corpus.difficulty ?? 1)));
    return skillClass !== "manners" && drawn.has(id) && level <= top;
  });
}

/** Kinds within reach; the core's only where the other classes give too few. Throws Error where there are none. */
export function chooseKinds(rates: Readonly<Record<string, number>>): TaskKind[] {
  for (const [low, high, enough] of [
    [0.1, 0.7, 4],
    [0.03, 0.9, 1],
  ] as const) {
    const found = withinReach(rates, low, high);
    const harder = found.filter((kind) => skill(kind.skill).class !== "A");
    if (harder.length >= 8) return harder;
    if (found.length >= enough) return found;
  }
  throw new Error(
    "no kind of task is solved between 3 and 90 % of the time: reinforcement has nothing to work on; pretrain longer",
  );
}

/** Problems of these kinds, of manners, and of the corpus without them, by the first two's shares. */
function* alternate(
  kinds: readonly TaskKind[],
  corpus: MixtureOptions,
  reach: number,
  manners: number,
  seed: string,
): Generator<Problem, never> {
  const rng = random(`turns of ${seed}`);
  const hard = prompts(kinds, `${seed} hard`);
  const polite = problems(only(corpus, ["manners"]) ?? corpus, `${seed} polite`);
  const general = problems({ ...(only(corpus, ["A", "B", "C", "D"]) ?? corpus), retry: 0 }, `${seed} general`);
  for (;;) {
    const mark = rng.next();
    yield mark < reach ? hard.next().value : mark < reach + manners ? polite.next().value : general.next().value;
  }
}
