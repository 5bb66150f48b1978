// Who makes completions for reinforcement learning, rejection sampling and evaluation: one engine in this thread, or several in threads
// of their own over copies of the weights. Tokens depend on prompt, seed and weights only, so both give the same completions.
import { Worker } from "node:worker_threads";
import type { ModelConfig } from "../checkpoint/config.ts";
import type { ModelOptions } from "../engine/model.ts";
import type { SamplingParameters } from "../engine/types.ts";
import type { Dtype } from "../tensor/dtype.ts";
import type { Parameters } from "./parameters.ts";
import type { Rollout, RolloutRequest } from "./rollout.ts";

export interface RolloutOptions {
  samples: number;
  maxTokens: number;
  sampling: SamplingParameters;
  startsInThinking?: boolean;
  /** Whether the experts of every token are reported. */
  routes?: boolean;
  /** Report the tokens that truncation kept, at most so many per token. */
  kept?: number;
}

export interface Sampler {
  readonly config: ModelConfig;
  /** `samples` completions of every prompt, prompt after prompt. */
  rollouts(
    requests: readonly RolloutRequest[],
    options: RolloutOptions,
    ends: ReadonlySet<number>,
  ): Rollout[] | Promise<Rollout[]>;
  /** Later completions are those of these weights. */
  weightsChanged(parameters: Parameters): void;
}

export interface SamplerSetup {
  config: ModelConfig;
  /** tokenizer.json's content. */
  tokenizer: Record<string, unknown>;
  model: ModelOptions;
  weights: { name: string; dtype: Dtype; shape: number[]; offset: number; bytes: number }[];
  memory: SharedArrayBuffer;
}

export type ToSampler =
  | { type: "weights" }
  | { type: "rollouts"; requests: RolloutRequest[]; options: RolloutOptions; ends: number[] };

export type FromSampler = { rollouts: Rollout[] } | { failure: string };

const bytesOf = (view: ArrayBufferView): Uint8Array => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

/** Engines in threads of their own, one processor each. */
export class SamplerPool implements Sampler {
  readonly config: ModelConfig;
  private readonly setup: SamplerSetup;
  private readonly workers: Worker[];
  private failure: Error | undefined;

  constructor(
    config: ModelConfig,
    tokenizer: Record<string, unknown>,
    parameters: Parameters,
    options: { workers: number; model: ModelOptions },
  ) {
    this.config = config;
    let bytes = 0;
    const weights = Object.entries(parameters).map(([name, buffer]) => {
      const size = buffer.view().byteLength;
      const offset = bytes;
      bytes += size;
      return { name, dtype: buffer.dtype, shape: [...buffer.shape], offset, bytes: size };
    });
    this.setup = { config, tokenizer, model: options.model, weights, memory: new SharedArrayBuffer(bytes) };
    this.write(parameters);
    this.workers = Array.from(
      { length: Math.max(1, options.workers) },
      () => new Worker(new URL("./sampler-worker.ts", import.meta.url), { workerData: this.setup }),
    );
    // Between two requests a thread must not keep the process alive, nor its failure end it: the next request tells.
    for (const worker of this.workers)
      worker
        .on("error", (error) => {
          this.failure ??= error as Error;
        })
        .unref();
  }

  private write(parameters: Parameters): void {
    const memory = new Uint8Array(this.setup.memory);
    for (const { name, offset } of this.setup.weights) memory.set(bytesOf(parameters[name].view()), offset);
  }

  /** Not while completions are being made: the threads read the same memory. */
  weightsChanged(parameters: Parameters): void {
    this.write(parameters);
    for (const worker of this.workers) worker.postMessage({ type: "weights" } satisfies ToSampler);
  }

  /** Prompts are dealt to the threads in turn. Throws what a thread failed of. */
  async rollouts(
    requests: readonly RolloutRequest[],
    options: RolloutOptions,
    ends: ReadonlySet<number>,
  ): Promise<Rollout[]> {
    const count = this.workers.length;
    const shares = await Promise.all(
      this.workers.map((worker, w) => {
        const mine = requests.filter((_, r) => r % count === w);
        if (mine.length === 0) return Promise.resolve([]);
        return this.ask(worker, { type: "rollouts", requests: mine, options, ends: [...ends] });
      }),
    );
    const { samples } = options;
    return requests.flatMap((_, r) => {
      const at = Math.floor(r / count) * samples;
      return shares[r % count].slice(at, at + samples);
    });
  }

  private ask(worker: Worker, message: ToSampler): Promise<Rollout[]> {
    if (this.failure) return Promise.reject(this.failure);
    return new Promise((resolve, reject) => {
      const settle = (act: () => void): void => {
        worker.off("message", onMessage).off("error", onError).off("exit", onExit).unref();
        act();
      };
      const onMessage = (reply: FromSampler): void =>
        settle(() => ("failure" in reply ? reject(new Error(reply.failure)) : resolve(reply.rollouts)));
      const onError = (error: unknown): void => settle(() => reject(error));
      const onExit = (): void => settle(() => reject(new Error("a sampling thread has ended")));
      worker.ref();
      worker.on("message", onMessage).on("error", onError).on("exit", onExit);
      worker.postMessage(message);
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.terminate()));
  }
}
