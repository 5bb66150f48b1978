// The chat application's server side: mounts the API under /app/api and the built page under /app/. Conversations, accounts
// and usage are its own tables; models, generation and the tutor come from outside (deps.ts).
import { Hono } from "hono";
import { Accounts } from "./accounts.ts";
import { Answers } from "./answers.ts";
import { Conversations } from "./conversations.ts";
import type { AppDeps } from "./deps.ts";
import { AppError } from "./errors.ts";
import type { AppEnv } from "./guard.ts";
import { accountGuard, originGuard, writeError } from "./guard.ts";
import { mountPage } from "./page.ts";
import { accountRoutes, openRoutes } from "./routes-accounts.ts";
import { conversationRoutes } from "./routes-conversations.ts";
import { eventRoutes } from "./routes-events.ts";
import { modelRoutes } from "./routes-models.ts";
import { createTables } from "./schema.ts";
import { Settings } from "./settings.ts";
import { Throttle } from "./throttle.ts";
import { UsageBook } from "./usage.ts";

export interface MountedApp {
  /** Stops running answers and writes their ends; call before closing the database. */
  close(): Promise<void>;
}

/** Mounts the application. With accounts and none made yet, prints the one-time token of the first run. */
// biome-ignore lint/suspicious/noExplicitAny: any environment may host the application
export function mountApp(app: Hono<any>, deps: AppDeps): MountedApp {
  createTables(deps.db);
  const now = deps.now ?? Date.now;
  const accounts = new Accounts(deps.db, now);
  const conversations = new Conversations(deps.db, now);
  const usage = new UsageBook(deps.db, now);
  const answers = new Answers(deps, conversations, usage);
  const settings = new Settings(deps.db);
  const parts = { deps, accounts, conversations, usage, settings, throttle: new Throttle(now) };

  const api = new Hono<AppEnv>();
  api.onError(writeError(deps));
  api.notFound((c) => c.json({ error: { code: "not_found", message: "There is no such address." } }, 404));
  api.use(originGuard(deps));
  openRoutes(api, parts);
  api.use(accountGuard(deps, accounts, () => settings.get("local-preferences")));
  accountRoutes(api, parts);
  conversationRoutes(api, conversations, answers);
  eventRoutes(api, conversations, answers, ({ id, account }) =>
    accounts.sessions(account).some((one) => one.id === id),
  );
  modelRoutes(api, deps, usage);
  api.all("*", () => {
    throw new AppError(404, "not_found", "There is no such address.");
  });
  app.route("/app/api", api);
  mountPage(app, deps.webRoot);

  if (deps.accounts && accounts.setupToken !== undefined)
    deps.print(`First run: open the page and set up the administrator with this one-time token: ${accounts.setupToken}
首次运行：打开页面，用此一次性令牌设置管理员：${accounts.setupToken}`);
  return { close: () => answers.close() };
}
