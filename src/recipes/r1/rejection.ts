// Rejection sampling: the model answers many problems several times, what the verifier accepts is kept as conversations to learn
// from. Kept chunk by chunk on disk, so that a killed run goes on.
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Conversation } from "../../text/conversation.ts";
import { type MixtureOptions, mixture, skillWeights, userMessage } from "../tutor/mixture.ts";
import { type Problem, SKILL_CLASSES, type SkillClass } from "../tutor/problem.ts";
import { random } from "../tutor/random.ts";
import { skill } from "../tutor/registry.ts";
import { splitCompletion } from "../tutor/verify.ts";
import { type Answer, type Asked, ask } from "./evaluate.ts";
import { writeAtomic } from "./record.ts";

/** Problems per chunk. */
const CHUNK = 200;
/** Different right answers kept of one problem. */
const KEPT = 2;

interface Chunk {
  answers: number;
  flops: number;
  kept: Conversation[];
}

const accepted = ({ verdict, ended }: Answer): boolean =>
  ended && verdict.correct && verdict.formatOk && verdict.languageOk && verdict.answerAgrees;

async function sampleChunk(asked: Asked, problems: Problem[], samples: number, seed: number): Promise<Chunk> {
  const { answers, flops } = await ask(asked, problems, { samples, sampling: { temperature: 1 }, seed });
  const kept: Conversation[] = [];
  for (let i = 0; i < problems.length; i++) {
    const right = answers.slice(i * samples, (i + 1) * samples).filter(accepted);
    for (const text of [...new Set(right.map((answer) => answer.text))].slice(0, KEPT)) {
      const { reasoningContent, content } = splitCompletion(text);
      kept.push({ messages: [userMessage(problems[i]), { role: "assistant", reasoningContent, content }] });
    }
  }
  return { answers: answers.length, flops, kept };
}

/** Asks `count` problems of the stream, or as many as `seconds` allow, and returns what was right. */
export async function rejectionSample(
  asked: Asked,
  stream: Iterator<Problem>,
  options: { directory: string; problems: number; samples: number; seed: number; seconds?: number },
  report: (done: number, total: number) => void = () => {},
): Promise<{ kept: Conversation[]; problems: number; answers: number; flops: number }> {
  mkdirSync(options.directory, { recursive: true });
  const all = { kept: [] as Conversation[], problems: 0, answers: 0, flops: 0 };
  const began = performance.now();
  for (let chunk = 0; all.problems < options.problems; chunk++) {
    if (options.seconds !== undefined && (performance.now() - began) / 1000 > options.seconds) break;
    const size = Math.min(CHUNK, options.problems - all.problems);
    const problems = Array.from({ length: size }, () => stream.next().value as Problem);
    const path = join(options.directory, `${String(chunk).padStart(4, "0")}.json`);
    let found: Chunk;
    if (existsSync(path)) found = JSON.parse(readFileSync(path, "utf8")) as Chunk;
    else {
      found = await sampleChunk(asked, problems, options.samples, options.seed + chunk);
      writeAtomic(path, JSON.stringify(found));
    }
    all.kept.push(...found.kept);
    all.problems += size;
    all.answers += found.answers;
    all.flops += found.flops;
    report(all.problems, options.problems);
  }
  return all;
}

/** The part of a corpus in these classes, undefined where it has nothing of them. */
export function only(corpus: MixtureOptions, classes: readonly SkillClass[]): MixtureOptions | undefined {
  const kept = skillWeights(corpus).filter(({ id }) => classes.includes(skill(id).class));
  if (kept.length === 0) return undefined;
  const nothing = Object.fromEntries(SKILL_CLASSES.map((name) => [name, 0]));
  return { ...corpus, classes: nothing, skills: Object.fromEntries(kept.map(({ id, weight }) => [id, weight])) };
}

/**
 * What rejection-sampling SFT learns from: of ten conversations four that were kept (in a new order every time round), two about
 * manners, four from the curated corpus.
 */
export function* mixed(
  kept: readonly Conversation[],
  corpus: MixtureOptions,
  seed: number,
): Generator<Conversation, never> {
  const rng = random(`rejection ${seed}`);
  const manners = mixture(only(corpus, ["manners"]) ?? corpus, `manners ${seed}`);
  const general = mixture(corpus, `general ${seed}`);
  const own = kept.length > 0 ? again(kept, seed) : undefined;
  for (;;) {
    const mark = rng.next();
    if (mark < 0.4 && own) yield own.next().value;
    else yield mark < 0.6 ? manners.next().value : general.next().value;
  }
}

/** Conversations over and over, in a new order every time round. Throws RangeError for none. */
export function* again(conversations: readonly Conversation[], seed: number): Generator<Conversation, never> {
  if (conversations.length === 0) throw new RangeError("there are no conversations to learn from");
  const rng = random(`again ${seed}`);
  for (;;) yield* rng.shuffle(conversations);
}
