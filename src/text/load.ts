// Loads a tokenizer from a path: a model directory or tokenizer.json, a tiktoken rank file (plain or gzipped), llama2.c's
// tokenizer.bin. GGUF files are opened by checkpoint/, which hands their metadata to gguf.ts.

import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { TextError } from "./errors.ts";
import { tokenizerFromHuggingFace } from "./huggingface.ts";
import type { PatternName } from "./patterns.ts";
import { tokenizerFromLlama2c } from "./sentencepiece.ts";
import { tokenizerFromTiktoken } from "./tiktoken.ts";
import type { Tokenizer } from "./tokenizer.ts";

export interface LoadOptions {
  /** The pre-tokenizer of a tiktoken file, which names none. */
  pattern?: PatternName;
  /** Which model's overrides of a special-token table to apply (tiktoken files only). */
  table?: string;
}

/** A vocabulary larger than this is damaged or hostile. */
const MAX_BYTES = 256 << 20;

function readBytes(path: string): Uint8Array {
  const { size } = statSync(path);
  if (size > MAX_BYTES) throw new TextError(`${path} has ${size} bytes; no tokenizer file is that large`);
  return readFileSync(path);
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(readBytes(path)));
  } catch (cause) {
    if (cause instanceof SyntaxError) throw new TextError(`${path} is not JSON: ${cause.message}`, { cause });
    throw cause;
  }
}

/** The tokenizer at `path`. @throws TextError when nothing there can be read as one. */
export function loadTokenizer(path: string, options: LoadOptions = {}): Tokenizer {
  if (!existsSync(path)) throw new TextError(`${path} does not exist`);
  if (statSync(path).isDirectory()) {
    const file = join(path, "tokenizer.json");
    if (!existsSync(file)) throw new TextError(`${path} has no tokenizer.json`);
    return loadTokenizer(file, options);
  }
  if (path.endsWith(".json")) {
    const beside = (name: string) => {
      const file = join(dirname(path), name);
      return existsSync(file) ? readJson(file) : undefined;
    };
    return tokenizerFromHuggingFace({
      tokenizer: readJson(path),
      config: beside("tokenizer_config.json"),
      generation: beside("generation_config.json"),
    });
  }
  if (path.endsWith(".tiktoken") || path.endsWith(".tiktoken.gz")) {
    const bytes = readBytes(path);
    const ranks = path.endsWith(".gz") ? gunzipSync(bytes, { maxOutputLength: MAX_BYTES }) : bytes;
    const specialFile = path.replace(/\.tiktoken(\.gz)?$/, "-special.json");
    return tokenizerFromTiktoken(ranks, {
      pattern: options.pattern ?? "deepseek-v3",
      specials: existsSync(specialFile) ? readSpecials(specialFile, options.table ?? "v4") : [],
    });
  }
  if (path.endsWith(".bin")) return tokenizerFromLlama2c(readBytes(path));
  throw new TextError(`${path}: a model directory, tokenizer.json, .tiktoken(.gz) or tokenizer.bin file was expected`);
}

/** A special-token table: `tokens` of {id, text}, and per model `overrides` that give ids another text. */
function readSpecials(path: string, table: string): { id: number; content: string }[] {
  const root = readJson(path) as { tokens?: unknown; overrides?: Record<string, unknown> } | null;
  const byId = new Map<number, string>();
  const overrides = root?.overrides ?? {};
  for (const list of [root?.tokens, Object.hasOwn(overrides, table) ? overrides[table] : []]) {
    if (!Array.isArray(list)) throw new TextError(`${path}: tokens and overrides are lists of {id, text}`);
    for (const entry of list as { id?: unknown; text?: unknown }[]) {
      if (!Number.isInteger(entry?.id) || typeof entry.text !== "string") {
        throw new TextError(`${path}: ${JSON.stringify(entry)} is not {id, text}`);
      }
      byId.set(entry.id as number, entry.text);
    }
  }
  return [...byId].map(([id, content]) => ({ id, content }));
}
