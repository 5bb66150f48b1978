// Accounts, sessions and invitations: who may use the application, as what, and how much. Knows SQLite and nothing of HTTP.
import type { DatabaseSync } from "node:sqlite";
import { AppError, notFound } from "./errors.ts";
import {
  checkPassword,
  hashPassword,
  hashToken,
  newId,
  newToken,
  requireGoodPassword,
  sameToken,
} from "./passwords.ts";
import type { Account, AccountRole, Invitation, Session } from "./protocol.ts";
import { transaction } from "./schema.ts";

/** Sessions end after this long without use. */
const sessionLife = 30 * 24 * 3600_000;

type Row = Record<string, unknown>;

const toAccount = (row: Row): Account => ({
  id: row.id as string,
  name: row.name as string,
  role: row.role as AccountRole,
  quota: row.quota as number | null,
  disabled: row.disabled === 1,
  preferences: JSON.parse(row.preferences as string),
  createdAt: row.created_at as number,
});

const toSession = (row: Row): Session => ({
  id: row.id as string,
  account: row.account as string,
  agent: row.agent as string,
  address: row.address as string,
  createdAt: row.created_at as number,
  seenAt: row.seen_at as number,
});

const toInvitation = (row: Row): Invitation => ({
  id: row.id as string,
  role: row.role as AccountRole,
  quota: row.quota as number | null,
  createdAt: row.created_at as number,
  expiresAt: row.expires_at as number,
});

export class Accounts {
  #db: DatabaseSync;
  #now: () => number;
  /** One-time token of the first run; undefined once an administrator exists. */
  setupToken: string | undefined;

  constructor(db: DatabaseSync, now: () => number) {
    this.#db = db;
    this.#now = now;
    if (this.count() === 0) this.setupToken = newToken().slice(0, 20);
  }

  count(): number {
    return this.#db.prepare("SELECT count(*) AS n FROM app_accounts").get()!.n as number;
  }

  list(): Account[] {
    return this.#db.prepare("SELECT * FROM app_accounts ORDER BY created_at").all().map(toAccount);
  }

  get(id: string): Account {
    const row = this.#db.prepare("SELECT * FROM app_accounts WHERE id = ?").get(id);
    if (!row) throw notFound("account");
    return toAccount(row);
  }

  #insert(name: string, role: AccountRole, quota: number | null, password: string): Account {
    const clean = name.trim();
    if (!/^[\p{L}\p{N}][\p{L}\p{N}._@ -]{0,63}$/u.test(clean))
      throw new AppError(
        400,
        "bad_name",
        "A name has 1 to 64 letters, digits, spaces or . _ @ - and starts with a letter.",
      );
    const id = newId();
    try {
      this.#db
        .prepare("INSERT INTO app_accounts (id, name, role, quota, password, created_at) VALUES (?, ?, ?, ?, ?, ?)")
        .run(id, clean, role, quota, password, this.#now());
    } catch (error) {
      if (String(error).includes("UNIQUE")) throw new AppError(409, "name_taken", `The name '${clean}' is taken.`);
      throw error;
    }
    return this.get(id);
  }

  /** Makes the first administrator; the token is void afterwards. */
  async setUp(token: string, name: string, password: string): Promise<Account> {
    if (this.setupToken === undefined) throw new AppError(409, "already_set_up", "An administrator exists already.");
    if (!sameToken(token, this.setupToken))
      throw new AppError(403, "wrong_setup_token", "This is not the token printed in the terminal.");
    requireGoodPassword(password);
    const hash = await hashPassword(password);
    if (this.setupToken === undefined) throw new AppError(409, "already_set_up", "An administrator exists already.");
    const account = this.#insert(name, "admin", null, hash);
    this.setupToken = undefined;
    return account;
  }

  /** The account of a name and password; the same refusal for a wrong name, a wrong password and a disabled account. */
  async verify(name: string, password: string): Promise<Account> {
    const row = this.#db.prepare("SELECT * FROM app_accounts WHERE name = ?").get(name.trim());
    const right = await checkPassword(password.slice(0, 256), row?.password as string | undefined);
    if (!row || !right || row.disabled === 1)
      throw new AppError(401, "wrong_login", "The name or the password is wrong.");
    return toAccount(row);
  }

  async setPassword(id: string, password: string): Promise<void> {
    requireGoodPassword(password);
    const hash = await hashPassword(password);
    this.#db.prepare("UPDATE app_accounts SET password = ? WHERE id = ?").run(hash, id);
  }

