// The page's own dictionary: typed, two languages, no library. `useWords()` gives the words of the language chosen.
import { type Language, usePreferences } from "../state/preferences.ts";
import { en } from "./en.ts";
import { zh } from "./zh.ts";

export type Words = typeof en;

export const dictionaries: Record<Language, Words> = { en, zh };

export function resolveLanguage(choice: string | undefined): Language {
  if (choice === "zh" || choice === "en") return choice;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

export function useLanguage(): Language {
  return resolveLanguage(usePreferences().language);
}

export function useWords(): Words {
  return dictionaries[useLanguage()];
}
