// The settings of `weir train`: one schema that validates, documents itself and answers a wrong name with the nearest right one.
import { parse } from "yaml";
import { z } from "zod";
import { OBJECTIVES } from "./policy-loss.ts";

const count = z.int().min(1);
const share = z.number().min(0).max(1);
const positive = z.number().positive();

const grpo = z.strictObject({
  objective: z
    .enum(Object.keys(OBJECTIVES) as [keyof typeof OBJECTIVES])
    .default("r1-zero")
    .describe("published settings to begin with"),
  clip_low: positive.optional().describe("lower half of the clip band, instead of the objective's"),
  clip_high: positive.optional().describe("upper half of the clip band"),
  beta: z.number().min(0).optional().describe("pull toward the reference model; 0 for none"),
  refresh_reference: z.int().min(0).default(400).describe("steps between refreshes of the reference; 0: never"),
  prompts: count.default(32).describe("prompts per step"),
  samples: z.int().min(2).max(128).default(8).describe("completions per prompt"),
  max_tokens: count.default(256).describe("most tokens of a completion"),
  temperature: positive.default(1).describe("of rollouts; the trainer uses the same"),
  top_k: z
    .int()
    .min(0)
    .max(20)
    .default(0)
    .describe("sample among so many tokens and keep the mask in the update; 0: among all"),
  top_p: positive.max(1).default(1).describe("with top_k: of those the likeliest that make up this share"),
  minibatches: count.default(1).describe("updates that share one set of rollouts"),
  epochs: count.default(1).describe("passes over each set of rollouts"),
  resample_rounds: z
    .int()
    .min(0)
    .default(0)
    .describe("dynamic sampling: rounds in which groups of equal reward are replaced"),
  overlong_buffer: z
    .int()
    .min(0)
    .default(0)
    .describe("tokens before max_tokens in which a penalty grows; 0: no penalty"),
  overlong_weight: z.number().min(0).default(1).describe("weight of that penalty"),
  keep_routing: z.boolean().default(false).describe("train along the experts that the rollout took"),
  random_reward: z.boolean().default(false).describe("the control: rewards replaced by a coin"),
  reward_timeout: positive.default(30).describe("seconds a reward may take"),
  rewards: z
    .array(
      z.strictObject({
        name: z.string().describe("exact, format, language, or a name for the module's function"),
        weight: z.number().default(1).describe("factor in the sum"),
        module: z
          .string()
          .optional()
          .describe("a JavaScript or TypeScript file whose default export is (row, completion) => number"),
      }),
    )
    .min(1)
    .default([{ name: "exact", weight: 1 }])
    .describe("what completions are rewarded for"),
});

const lora = z.strictObject({
  rank: count.default(16).describe("rank of the two factors"),
  alpha: positive.default(32).describe("the adapter is alpha/rank times their product"),
  from: z.string().optional().describe("directory of an adapter of this rank and alpha to go on from"),
  merge: z.boolean().default(false).describe("checkpoints hold whole models with the adapter merged in"),
});

