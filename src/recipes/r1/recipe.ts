// The recipe's stages over one run directory: each reads what the one before left, writes its own record, and goes on where it was
// killed. Stages so far: tokenizer, pretrain, evaluate, export; docs/status.md says what is to come.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LocalEngine } from "../../engine/local-engine.ts";
import { ServedModel } from "../../engine/model.ts";
import { openDevice } from "../../tensor/devices.ts";
import { r1Format } from "../../text/chat/v3.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import { exportModel } from "../../train/export.ts";
import { loadState } from "../../train/state.ts";
import { Trainer } from "../../train/trainer.ts";
import { fingerprint, summarise, type Tally, testSet } from "../tutor/evaluation.ts";
import { mixture } from "../tutor/mixture.ts";
import { SKILL_CLASSES } from "../tutor/problem.ts";
import { tokenizerFrom, trainTokenizer } from "./corpus.ts";
import { ask } from "./evaluate.ts";
import { type LearnProgress, learn } from "./learn.ts";
import { type PresetName, SHAPES, shapeConfig } from "./presets.ts";

export const STAGES = ["tokenizer", "pretrain", "evaluate", "export"] as const;
export type Stage = (typeof STAGES)[number];

/** Updates of pretraining by preset, each of STEP_TOKENS tokens. */
export const PRETRAIN_STEPS: Record<PresetName, number> = { xs: 120, s: 500, m: 2050, "m-plus": 4000 };
export const STEP_TOKENS = 8192;

const OPTIMIZER = {
  kind: "muon",
  lr: 3e-3,
  muonLr: 8e-3,
  newtonSchulz: 5,
  beta1: 0.9,
  beta2: 0.95,
  eps: 1e-8,
  weightDecay: 0.1,
  maxGradNorm: 1,
} as const;

export interface RecipeOptions {
  preset: PresetName;
  /** Run directory: tokenizer.json, states, record.json. */
  directory: string;
  seed?: number;
  /** Instead of the preset's. */
  steps?: number;
  /** Test problems per class and set. */
  problems?: number;
  threads?: number;
  report?: (progress: LearnProgress) => void;
}

/** What a run has done, kept as record.json. */
export interface RecipeRecord {
  preset: PresetName;
  seed: number;
  stages: Partial<Record<Stage, Record<string, unknown> & { seconds: number }>>;
}

function writeAtomic(path: string, text: string): void {
  writeFileSync(`${path}.partial`, text);
  renameSync(`${path}.partial`, path);
}

export class Recipe {
  readonly options: RecipeOptions;
  readonly seed: number;
  readonly record: RecipeRecord;

  constructor(options: RecipeOptions) {
    this.options = options;
    this.seed = options.seed ?? 1;
    mkdirSync(options.directory, { recursive: true });
    const path = this.path("record.json");
    this.record = existsSync(path)
      ? (JSON.parse(readFileSync(path, "utf8")) as RecipeRecord)
      : { preset: options.preset, seed: this.seed, stages: {} };
    if (this.record.preset !== options.preset || this.record.seed !== this.seed) {
      throw new Error(
        `${options.directory} holds a run of preset ${this.record.preset} with seed ${this.record.seed}; give another directory`,
      );
    }
  }

  private path(name: string): string {
    return join(this.options.directory, name);
  }

  private finish(stage: Stage, began: number, facts: Record<string, unknown>): void {
    this.record.stages[stage] = { ...facts, seconds: Math.round((performance.now() - began) / 1000) };
    writeAtomic(this.path("record.json"), `${JSON.stringify(this.record, null, 2)}\n`);
  }

  /** Whether the stage has run to its end. */
  done(stage: Stage): boolean {
    return this.record.stages[stage] !== undefined;
  }

