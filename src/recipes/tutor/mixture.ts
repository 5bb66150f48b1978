// The corpus: an endless, seeded stream of conversations (question, thinking, reply) over the skills, by weight and level.
// Held-out operands and wordings never enter it. It writes no files and counts no tokens.

import type { Conversation, Message } from "../../text/conversation.ts";
import { dress } from "./dress.ts";
import { type Language, type Problem, SKILL_CLASSES, type SkillClass } from "./problem.ts";
import { hash, type Random, random } from "./random.ts";
import { SKILLS, skill } from "./registry.ts";
import { withRetries } from "./retry.ts";
import { fill } from "./wording.ts";

export type Split = "train" | "operands" | "phrasing";

/** One exercise in this many is kept out of training by the hash of what it computes. */
const HELD_OUT_OPERANDS_EVERY = 20;

/** Where a problem belongs: training, the test of unseen operands, or the test of unseen wordings (whatever its operands). */
export function split(problem: Problem): Split {
  if (problem.meta.heldOutPhrasing) return "phrasing";
  return hash(`${problem.skill} ${problem.meta.key}`, 5) % HELD_OUT_OPERANDS_EVERY === 0 ? "operands" : "train";
}

export interface MixtureOptions {
  /** Relative weight by skill id; a skill left out gets its class's weight, and 0 drops it. */
  skills?: Readonly<Record<string, number>>;
  /** Relative weight of each skill of a class; 1 unless given. */
  classes?: Readonly<Partial<Record<SkillClass, number>>>;
  /** The highest level as a part of a skill's levels, 0..1 (1: all). Curricula raise it. */
  difficulty?: number;
  /** The highest level of single skills, instead of `difficulty`. */
  levels?: Readonly<Record<string, number>>;
  /** Part of conversations whose thinking makes a mistake and corrects it. Pretraining only. */
  retry?: number;
  /**
   * Chance that a conversation has an earlier turn (and that one an earlier one, up to three): question and reply, the
   * thinking left out as chat formats do. 0 unless given.
   */
  earlierTurns?: number;
  /** Which problems to draw; `train` unless given. */
  split?: Split;
}

/** Draws a problem of the wanted split. Throws RangeError when the skill yields none, so that a test set cannot be empty unnoticed. */
export function draw(rng: Random, skillId: string, level: number, wanted: Split): Problem {
  const s = skill(skillId);
  for (let tries = 0; tries < 5000; tries++) {
    const problem = s.generate(rng, level);
    if (split(problem) === wanted) return problem;
  }
  throw new RangeError(`skill "${skillId}" at level ${level} has no problem of split "${wanted}" within 5000 draws`);
}

/** The weight of every skill under the options. Throws RangeError for unknown names and for weights that are no weights. */
export function skillWeights(options: MixtureOptions = {}): { id: string; weight: number }[] {
  for (const id of Object.keys({ ...options.skills, ...options.levels })) skill(id);
  for (const name of Object.keys(options.classes ?? {}))
    if (!SKILL_CLASSES.includes(name as SkillClass))
      throw new RangeError(`no class "${name}"; there are ${SKILL_CLASSES.join(", ")}`);
  const out = SKILLS.map((s) => ({
    id: s.id,
    weight: options.skills?.[s.id] ?? (options.classes?.[s.class] ?? 1) * s.weight,
  }));
  for (const { id, weight } of out)
    if (!(weight >= 0 && Number.isFinite(weight)))
      throw new RangeError(`weight ${weight} of skill "${id}" must be 0 or more`);
  if (!out.some((o) => o.weight > 0)) throw new RangeError("every skill has weight 0: nothing to draw from");
  return out.filter((o) => o.weight > 0);
}

/** An endless stream of problems, those to train on dressed in many ways (dress.ts); the same options and seed give the same stream. */
export function* problems(options: MixtureOptions = {}, seed: number | string = 0): Generator<Problem, never> {
  const weights = skillWeights(options);
  const total = weights.reduce((sum, w) => sum + w.weight, 0);
  const wanted = options.split ?? "train";
  const difficulty = Math.min(1, Math.max(0, options.difficulty ?? 1));
  const rng = random(`mixture ${seed}`);
  for (;;) {
    let mark = rng.next() * total;
    let chosen = weights[weights.length - 1].id;
    for (const w of weights) {
      mark -= w.weight;
      if (mark < 0) {
        chosen = w.id;
        break;
      }
    }
    const { levels } = skill(chosen);
    const top = Math.min(levels, Math.max(1, options.levels?.[chosen] ?? Math.round(levels * difficulty)));
    // Harder levels have more different problems and longer traces: draw them more often.
    const level = Math.max(rng.int(1, top), rng.int(1, top));
    const problem = draw(rng, chosen, level, wanted);
    const row = options.retry && rng.chance(options.retry) ? withRetries(rng, problem) : problem;
    yield wanted === "train" ? dress(rng, row) : row;
  }
}

export const userMessage = (problem: Problem): Message => ({ role: "user", content: problem.question });

/** A problem as a conversation to learn from. */
export const conversation = (problem: Problem): Conversation => ({
  messages: [userMessage(problem), { role: "assistant", reasoningContent: problem.trace, content: problem.reply }],
});

const FOLLOW_UPS: Readonly<Record<Language, readonly string[]>> = {
  zh: ["那{e}呢?", "那么{e}呢", "{e}呢?", "再算{e}", "换成{e}呢?", "接着算{e}", "还有{e}"],
  en: [
    "And {e}?",
    "and {e}",
    "What about {e}?",
    "How about {e}?",
    "Now {e}",
    "And what is {e}?",
    "then {e}?",
    "Also {e}",
  ],
};

/** Half of the bare formulas that come later in a conversation are asked in a few words: `and 12*35?` */
function followUp(rng: Random, problem: Problem): Problem {
  const { key } = problem.meta;
  if (!/^[-+*/()\d]+$/.test(key) || key.length < 3 || rng.chance(0.5)) return problem;
  const formula = rng.chance(0.5) ? key : key.replaceAll("*", "\u00d7");
  return { ...problem, question: fill(rng.pick(FOLLOW_UPS[problem.language]), { e: formula }) };
}

/** The corpus: `problems` as conversations. Only the last answer has its thinking. */
export function* mixture(options: MixtureOptions = {}, seed: number | string = 0): Generator<Conversation, never> {
  const stream = problems(options, seed);
  const rng = random(`turns ${seed}`);
  const earlier = options.earlierTurns ?? 0;
  for (;;) {
    const messages: Message[] = [];
    for (let turns = 0; turns < 3 && earlier > 0 && rng.chance(earlier); turns++) {
      const before = stream.next().value;
      messages.push(userMessage(before), { role: "assistant", content: before.reply });
    }
    const last = stream.next().value;
    yield { messages: [...messages, ...conversation(messages.length > 0 ? followUp(rng, last) : last).messages] };
  }
}
