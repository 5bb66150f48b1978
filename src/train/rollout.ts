// One completion as reinforcement learning needs it, and the making of them on the inference engine: token ids, the sampler's own
// log-probabilities, the experts taken, the seed. Rewards and updates are grpo.ts's.
import type { LocalEngine } from "../engine/local-engine.ts";
import type { EngineEvent } from "../engine/types.ts";
import { completionMask } from "./policy-loss.ts";
import type { RolloutOptions } from "./sampler.ts";

export interface Rollout {
  prompt: Int32Array;
  ids: Int32Array;
  /** Per token, under the processed distribution. */
  logp: Float32Array;
  /** 1 where the policy chose the token; 0 where it was forced, or came after the end. */
  mask: Float32Array;
  /** Experts of the row that gave each token, layer after layer; empty for dense models. */
  routes: Uint16Array[];
  /** Tokens that truncation left to choose from, per token; empty where that was not asked for. */
  kept: Int32Array[];
  /** The request's seed and which of its completions this is: together they give the same tokens again. */
  seed: number;
  index: number;
  text: string;
  /** False where the room ran out. */
  ended: boolean;
}

export interface RolloutRequest {
  prompt: Int32Array;
  seed: number;
}

/** `samples` completions of every prompt, prompt after prompt. */
export function rollouts(
  engine: LocalEngine,
  requests: readonly RolloutRequest[],
  options: RolloutOptions,
  ends: ReadonlySet<number>,
): Rollout[] {
  const { samples, maxTokens, sampling, startsInThinking, routes = true, kept } = options;
  const streams = engine.generateAll(
    requests.map(({ prompt, seed }) => ({
      prompt,
      n: samples,
      maxTokens,
      sampling: { ...sampling, seed },
      routes: routes && engine.model.experts > 0,
      topLogprobs: kept,
      startsInThinking,
      stopTokens: [...ends],
    })),
  );
  return requests.flatMap(({ prompt, seed }, r) =>
    Array.from({ length: samples }, (_, index) => read(streams[r], { prompt, seed, index }, ends)),
  );
}

function read(
  events: readonly EngineEvent[],
  { prompt, seed, index }: RolloutRequest & { index: number },
  ends: ReadonlySet<number>,
): Rollout {
  const tokens = events.filter((event) => event.type === "token").filter((event) => event.index === index);
  const finish = events.find((event) => event.type === "finish" && event.index === index);
  const ids = Int32Array.from(tokens, ({ id }) => id);
  const mask = completionMask(ids, ends);
  tokens.forEach(({ forced }, t) => {
    if (forced) mask[t] = 0;
  });
  return {
    prompt,
    ids,
    logp: Float32Array.from(tokens, ({ logprob }) => logprob),
    mask,
    routes: tokens.flatMap(({ routes }) => (routes ? [routes] : [])),
    kept: tokens.flatMap(({ topLogprobs }) =>
      topLogprobs
        ? [
            Int32Array.from(
              topLogprobs.filter(({ logprob }) => logprob > -Infinity),
              ({ id }) => id,
            ),
          ]
        : [],
    ),
    seed,
    index,
    text: tokens.map(({ text }) => text).join(""),
    ended: finish?.type === "finish" && finish.reason === "stop",
  };
}
