// Asks a model the tutor's test problems, all in one batch, and judges the answers. Which problems and how they are counted is
// tutor/evaluation.ts.
import type { LocalEngine } from "../../engine/local-engine.ts";
import type { EngineEvent, GenerateRequest, SamplingParameters } from "../../engine/types.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import type { Problem } from "../tutor/problem.ts";
import { type Verdict, verify } from "../tutor/verify.ts";
import { promptText } from "./corpus.ts";

export interface Answer {
  problem: Problem;
  /** Thinking, `</think>` and reply as the model wrote them. */
  text: string;
  tokens: number;
  /** False where the room ran out before the end. */
  ended: boolean;
  verdict: Verdict;
}

const textOf = (events: readonly EngineEvent[]): string =>
  events.map((event) => (event.type === "token" ? event.text : "")).join("");

/** A request for the answer to one question. */
export function question(
  tokenizer: Tokenizer,
  text: string,
  maxTokens: number,
  sampling: SamplingParameters,
): GenerateRequest {
  return {
    prompt: tokenizer.encode(promptText(text), { parseSpecial: true }),
    maxTokens,
    sampling,
    startsInThinking: true,
  };
}

/** Answers and verdicts in the problems' order; greedy unless `sampling` says otherwise. */
export function ask(
  engine: LocalEngine,
  tokenizer: Tokenizer,
  problems: readonly Problem[],
  options: { maxTokens?: number; sampling?: SamplingParameters } = {},
): Answer[] {
  const { maxTokens = 640, sampling = { temperature: 0 } } = options;
  const streams = engine.generateAll(
    problems.map((problem) => question(tokenizer, problem.question, maxTokens, sampling)),
  );
  return streams.map((events, i) => {
    const text = textOf(events);
    const finish = events.find((event) => event.type === "finish");
    return {
      problem: problems[i],
      text,
      tokens: events.filter((event) => event.type === "token").length,
      ended: finish?.type === "finish" && finish.reason === "stop",
      verdict: verify(problems[i], text),
    };
  });
}
