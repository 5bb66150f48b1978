// What a run has done, as record.json: the only source of the report, the comparison and the model card. Types, reading, writing.
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TaskKind } from "../tutor/rewards.ts";
import type { Distilled } from "./distill.ts";
import type { Evaluation, PassAtK } from "./evaluate.ts";
import type { Learnt } from "./learn.ts";
import type { PresetName } from "./presets.ts";
import type { Reinforced } from "./reinforce.ts";

/** In their order. `more-sft` and `distill` are controls': what they do in place of reinforcement. */
export const STAGES = [
  "tokenizer",
  "pretrain",
  "cold-start",
  "reasoning-rl",
  "more-sft",
  "distill",
  "rejection-sft",
  "scenario-rl",
  "evaluate",
  "export",
  "report",
] as const;
export type Stage = (typeof STAGES)[number];

/**
 * What a run is compared with: rewards that know nothing, a dense model of equal active size, and in place of reinforcement, at equal
 * arithmetic of the model that learns: more supervised learning, a larger teacher's right answers, a larger teacher's probabilities.
 */
export const CONTROLS = ["random-reward", "dense", "sft-only", "distill-sequences", "distill-logits"] as const;
export type Control = (typeof CONTROLS)[number];

export interface StageRecord {
  /** Of the whole stage, evaluation left out. */
  seconds: number;
  flops: number;
  learnt?: Learnt;
  reinforced?: Reinforced;
  distilled?: Distilled;
  /** Distillation: the teacher's run, and its arithmetic, which is in no other figure. */
  teacher?: { run: string; flops: number };
  /** Rejection sampling: problems asked, answers sampled, answers kept. */
  sampled?: { problems: number; answers: number; kept: number };
  /** Starting state of pretraining, where one was given. */
  init?: string;
}

export interface RecipeRecord {
  recipe: "r1";
  preset: PresetName;
  /** Size of the vocabulary: the preset's, or that of the tokenizer that was given. */
  vocab: number;
  seed: number;
  control: Control | null;
  /** The run whose stages before the control's own are used. */
  from: string | null;
  parameters: { total: number; active: number };
  machine: string;
  stages: Partial<Record<Stage, StageRecord>>;
  /** After each stage that trains; `evaluate` is the full one. */
  evaluations: Partial<Record<Stage, Evaluation>>;
  /** Pass rate of every kind of task after the cold start, and the kinds that reinforcement learning gets. */
  reach?: { rates: Record<string, number>; kinds: TaskKind[] };
  passAtK: { before?: PassAtK; after?: PassAtK };
}

export function writeAtomic(path: string, text: string): void {
  writeFileSync(`${path}.partial`, text);
  renameSync(`${path}.partial`, path);
}

/** The record of a run directory, undefined where there is none. Throws Error where the file is not one. */
export function readRecord(directory: string): RecipeRecord | undefined {
  const path = join(directory, "record.json");
  if (!existsSync(path)) return undefined;
  let record: RecipeRecord;
  try {
    record = JSON.parse(readFileSync(path, "utf8")) as RecipeRecord;
  } catch (error) {
    throw new Error(`${path} is not JSON: ${(error as Error).message}; give another directory`);
  }
  if (record?.recipe !== "r1" || typeof record.stages !== "object" || typeof record.evaluations !== "object")
    throw new Error(`${path} is not a record of this recipe; give another directory`);
  return record;
}

export const writeRecord = (directory: string, record: RecipeRecord): void =>
  writeAtomic(join(directory, "record.json"), `${JSON.stringify(record, null, 1)}\n`);