  async run(stage: Stage): Promise<void> {
    const began = performance.now();
    if (stage === "tokenizer") {
      const json = trainTokenizer(SHAPES[this.options.preset].vocab, this.seed);
      writeAtomic(this.path("tokenizer.json"), JSON.stringify(json));
      this.finish(stage, began, { vocabulary: SHAPES[this.options.preset].vocab });
      return;
    }
    if (stage === "pretrain") return this.pretrain(began);
    const { trainer, tokenizer } = await this.restore();
    if (stage === "evaluate") this.evaluate(trainer, tokenizer, began);
    else {
      this.export(trainer, this.path("model"));
      this.finish(stage, began, { directory: "model" });
    }
    trainer.free();
  }

  private tokenizer(): Tokenizer {
    const path = this.path("tokenizer.json");
    if (!existsSync(path)) throw new Error(`${path} is missing; run the stage tokenizer first`);
    return tokenizerFrom(JSON.parse(readFileSync(path, "utf8")));
  }

  private async trainer(): Promise<Trainer> {
    const shape = SHAPES[this.options.preset];
    const device = await openDevice({ threads: this.options.threads });
    const options = {
      maxTokens: STEP_TOKENS,
      maxPositions: shape.positions,
      biasSpeed: 0.002,
      balanceAlpha: 1e-4,
      optimizer: OPTIMIZER,
    };
    return new Trainer(device, shapeConfig(shape), options, { seed: this.seed });
  }

  private async pretrain(began: number): Promise<void> {
    const tokenizer = this.tokenizer();
    const trainer = await this.trainer();
    const steps = this.options.steps ?? PRETRAIN_STEPS[this.options.preset];
    let tokens = 0;
    let loss = 0;
    learn(
      trainer,
      tokenizer,
      mixture({ retry: 0.08 }, this.seed),
      {
        steps,
        lr: OPTIMIZER.lr,
        schedule: { kind: "wsd", warmupSteps: 50, decayShare: 0.25 },
        promptWeight: 0.1,
        state: this.path("pretrain.safetensors"),
        saveEvery: 50,
      },
      (progress) => {
        tokens += progress.tokens;
        loss = loss === 0 ? progress.loss : 0.95 * loss + 0.05 * progress.loss;
        this.options.report?.(progress);
      },
    );
    this.finish("pretrain", began, { steps, tokens, loss });
    trainer.free();
  }

  /** The trainer as pretraining left it. */
  private async restore(): Promise<{ trainer: Trainer; tokenizer: Tokenizer }> {
    const tokenizer = this.tokenizer();
    const trainer = await this.trainer();
    loadState(this.path("pretrain.safetensors"), trainer);
    return { trainer, tokenizer };
  }

  private evaluate(trainer: Trainer, tokenizer: Tokenizer, began: number): void {
    const { positions } = SHAPES[this.options.preset];
    const served = new ServedModel(
      trainer.device,
      trainer.config,
      { parameters: trainer.parameters },
      { context: positions, cacheTokens: 64 * positions },
    );
    const engine = new LocalEngine(served, { name: this.options.preset, tokenizer });
    const results: Record<string, { fingerprint: string; tallies: Record<string, Tally> }> = {};
    for (const set of ["operands", "phrasing"] as const) {
      for (const skillClass of SKILL_CLASSES) {
        const problems = testSet(set, skillClass, this.options.problems);
        const answers = ask(engine, tokenizer, problems);
        const tallies = summarise(answers.map(({ problem, text }) => ({ problem, completion: text })));
        results[`${set}/${skillClass}`] = { fingerprint: fingerprint(problems), tallies };
      }
    }
    this.finish("evaluate", began, { results });
  }

  /** Writes the model directory for `weir run`, `weir serve` and others. */
  export(trainer: Trainer, directory: string): void {
    exportModel(directory, trainer.config, trainer.parameters, {
      leaveOut: trainer.built.context.constants,
      replace: true,
      dtype: "BF16",
      tokenizer: { kind: "tokenizer.json", path: this.path("tokenizer.json"), configPath: null },
      chatTemplate: r1Format.jinja,
      generationConfig: { bos_token_id: 0, eos_token_id: 1, pad_token_id: 2, do_sample: false },
    });
  }
}