export const SETTINGS = z.strictObject({
  method: z.enum(["pretrain", "sft", "grpo"]).describe("what kind of training"),
  out: z.string().min(1).describe("directory of the run: checkpoints, metrics.jsonl"),
  model: z.string().optional().describe("model directory to start from"),
  architecture: z
    .union([z.string(), z.record(z.string(), z.unknown())])
    .optional()
    .describe("instead of model: a config.json, or its content, for fresh weights"),
  tokenizer: z.string().optional().describe("directory with tokenizer.json; default: the model's"),
  chat_format: z.string().optional().describe("name of the chat format; default: the model's"),
  data: z
    .preprocess(
      // One file needs no list.
      (given) => (typeof given === "string" ? [{ path: given }] : given),
      z
        .array(
          z.strictObject({
            path: z.string().describe("JSON Lines or JSON, may be gzipped"),
            weight: z.number().min(0).default(1).describe("how often rows are drawn from it, against the others"),
          }),
        )
        .min(1),
    )
    .describe("files to train on"),
  steps: z.int().min(0).describe("updates in all"),
  lr: positive.default(1e-3).describe("peak learning rate"),
  batch_tokens: count.default(4096).describe("tokens per forward and backward pass"),
  recompute: z
    .boolean()
    .default(false)
    .describe("keep what enters each layer only and compute the rest again: less memory, more time"),
  accumulation: count.default(1).describe("passes per update"),
  context: count.optional().describe("most tokens per document; default: the model's, at most batch_tokens"),
  document_masks: z.boolean().default(true).describe("documents in one pack do not see each other"),
  fim_rate: share.default(0).describe("share of texts that get a hole to fill"),
  mtp_weight: z
    .number()
    .min(0)
    .default(0)
    .describe("weight of the loss of multi-token prediction; the model must have the modules"),
  prompt_weight: share.default(0).describe("loss weight of tokens the assistant did not write"),
  seed: z.int().default(1).describe("of data order, fresh weights and rollouts"),
  save_every: count.default(100).describe("steps between checkpoints"),
  keep: count.default(3).describe("checkpoints kept"),
  threads: count.optional().describe("threads to compute with"),
  device: z.enum(["native", "wasm", "reference"]).optional().describe("what computes; default: the best there is"),
  optimizer: z
    .strictObject({
      kind: z.enum(["muon", "adamw"]).default("muon").describe("muon: matrices by Muon, the rest by AdamW"),
      muon_lr: positive.optional().describe("Muon's peak rate; default: lr"),
      beta1: share.default(0.9).describe("AdamW's β1"),
      beta2: share.default(0.95).describe("AdamW's β2"),
      weight_decay: z.number().min(0).default(0.1).describe("of matrices"),
      max_grad_norm: z.number().min(0).default(1).describe("clipping; 0: none"),
    })
    .prefault({})
    .describe("the optimiser"),
  schedule: z
    .strictObject({
      kind: z.enum(["constant", "cosine", "wsd", "linear"]).default("wsd").describe("shape of the learning rate"),
      warmup_steps: z.int().min(0).default(20).describe("steps of linear warm-up"),
      decay_share: share.optional().describe("wsd: share of the steps in which the rate falls"),
      floor: share.optional().describe("where the fall ends, as a share of the peak"),
    })
    .prefault({})
    .describe("the learning rate over the run"),
  ema: z
    .number()
    .positive()
    .lt(1)
    .optional()
    .describe("decay of an average of the weights, written into every checkpoint as a model directory ema"),
  samples: z
    .strictObject({
      every: z.int().min(0).default(100).describe("steps between sample outputs; 0: none"),
      prompts: z
        .array(z.string())
        .optional()
        .describe("what they continue or answer; default: an empty text, or the first prompts of the data"),
      max_tokens: count.default(64).describe("most tokens of each"),
    })
    .prefault({})
    .describe("outputs of the model shown at intervals and kept in samples.jsonl"),
  balance: z
    .strictObject({
      bias_speed: z.number().min(0).optional().describe("γ of the selection bias; default 0.001, in grpo 0"),
      alpha: z.number().min(0).default(0).describe("strength of the sequence-wise balance loss"),
    })
    .prefault({})
    .describe("expert balance"),
  lora: lora
    .optional()
    .describe("train a low-rank adapter on all linear layers, experts included, and not the weights"),
  grpo: grpo.prefault({}).describe("reinforcement learning; read when method is grpo"),
});

export type Settings = z.infer<typeof SETTINGS>;

/** Settings that cannot be used; the message names the key and the way out. */
export class SettingsError extends Error {}

/** Changes of single characters that turn one word into the other (Levenshtein). */
export function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length];
}

export const nearest = (word: string, words: readonly string[]): string | undefined =>
  [...words].sort((a, b) => distance(word, a) - distance(word, b))[0];

