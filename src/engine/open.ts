// From a path to something that answers: checkpoint, tokenizer, chat format and engine. The one loader of the chat command, the
// server and the evaluation.
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import { type ByteSource, MemorySource, type OpenSource, openFile } from "../checkpoint/byte-source.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { openCheckpoint } from "../checkpoint/model-directory.ts";
import { countParameters } from "../checkpoint/tensors.ts";
import { type DeviceOptions, openDevice } from "../tensor/devices.ts";
import type { ChatFormat } from "../text/chat/format.ts";
import { chatFormatFor } from "../text/chat/select.ts";
import { ggufVocabulary, tokenizerFromGguf } from "../text/gguf.ts";
import { loadTokenizer } from "../text/load.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import type { DiskCacheOptions } from "./disk-cache.ts";
import { GrammarText, PromptLookup } from "./drafters.ts";
import { LocalEngine } from "./local-engine.ts";
import { type ModelOptions, ServedModel } from "./model.ts";
import { MtpDrafter } from "./mtp-drafter.ts";
import { weightsHash } from "./weights-hash.ts";

type GrammarModule = typeof import("./grammar/compile.ts");

/** Loads the grammars' modules with the first request that has one: most starts do without them. */
const compileGrammar: GrammarModule["compileGrammar"] = (grammar, tokenizer) =>
  (createRequire(import.meta.url)("./grammar/compile.ts") as GrammarModule).compileGrammar(grammar, tokenizer);

export interface OpenOptions extends ModelOptions, DeviceOptions {
  /** Requests that may wait. */
  queue?: number;
  /** False: no tokens are guessed ahead. They are otherwise, wherever that has been measured to save time. */
  guess?: boolean;
  /** Where prefixes are kept across restarts; absent: as WEIR_PREFIX_CACHE says, by default in memory only. */
  diskCache?: DiskCacheOptions;
}

/** Tokenizer and chat format of a checkpoint. Throws where it has no vocabulary. */
export function languageOf(checkpoint: Checkpoint): { tokenizer: Tokenizer; chat: ChatFormat } {
  const { tokenizer: source, chatTemplate, config } = checkpoint;
  if (!source) throw new Error(`${checkpoint.path} has no tokenizer; put tokenizer.json beside the weights`);
  const tokenizer =
    source.kind === "gguf"
      ? tokenizerFromGguf(ggufVocabulary((key) => source.vocabulary.get(key)))
      : loadTokenizer(source.path);
  const stated = config.extra.weir_chat_format;
  const chat = chatFormatFor({
    ...(typeof stated === "string" && { stated }),
    architecture: config.family,
    chatTemplate,
    hasToken: (text) => tokenizer.idOf(text) !== undefined,
  });
  return { tokenizer, chat };
}

/**
 * How weight files are opened: mapped into memory where the native kernels are there, else read by position. What `readInto` copies
 * is read by position in either case: a page fault in a map fetches its neighbourhood with it. `release` lets the system take back the
 * memory of all that was read from maps; reading it again reads the file again.
 */
export async function weightFiles(): Promise<{ open: OpenSource; release: () => void }> {
  let native: typeof import("../tensor/native.ts");
  try {
    native = await import("../tensor/native.ts");
    native.nativeIsas();
  } catch {
    return { open: openFile, release: () => {} };
  }
  const mapped: Uint8Array[] = [];
  const open = (path: string): ByteSource => {
    const file = openFile(path);
    let bytes: Uint8Array;
    try {
      bytes = native.mapFile(path);
    } catch {
      return file;
    }
    mapped.push(bytes);
    const map = new MemorySource(path, bytes);
    return {
      name: path,
      size: map.size,
      read: (offset, length) => map.read(offset, length),
      readInto: (offset, target) => file.readInto(offset, target),
      close: () => file.close(),
    };
  };
  return { open, release: () => mapped.forEach((bytes) => native.forget(bytes)) };
}

/** Below this many active parameters a second thread costs more at the barriers than it computes. */
const SINGLE_THREAD_PARAMETERS = 20e6;

/** One thread for small models, undefined (the device's default) for others and where WEIR_THREADS decides. */
export const defaultThreads = (checkpoint: Checkpoint): number | undefined =>
  process.env.WEIR_THREADS === undefined && countParameters(checkpoint.config).active < SINGLE_THREAD_PARAMETERS
    ? 1
    : undefined;

/** WEIR_PREFIX_CACHE=GIGABYTES keeps prefixes in `prefixes/` of WEIR_HOME (~/.weir). Off unless asked for: they hold what users wrote. */
function diskCacheOfEnvironment(): DiskCacheOptions | undefined {
  const text = process.env.WEIR_PREFIX_CACHE;
  if (text === undefined || text === "") return undefined;
  const gigabytes = Number(text);
  if (!(gigabytes >= 0)) throw new RangeError(`WEIR_PREFIX_CACHE is '${text}'; a number of gigabytes was expected`);
  if (gigabytes === 0) return undefined;
  const directory = join(process.env.WEIR_HOME ?? join(homedir(), ".weir"), "prefixes");
  return { directory, maxBytes: gigabytes * 2 ** 30 };
}

/** Opens a model directory or GGUF file in this thread. */
export async function openModel(
  path: string,
  options: OpenOptions = {},
): Promise<{ engine: LocalEngine; tokenizer: Tokenizer; chat: ChatFormat }> {
  const { open, release } = await weightFiles();
  const checkpoint = openCheckpoint(path, open);
  try {
    const { tokenizer, chat } = languageOf(checkpoint);
    const device = await openDevice({ ...options, threads: options.threads ?? defaultThreads(checkpoint) });
    const identity = weightsHash(checkpoint);
    release();
    const served = new ServedModel(device, checkpoint.config, { checkpoint, release }, options);
    const engine = new LocalEngine(served, {
      name: basename(path),
      tokenizer,
      compileGrammar,
      queue: options.queue,
      weightsHash: identity,
      ...(options.guess !== false && {
        drafters: [new GrammarText(), new PromptLookup(), ...(served.draft ? [new MtpDrafter(served)] : [])],
      }),
      diskCache: options.diskCache ?? diskCacheOfEnvironment(),
      baseWeights: () => openCheckpoint(path),
    });
    return { engine, tokenizer, chat };
  } finally {
    checkpoint.close();
  }
}
