// What a suite and the process that runs one engine say to each other. Engines run in processes of their own, so that peak memory is
// theirs alone and one's threads do not disturb the other.
import { type ChildProcess, fork } from "node:child_process";

export interface Load {
  file: string;
  /** Most tokens per sequence, and sequences at once. */
  context: number;
  streams: number;
  device?: "native" | "wasm";
  /** Most threads that will be asked for, where that must be known when loading. */
  threads?: number;
  cacheDtype?: "f32" | "bf16" | "i8";
}

export interface Loaded {
  loadMs: number;
  /** Bytes of weights and cache as held, where the engine says it. */
  weightBytes?: number;
  cacheBytes?: number;
  cacheBytesPerToken?: number;
  /** Peak resident bytes of the process before the model was opened. */
  bareBytes: number;
}

export interface Measure {
  prompt: number;
  generate: number;
  streams: number;
  threads: number;
  /** Makes prompts differ from round to round, so that no prefix is found again. */
  round: number;
}

export interface Measured {
  /** From submission to the first token (of the last stream). */
  prefillMs: number;
  /** From then to the last token. */
  decodeMs: number;
  peakBytes: number;
}

/** Distinct prompts. */
export const promptOf = ({ prompt, round, threads }: Measure, stream: number, vocab: number): number[] =>
  Array.from(
    { length: prompt },
    (_, i) => (((i + 1) * 2654435761 + ((round * 4 + threads) * 100 + stream) * 40503) >>> 3) % vocab,
  );

export const peakBytes = (): number => process.resourceUsage().maxRSS * 1024;

/** Serves one engine to the parent process. */
export function serve(
  load: (options: Load) => Promise<Loaded>,
  measure: (options: Measure) => Promise<Measured>,
): void {
  process.on("message", async ({ what, options }: { what: "load" | "measure"; options: Load & Measure }) => {
    try {
      process.send?.({ result: await (what === "load" ? load(options) : measure(options)) });
    } catch (error) {
      process.send?.({ failure: (error as Error).stack });
    }
  });
}

/** An engine in its process. */
export class Runner {
  private readonly child: ChildProcess;

  constructor(engine: "weir" | "llama") {
    this.child = fork(new URL(`./${engine}.ts`, import.meta.url), { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  }

  private ask<T>(what: "load" | "measure", options: Load | Measure): Promise<T> {
    return new Promise((resolve, reject) => {
      const gone = (): void => reject(new Error("the engine's process ended"));
      this.child.once("exit", gone);
      this.child.once("message", ({ result, failure }: { result?: T; failure?: string }) => {
        this.child.off("exit", gone);
        if (failure === undefined) resolve(result as T);
        else reject(new Error(failure));
      });
      this.child.send({ what, options });
    });
  }

  load(options: Load): Promise<Loaded> {
    return this.ask("load", options);
  }

  measure(options: Measure): Promise<Measured> {
    return this.ask("measure", options);
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.kill();
    await ended;
  }
}
