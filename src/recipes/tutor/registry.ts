// All skills of the tutor by name.

import type { Skill, SkillClass } from "./problem.ts";
import { ALGEBRA } from "./skills/algebra.ts";
import { CORE } from "./skills/core.ts";
import { HUNTS } from "./skills/hunts.ts";
import { MANNERS } from "./skills/manners.ts";
import { SCHOOL } from "./skills/school.ts";
import { WORD_PROBLEMS } from "./skills/stories.ts";
import { UNIVERSITY } from "./skills/university.ts";

export const SKILLS: readonly Skill[] = [
  ...CORE,
  ...SCHOOL,
  ...ALGEBRA,
  ...UNIVERSITY,
  ...WORD_PROBLEMS,
  ...HUNTS,
  ...MANNERS,
];

const byId = new Map(SKILLS.map((s) => [s.id, s]));

/** The skill of that name. Throws RangeError for an unknown one, naming those that exist. */
export function skill(id: string): Skill {
  const found = byId.get(id);
  if (!found) throw new RangeError(`no skill "${id}"; there are ${SKILLS.map((s) => s.id).join(", ")}`);
  return found;
}

export const skillsOf = (skillClass: SkillClass): Skill[] => SKILLS.filter((s) => s.class === skillClass);