interface JsonSchema {
  properties?: Record<string, JsonSchema>;
  items?: JsonSchema;
  description?: string;
  default?: unknown;
  enum?: unknown[];
}

const schema = (): JsonSchema => z.toJSONSchema(SETTINGS, { io: "input" }) as JsonSchema;

/** Every setting with its default and meaning, a line each. */
export function describeSettings(): string {
  const lines: string[] = [];
  const walk = (of: JsonSchema, indent: string): void => {
    for (const [name, field] of Object.entries(of.properties ?? {})) {
      const nested = field.properties || field.items?.properties;
      const choices = field.enum ? ` (${field.enum.join(" | ")})` : "";
      const given = field.default !== undefined && !nested ? ` [${JSON.stringify(field.default)}]` : "";
      lines.push(`${`${indent}${name}:`.padEnd(22)} ${field.description ?? ""}${choices}${given}`);
      if (field.properties) walk(field, `${indent}  `);
      if (field.items?.properties) walk(field.items, `${indent}  - `);
    }
  };
  walk(schema(), "");
  return lines.join("\n");
}

/** One thing that is wrong with settings, in words. */
function complaint(issue: z.core.$ZodIssue, given: unknown): string {
  const at = issue.path.join(".");
  if (issue.code === "unrecognized_keys") {
    let of: JsonSchema | undefined = schema();
    for (const part of issue.path) of = typeof part === "number" ? of?.items : of?.properties?.[String(part)];
    const [key] = issue.keys;
    const near = nearest(key, Object.keys(of?.properties ?? {}));
    return `there is no setting ${at ? `${at}.` : ""}${key}${near ? `; did you mean ${near}?` : ""}`;
  }
  const found = issue.path.reduce<unknown>(
    (of, part) => (of as Record<PropertyKey, unknown> | undefined)?.[part],
    given,
  );
  if (found === undefined && issue.path.length === 1) {
    const { description } = schema().properties?.[at] ?? {};
    return `${at} is missing${description ? ` (${description})` : ""}`;
  }
  return `${at || "settings"}: ${issue.message}`;
}

/** Checks settings. Throws SettingsError naming all that is wrong, misspelt names first. */
export function readSettings(given: unknown): Settings {
  const result = SETTINGS.safeParse(given);
  if (!result.success) {
    const misspelt = (issue: z.core.$ZodIssue) => issue.code === "unrecognized_keys";
    const issues = [...result.error.issues].sort((a, b) => Number(misspelt(b)) - Number(misspelt(a)));
    throw new SettingsError(issues.map((issue) => complaint(issue, given)).join("\n  "));
  }
  const settings = result.data;
  if ((settings.model === undefined) === (settings.architecture === undefined))
    throw new SettingsError("give either model (a directory to start from) or architecture (for fresh weights)");
  if (settings.grpo.top_p < 1 && settings.grpo.top_k === 0)
    throw new SettingsError("grpo.top_p needs grpo.top_k (at most 20): the tokens it keeps are kept in the update too");
  if (settings.ema !== undefined && (settings.lora !== undefined || settings.method === "grpo"))
    throw new SettingsError("ema averages the weights of pretrain and sft; leave it out with lora and in grpo");
  if (settings.lora !== undefined && settings.model === undefined)
    throw new SettingsError("lora adapts a model that is there: give model, not architecture");
  if (settings.lora !== undefined && settings.method !== "sft" && settings.method !== "pretrain")
    throw new SettingsError(`lora is for sft and pretrain; ${settings.method} trains all weights`);
  if (settings.architecture !== undefined && settings.tokenizer === undefined)
    throw new SettingsError("fresh weights need a tokenizer: make one with weir tokenizer train");
  return settings;
}

/** Settings from YAML (or JSON). Throws SettingsError naming line and column of what is no YAML. */
export function parseSettings(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    throw new SettingsError(`not YAML: ${(error as Error).message.split("\n")[0]}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new SettingsError("the file must hold settings, one `name: value` a line");
  return value as Record<string, unknown>;
}
