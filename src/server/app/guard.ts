// Stands before every route of the application: host and origin checks, the CSRF rule, the session cookie, and how errors
// are written. The rule: what changes something must come from our own page with our own header.
import type { Context, MiddlewareHandler } from "hono";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import type { Accounts } from "./accounts.ts";
import type { AppDeps } from "./deps.ts";
import { AppError } from "./errors.ts";
import type { Account, Session } from "./protocol.ts";

export interface AppEnv {
  Variables: { account: Account; session: Session | undefined };
}

export const cookieName = "weir_session";

/** The account of a server without accounts: whoever sits at this machine. */
export const localAccount: Account = {
  id: "local",
  name: "local",
  role: "admin",
  quota: null,
  disabled: false,
  preferences: {},
  createdAt: 0,
};

const isSecure = (c: Context): boolean =>
  new URL(c.req.url).protocol === "https:" || c.req.header("x-forwarded-proto") === "https";

export function giveCookie(c: Context, token: string): void {
  setCookie(c, cookieName, token, {
    path: "/app",
    httpOnly: true,
    sameSite: "Strict",
    secure: isSecure(c),
    maxAge: 30 * 24 * 3600,
  });
}

export function takeCookie(c: Context): void {
  deleteCookie(c, cookieName, { path: "/app", secure: isSecure(c) });
}

/** Refuses foreign hosts (DNS rebinding) and cross-site changes (CSRF). */
export function originGuard(deps: AppDeps): MiddlewareHandler {
  return async (c, next) => {
    const host = c.req.header("host") ?? "";
    if (deps.hosts && !deps.hosts.includes(host.replace(/:\d+$/, "").toLowerCase()))
      throw new AppError(403, "wrong_host", `This server is not reached under the name '${host}'.`);
    if (c.req.method !== "GET" && c.req.method !== "HEAD") {
      const origin = c.req.header("origin");
      const foreign = origin !== undefined && (!URL.canParse(origin) || new URL(origin).host !== host);
      const site = c.req.header("sec-fetch-site");
      if (foreign || (site !== undefined && site !== "same-origin") || c.req.header("x-weir-app") !== "1")
        throw new AppError(403, "cross_site", "Changes are accepted from the application's own page only.");
    }
    c.header("cache-control", "no-store");
    c.header("x-content-type-options", "nosniff");
    await next();
  };
}

/** Finds who is asking; refuses strangers where there are accounts. */
export function accountGuard(
  deps: AppDeps,
  accounts: Accounts,
  preferences: () => Record<string, unknown>,
): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    if (!deps.accounts) c.set("account", { ...localAccount, preferences: preferences() });
    else {
      const token = getCookie(c, cookieName);
      const found = token === undefined ? undefined : accounts.session(token);
      if (!found) throw new AppError(401, "login_needed", "Log in first.");
      c.set("account", found.account);
      c.set("session", found.session);
    }
    await next();
  };
}

export function requireAdmin(account: Account): void {
  if (account.role !== "admin") throw new AppError(403, "admin_needed", "Only an administrator may do this.");
}

export function writeError(deps: AppDeps): (error: Error, c: Context) => Response {
  return (error, c) => {
    if (error instanceof AppError) {
      if (error.status === 429 && error.details.retryAfter) c.header("retry-after", String(error.details.retryAfter));
      return c.json({ error: { code: error.code, message: error.message, ...error.details } }, error.status);
    }
    deps.print(`chat: ${c.req.method} ${c.req.path}: ${error.stack ?? error.message}`);
    return c.json(
      { error: { code: "internal", message: "The server met an error of its own; its terminal has the details." } },
      500,
    );
  };
}
