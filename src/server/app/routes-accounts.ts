// Routes for who one is: first run, login, sessions, password, preferences, and the administrator's accounts and invitations.
import type { Context, Hono } from "hono";
import { getCookie } from "hono/cookie";
import { z } from "zod";
import type { Accounts } from "./accounts.ts";
import type { Conversations } from "./conversations.ts";
import type { AppDeps } from "./deps.ts";
import { AppError } from "./errors.ts";
import type { AppEnv } from "./guard.ts";
import { cookieName, giveCookie, localAccount, requireAdmin, takeCookie } from "./guard.ts";
import { readBody } from "./input.ts";
import type { Account } from "./protocol.ts";
import type { Settings } from "./settings.ts";
import type { Throttle } from "./throttle.ts";
import type { UsageBook } from "./usage.ts";

export interface AccountParts {
  deps: AppDeps;
  accounts: Accounts;
  conversations: Conversations;
  usage: UsageBook;
  throttle: Throttle;
  settings: Settings;
}

const credentials = z.object({ name: z.string().max(200), password: z.string().max(1000) });
const role = z.enum(["admin", "member"]);
const quota = z.number().int().min(0).max(1e12).nullable();
const preferences = z.record(z.string().max(40), z.union([z.string().max(200), z.boolean(), z.number()]));

/** Routes that strangers may use. */
export function openRoutes(api: Hono<AppEnv>, parts: AccountParts): void {
  const { deps, accounts, throttle } = parts;

  /** Counts failures per address and, for passwords, per name; refuses while either has to wait. */
  const throttled = async <T>(c: Context, name: string | undefined, work: () => Promise<T>): Promise<T> => {
    const keys = [`address ${deps.address(c.req.raw)}`];
    if (name !== undefined) keys.push(`name ${name.trim().toLowerCase()}`);
    const wait = throttle.wait(keys);
    if (wait > 0) {
      const retryAfter = Math.ceil(wait / 1000);
      throw new AppError(429, "slow_down", `Too many failed attempts; try again in ${retryAfter} s.`, { retryAfter });
    }
    try {
      const result = await work();
      throttle.succeed(keys.slice(1));
      return result;
    } catch (error) {
      if (error instanceof AppError && (error.status === 401 || error.status === 403)) throttle.fail(keys);
      throw error;
    }
  };

  /** A login always makes a new session; the one presented ends, so a planted cookie is worth nothing. */
  const enter = (c: Context, account: Account): Response => {
    const old = getCookie(c, cookieName);
    if (old !== undefined) accounts.closeToken(old);
    giveCookie(c, accounts.openSession(account.id, c.req.header("user-agent") ?? "", deps.address(c.req.raw)));
    return c.json({ account });
  };

  const requireAccounts = (): void => {
    if (!deps.accounts) throw new AppError(409, "no_accounts", "This server runs without accounts.");
  };

  api.get("/hello", (c) => {
    const token = getCookie(c, cookieName);
    const found = deps.accounts && token !== undefined ? accounts.session(token) : undefined;
    const account = deps.accounts
      ? (found?.account ?? null)
      : { ...localAccount, preferences: parts.settings.get("local-preferences") };
    return c.json({ accounts: deps.accounts, needsSetup: deps.accounts && accounts.setupToken !== undefined, account });
  });

  api.post("/setup", async (c) => {
    requireAccounts();
    const body = await readBody(c, credentials.extend({ token: z.string().max(200) }));
    return enter(c, await throttled(c, undefined, () => accounts.setUp(body.token, body.name, body.password)));
  });

  api.post("/login", async (c) => {
    requireAccounts();
    const body = await readBody(c, credentials);
    return enter(c, await throttled(c, body.name, () => accounts.verify(body.name, body.password)));
  });

  api.post("/join", async (c) => {
    requireAccounts();
    const body = await readBody(c, credentials.extend({ token: z.string().max(200) }));
    return enter(c, await throttled(c, undefined, () => accounts.join(body.token, body.name, body.password)));
  });

  api.post("/reset", async (c) => {
    requireAccounts();
    const body = await readBody(c, z.object({ token: z.string().max(200), password: z.string().max(1000) }));
    const account = await throttled(c, undefined, () => accounts.reset(body.token, body.password));
    if (account.disabled) throw new AppError(401, "wrong_login", "This account is disabled.");
    return enter(c, account);
  });

  api.post("/logout", (c) => {
    const token = getCookie(c, cookieName);
    if (token !== undefined) accounts.closeToken(token);
    takeCookie(c);
    return c.json({});
  });
}

