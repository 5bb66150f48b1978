// Wordings: small templates with alternatives, `[please |]compute {e}[?|.]`, and the split of wordings into those the model
// trains on and those held out for testing. It knows no mathematics.

import { hash, type Random } from "./random.ts";

export interface Wording {
  text: string;
  /** The wording without its numbers. */
  id: string;
  heldOut: boolean;
}

/** One wording in this many is held out, chosen by its hash. */
const HELD_OUT_EVERY = 12;

type Part = string | string[];
const compiled = new Map<string, Part[]>();

export function compile(template: string): Part[] {
  let parts = compiled.get(template);
  if (!parts) {
    parts = template
      .split(/(\[[^\]]*\])/)
      .filter((p) => p !== "")
      .map((p) => (p.startsWith("[") ? p.slice(1, -1).split("|") : p));
    compiled.set(template, parts);
  }
  return parts;
}

/** How many different wordings the templates hold. */
export const countWordings = (templates: readonly string[]): number =>
  templates.reduce(
    (sum, t) => sum + compile(t).reduce((product, p) => product * (typeof p === "string" ? 1 : p.length), 1),
    0,
  );

/**
 * Chooses a template and its alternatives, then fills `{slot}`s. A template that starts with `#` is always held out; of the
 * other wordings one in twelve is, unless the wording is nothing but its slots and punctuation.
 */
export function word(rng: Random, templates: readonly string[], slots: Readonly<Record<string, string>>): Wording {
  const template = rng.pick(templates);
  let id = "";
  for (const part of compile(template)) id += typeof part === "string" ? part : rng.pick(part);
  const reserved = id.startsWith("#");
  if (reserved) id = id.slice(1);
  const heldOut = reserved || (/[A-Za-z\u4e00-\u9fff]/.test(id.replace(/\{\w+\}/g, "")) && isHeldOut(id));
  return { text: fill(id, slots), id, heldOut };
}

export const isHeldOut = (id: string): boolean => hash(id, 17) % HELD_OUT_EVERY === 0;

/** Replaces `{slot}`s; an unknown slot is a mistake in a template. */
export function fill(text: string, slots: Readonly<Record<string, string>>): string {
  return text.replace(/\{(\w+)\}/g, (_, name: string) => {
    if (!Object.hasOwn(slots, name)) throw new RangeError(`no value for {${name}} in the wording "${text}"`);
    return slots[name];
  });
}
