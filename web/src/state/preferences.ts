// What the user prefers: language, appearance, the send key. Kept in the browser so that the next visit starts right, and on
// the server so that other devices follow.
import { call } from "./api.ts";
import { Store, useStore } from "./store.ts";

export type Language = "zh" | "en";

export interface Preferences {
  language?: "auto" | Language;
  theme?: "system" | "light" | "dark";
  sendKey?: "enter" | "modEnter";
  /** See inside: the panel is open and answers are recorded. */
  inside?: boolean;
  sidebar?: boolean;
  thinking?: boolean;
  model?: string;
}

const key = "weir-preferences";

function stored(): Preferences {
  try {
    return JSON.parse(localStorage.getItem(key) ?? "{}");
  } catch {
    return {};
  }
}

export const preferences = new Store<Preferences>(stored());

function apply(): void {
  const { theme } = preferences.get();
  document.documentElement.dataset.theme = theme ?? "system";
  try {
    localStorage.setItem(key, JSON.stringify(preferences.get()));
  } catch {
    // Storage may be full or forbidden; the preference then lasts for this page.
  }
}
preferences.subscribe(apply);
apply();

let timer: number | undefined;

export function prefer(change: Preferences): void {
  preferences.patch(change);
  clearTimeout(timer);
  timer = window.setTimeout(() => {
    call("PUT", "/preferences", preferences.get()).catch(() => {});
  }, 500);
}

/** The server's copy wins when one logs in. */
export function takePreferences(fromServer: Record<string, unknown>): void {
  if (Object.keys(fromServer).length > 0) preferences.set({ ...preferences.get(), ...(fromServer as Preferences) });
}

export const usePreferences = (): Preferences => useStore(preferences);
