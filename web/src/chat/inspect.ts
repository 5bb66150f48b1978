// Which answer the See-inside panel shows.
import { prefer, preferences } from "../state/preferences.ts";
import { Store } from "../state/store.ts";

export const inspected = new Store<string | undefined>(undefined);

/** Shows an answer in the panel, opening it. */
export function inspect(id: string): void {
  inspected.set(id);
  if (!preferences.get().inside) prefer({ inside: true });
}
