// The account's conversations, folders and models, as the sidebar and the menus show them.
import type { AppModel, ConversationSummary, Folder } from "../../../src/server/app/protocol.ts";
import { call } from "./api.ts";
import { Store, useStore } from "./store.ts";

export interface Library {
  loaded: boolean;
  conversations: ConversationSummary[];
  folders: Folder[];
}

export const library = new Store<Library>({ loaded: false, conversations: [], folders: [] });
export const models = new Store<{ models: AppModel[]; default: string | null }>({ models: [], default: null });

let refreshing: Promise<void> | undefined;
let again = false;

/** Reads the list anew; calls while one is under way become one more. */
export function refreshLibrary(): Promise<void> {
  if (refreshing) {
    again = true;
    return refreshing;
  }
  refreshing = call<Omit<Library, "loaded">>("GET", "/conversations")
    .then((read) => library.set({ loaded: true, ...read }))
    .catch(() => {})
    .finally(() => {
      refreshing = undefined;
      if (again) {
        again = false;
        setTimeout(refreshLibrary, 200);
      }
    });
  return refreshing;
}

export async function refreshModels(): Promise<void> {
  models.set(await call("GET", "/models"));
}

export async function changeConversation(
  id: string,
  change: Partial<Pick<ConversationSummary, "title" | "folder" | "pinned" | "archived">>,
): Promise<void> {
  await call("PATCH", `/conversations/${id}`, change);
  await refreshLibrary();
}

export const useLibrary = (): Library => useStore(library);
export const useModels = () => useStore(models);
