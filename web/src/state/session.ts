// Who is using the page, and whether the server asks for that at all.
import type { Account } from "../../../src/server/app/protocol.ts";
import { forgetDrafts } from "../chat/drafts.ts";
import { call, whenLoggedOut } from "./api.ts";
import { takePreferences } from "./preferences.ts";
import { Store, useStore } from "./store.ts";

export interface SessionState {
  phase: "loading" | "gone" | "ready";
  accounts: boolean;
  needsSetup: boolean;
  account: Account | null;
}

const session = new Store<SessionState>({ phase: "loading", accounts: false, needsSetup: false, account: null });

export async function hello(): Promise<void> {
  try {
    const said = await call<Omit<SessionState, "phase">>("GET", "/hello");
    if (said.account) takePreferences(said.account.preferences);
    session.set({ phase: "ready", ...said });
  } catch {
    session.patch({ phase: "gone" });
    setTimeout(hello, 2000);
  }
}

whenLoggedOut(() => session.patch({ account: null }));

export async function enter(
  path: "/login" | "/setup" | "/join" | "/reset",
  body: Record<string, string>,
): Promise<void> {
  const { account } = await call<{ account: Account }>("POST", path, body);
  takePreferences(account.preferences);
  session.patch({ account, needsSetup: false });
}

export async function leave(): Promise<void> {
  await call("POST", "/logout", {});
  forgetDrafts();
  session.patch({ account: null });
}

export const useSession = (): SessionState => useStore(session);
