// The flags that every command with a model understands, and what they mean to the engine.
import type { OpenOptions } from "../engine/open.ts";
import type { SamplingParameters } from "../engine/types.ts";
import { UsageError } from "./command.ts";

export const MODEL_FLAGS = {
  device: { type: "string" },
  threads: { type: "string" },
  context: { type: "string" },
  weights: { type: "string" },
  cache: { type: "string" },
  temperature: { type: "string" },
  "top-p": { type: "string" },
  "top-k": { type: "string" },
  seed: { type: "string" },
  "max-tokens": { type: "string" },
} as const;

export type ModelFlags = { [K in keyof typeof MODEL_FLAGS]?: string };

export const MODEL_HELP = `  --device D        native, wasm or reference (default: the best there is)
  --threads N       threads to compute with
  --context N       most tokens of prompt and answer together
  --weights T       how float weights are held: f32, q8_0 or q4_0 (default f32)
  --cache T         how keys and values are held: f32, bf16 or i8 (default f32)
  --temperature X   0 always takes the likeliest token (default: the model's own)
  --top-p X, --top-k N, --seed N, --max-tokens N`;

function number(name: string, text: string | undefined, whole = false): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value) || (whole && !Number.isInteger(value))) {
    throw new UsageError(`--${name} must be a ${whole ? "whole " : ""}number, not '${text}'`);
  }
  return value;
}

/** A TCP port; 0 takes a free one. Throws UsageError. */
export function portOf(text: string): number {
  const port = number("port", text, true) as number;
  if (port < 0 || port > 65535) throw new UsageError(`--port must lie between 0 and 65535, not ${text}`);
  return port;
}

function choice<T extends string>(name: string, text: string | undefined, ...choices: T[]): T | undefined {
  if (text !== undefined && !choices.includes(text as T))
    throw new UsageError(`--${name} must be ${choices.join(", ")}, not '${text}'`);
  return text as T | undefined;
}

/** Drops what is undefined, so that defaults downstream apply. */
const given = <T extends object>(fields: T): T =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;

export const openOptions = (flags: ModelFlags): OpenOptions =>
  given({
    device: choice("device", flags.device, "native", "wasm", "reference"),
    threads: number("threads", flags.threads, true),
    context: number("context", flags.context, true),
    weights: choice("weights", flags.weights, "f32", "q8_0", "q4_0"),
    cacheDtype: choice("cache", flags.cache, "f32", "bf16", "i8"),
  });

export const samplingOf = (flags: ModelFlags): SamplingParameters =>
  given({
    temperature: number("temperature", flags.temperature),
    topP: number("top-p", flags["top-p"]),
    topK: number("top-k", flags["top-k"], true),
    seed: number("seed", flags.seed, true),
  });

export const maxTokensOf = (flags: ModelFlags): number | undefined => number("max-tokens", flags["max-tokens"], true);