/** Routes for people who are logged in. */
export function accountRoutes(api: Hono<AppEnv>, parts: AccountParts): void {
  const { deps, accounts, conversations, usage, settings } = parts;

  api.get("/sessions", (c) => {
    const current = c.var.session?.id;
    return c.json({ sessions: accounts.sessions(c.var.account.id), current: current ?? null });
  });
  api.delete("/sessions/:id", (c) => {
    accounts.closeSession(c.var.account.id, c.req.param("id"));
    return c.json({});
  });
  api.delete("/sessions", (c) => {
    accounts.closeOtherSessions(c.var.account.id, c.var.session?.id);
    return c.json({});
  });

  api.post("/password", async (c) => {
    const body = await readBody(c, z.object({ current: z.string().max(1000), next: z.string().max(1000) }));
    if (!deps.accounts) throw new AppError(409, "no_accounts", "This server runs without accounts.");
    const keys = [`password ${c.var.account.id}`];
    if (parts.throttle.wait(keys) > 0) throw new AppError(429, "slow_down", "Too many failed attempts; wait a little.");
    try {
      await accounts.verify(c.var.account.name, body.current);
    } catch (error) {
      parts.throttle.fail(keys);
      throw error instanceof AppError ? new AppError(403, "wrong_password", "The current password is wrong.") : error;
    }
    await accounts.setPassword(c.var.account.id, body.next);
    accounts.closeOtherSessions(c.var.account.id, undefined);
    giveCookie(c, accounts.openSession(c.var.account.id, c.req.header("user-agent") ?? "", deps.address(c.req.raw)));
    return c.json({});
  });

  api.put("/preferences", async (c) => {
    const body = await readBody(c, preferences, 16 * 1024);
    if (deps.accounts) accounts.prefer(c.var.account.id, body);
    else settings.set("local-preferences", body);
    return c.json({ preferences: body });
  });

  api.get("/usage", (c) => {
    const days = Math.min(366, Math.max(1, Number(c.req.query("days")) || 30));
    const everyone = c.req.query("everyone") === "1";
    if (everyone) requireAdmin(c.var.account);
    return c.json({
      days: usage.days(everyone ? undefined : c.var.account.id, days),
      today: usage.usedToday(c.var.account.id),
      quota: c.var.account.quota,
    });
  });

  api.get("/accounts", (c) => {
    requireAdmin(c.var.account);
    return c.json({
      accounts: accounts.list().map((account) => ({ ...account, today: usage.usedToday(account.id) })),
      invitations: accounts.invitations(),
    });
  });
  api.patch("/accounts/:id", async (c) => {
    requireAdmin(c.var.account);
    const body = await readBody(
      c,
      z.object({ role: role.optional(), quota: quota.optional(), disabled: z.boolean().optional() }),
    );
    return c.json({ account: accounts.change(c.req.param("id"), body) });
  });
  api.delete("/accounts/:id", (c) => {
    requireAdmin(c.var.account);
    accounts.remove(c.req.param("id"));
    conversations.removeAll(c.req.param("id"));
    return c.json({});
  });
  api.post("/accounts/:id/reset", (c) => {
    requireAdmin(c.var.account);
    return c.json({ token: accounts.offerReset(c.req.param("id")) }, 201);
  });
  api.post("/invitations", async (c) => {
    requireAdmin(c.var.account);
    const body = await readBody(
      c,
      z.object({
        role: role.default("member"),
        quota: quota.default(null),
        days: z.number().min(1).max(90).default(7),
      }),
    );
    return c.json(accounts.invite(body.role, body.quota, body.days));
  });
  api.delete("/invitations/:id", (c) => {
    requireAdmin(c.var.account);
    accounts.withdraw(c.req.param("id"));
    return c.json({});
  });
}