  /** Changes role, quota, or whether the account may log in; the last active administrator cannot be lost. */
  change(id: string, change: { role?: AccountRole; quota?: number | null; disabled?: boolean }): Account {
    return transaction(this.#db, () => {
      const next = { ...this.get(id), ...change };
      this.#db
        .prepare("UPDATE app_accounts SET role = ?, quota = ?, disabled = ? WHERE id = ?")
        .run(next.role, next.quota, next.disabled ? 1 : 0, id);
      this.#requireAdmin();
      if (next.disabled) this.#db.prepare("DELETE FROM app_sessions WHERE account = ?").run(id);
      return this.get(id);
    });
  }

  remove(id: string): void {
    transaction(this.#db, () => {
      this.get(id);
      for (const table of ["app_sessions", "app_resets"])
        this.#db.prepare(`DELETE FROM ${table} WHERE account = ?`).run(id);
      this.#db.prepare("DELETE FROM app_accounts WHERE id = ?").run(id);
      this.#requireAdmin();
    });
  }

  #requireAdmin(): void {
    const row = this.#db.prepare("SELECT count(*) AS n FROM app_accounts WHERE role = 'admin' AND disabled = 0").get()!;
    if (row.n === 0)
      throw new AppError(409, "last_admin", "The last administrator cannot be removed, demoted or disabled.");
  }

  /** A token with which this account's password can be set once, within a day; an earlier one is void. */
  offerReset(id: string): string {
    this.get(id);
    const token = newToken();
    this.#db
      .prepare("INSERT OR REPLACE INTO app_resets (token_hash, account, expires_at) VALUES (?, ?, ?)")
      .run(hashToken(token), id, this.#now() + 24 * 3600_000);
    return token;
  }

  /** Sets the password and ends every session of the account. */
  async reset(token: string, password: string): Promise<Account> {
    const find = (): string => {
      const row = this.#db.prepare("SELECT * FROM app_resets WHERE token_hash = ?").get(hashToken(token));
      if (!row || (row.expires_at as number) <= this.#now())
        throw new AppError(403, "invitation_void", "This link is used, replaced or expired.");
      return row.account as string;
    };
    find();
    requireGoodPassword(password);
    const hash = await hashPassword(password);
    return transaction(this.#db, () => {
      const account = find();
      this.#db.prepare("DELETE FROM app_resets WHERE account = ?").run(account);
      this.#db.prepare("UPDATE app_accounts SET password = ? WHERE id = ?").run(hash, account);
      this.#db.prepare("DELETE FROM app_sessions WHERE account = ?").run(account);
      return this.get(account);
    });
  }

  prefer(id: string, preferences: Record<string, unknown>): void {
    this.#db.prepare("UPDATE app_accounts SET preferences = ? WHERE id = ?").run(JSON.stringify(preferences), id);
  }

  // Sessions: the browser holds the token, the table its hash.

  openSession(account: string, agent: string, address: string): string {
    const token = newToken();
    const now = this.#now();
    this.#db
      .prepare(
        "INSERT INTO app_sessions (id, token_hash, account, agent, address, created_at, seen_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
      )
      .run(newId(), hashToken(token), account, agent.slice(0, 300), address, now, now);
    this.#db.prepare("DELETE FROM app_sessions WHERE seen_at < ?").run(now - sessionLife);
    return token;
  }

  session(token: string): { session: Session; account: Account } | undefined {
    const row = this.#db.prepare("SELECT * FROM app_sessions WHERE token_hash = ?").get(hashToken(token));
    if (!row) return undefined;
    const session = toSession(row);
    const now = this.#now();
    if (now - session.seenAt > sessionLife) return undefined;
    const account = this.get(session.account);
    if (account.disabled) return undefined;
    if (now - session.seenAt > 60_000)
      this.#db.prepare("UPDATE app_sessions SET seen_at = ? WHERE id = ?").run(now, session.id);
    return { session, account };
  }

  sessions(account: string): Session[] {
    return this.#db
      .prepare("SELECT * FROM app_sessions WHERE account = ? ORDER BY seen_at DESC")
      .all(account)
      .map(toSession);
  }

  closeSession(account: string, id: string): void {
    this.#db.prepare("DELETE FROM app_sessions WHERE account = ? AND id = ?").run(account, id);
  }

  closeToken(token: string): void {
    this.#db.prepare("DELETE FROM app_sessions WHERE token_hash = ?").run(hashToken(token));
  }

  closeOtherSessions(account: string, keep: string | undefined): void {
    this.#db.prepare("DELETE FROM app_sessions WHERE account = ? AND id IS NOT ?").run(account, keep ?? null);
  }

  // Invitations: a link works once.

  invite(role: AccountRole, quota: number | null, days: number): { invitation: Invitation; token: string } {
    const token = newToken();
    const now = this.#now();
    const invitation = { id: newId(), role, quota, createdAt: now, expiresAt: now + days * 24 * 3600_000 };
    this.#db
      .prepare(
        "INSERT INTO app_invitations (id, token_hash, role, quota, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
      )
      .run(invitation.id, hashToken(token), role, quota, now, invitation.expiresAt);
    return { invitation, token };
  }

  invitations(): Invitation[] {
    const now = this.#now();
    return this.#db
      .prepare("SELECT * FROM app_invitations WHERE expires_at > ? ORDER BY created_at DESC")
      .all(now)
      .map(toInvitation);
  }

  withdraw(id: string): void {
    this.#db.prepare("DELETE FROM app_invitations WHERE id = ?").run(id);
  }

  async join(token: string, name: string, password: string): Promise<Account> {
    const find = (): Invitation => {
      const row = this.#db.prepare("SELECT * FROM app_invitations WHERE token_hash = ?").get(hashToken(token));
      if (!row || (row.expires_at as number) <= this.#now())
        throw new AppError(403, "invitation_void", "This invitation is used, withdrawn or expired.");
      return toInvitation(row);
    };
    find();
    requireGoodPassword(password);
    const hash = await hashPassword(password);
    return transaction(this.#db, () => {
      const invitation = find();
      const account = this.#insert(name, invitation.role, invitation.quota, hash);
      this.withdraw(invitation.id);
      return account;
    });
  }
}
