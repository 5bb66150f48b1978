// Settings: language and appearance, the user's data, password and devices, and for administrators people and invitations.
import { type FormEvent, useCallback, useEffect, useState } from "react";
import type { Account, Invitation, Session } from "../../../src/server/app/protocol.ts";
import { download } from "../chat/ConversationMenu.tsx";
import { Choice, confirm, ErrorNote, pickFiles, useAction } from "../parts/ui.tsx";
import { call, RequestError } from "../state/api.ts";
import { refreshLibrary } from "../state/library.ts";
import { prefer, usePreferences } from "../state/preferences.ts";
import { leave, useSession } from "../state/session.ts";
import { useWords } from "../words/index.ts";
import { Page } from "./Page.tsx";
import { textFromZip } from "./zip.ts";

export default function Settings({ onMenu }: { onMenu(): void }) {
  const words = useWords();
  const { accounts, account } = useSession();
  return (
    <Page title={words.settings} onMenu={onMenu}>
      <Appearance />
      <Data />
      {accounts && account && (
        <>
          <Password name={account.name} />
          <Devices />
          {account.role === "admin" && <People me={account.id} />}
        </>
      )}
    </Page>
  );
}

function Appearance() {
  const words = useWords();
  const { language = "auto", theme = "system", sendKey = "enter" } = usePreferences();
  return (
    <section className="card">
      <h2>{words.appearance}</h2>
      <div className="setting">
        <span>{words.language}</span>
        <Choice
          label={words.language}
          value={language}
          options={words.languages}
          onChange={(next) => prefer({ language: next })}
        />
      </div>
      <div className="setting">
        <span>{words.theme}</span>
        <Choice label={words.theme} value={theme} options={words.themes} onChange={(next) => prefer({ theme: next })} />
      </div>
      <div className="setting">
        <span>{words.sendKey}</span>
        <Choice
          label={words.sendKey}
          value={sendKey}
          options={words.sendKeys}
          onChange={(next) => prefer({ sendKey: next })}
        />
      </div>
    </section>
  );
}

function Data() {
  const words = useWords();
  const action = useAction();
  const [done, setDone] = useState<string>();
  const bring = async (): Promise<void> => {
    const [file] = await pickFiles(".json,.zip,application/json,application/zip", false);
    if (!file) return;
    setDone(undefined);
    await action.run(async () => {
      const zipped = /\.zip$/i.test(file.name) || file.type === "application/zip";
      const text = zipped ? await textFromZip(file, "conversations.json") : await file.text();
      if (text === undefined) throw new RequestError("import_unknown", 422, "");
      const { imported, skipped } = await call<{ imported: string[]; skipped: number }>("POST", "/import", text);
      setDone(words.imported(imported.length, skipped));
      await refreshLibrary();
    });
  };
  return (
    <section className="card">
      <h2>{words.data}</h2>
      <p className="quiet">{words.importHint}</p>
      <div className="button-row">
        <button type="button" className="button" disabled={action.busy} onClick={bring}>
          {words.import}
        </button>
        <button type="button" className="button" onClick={() => download("/export")}>
          {words.exportAll}
        </button>
      </div>
      {done && (
        <p className="done-note" role="status">
          {done}
        </p>
      )}
      <ErrorNote code={action.error} />
    </section>
  );
}

function Password({ name }: { name: string }) {
  const words = useWords();
  const action = useAction();
  const [done, setDone] = useState(false);
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const form = event.currentTarget;
    const data = new FormData(form);
    setDone(false);
    action
      .run(() => call("POST", "/password", { current: data.get("current"), next: data.get("next") }))
      .then((changed) => {
        setDone(changed);
        if (changed) form.reset();
      });
  };
  return (
    <section className="card">
      <h2>{words.changePassword}</h2>
      <form className="fields" onSubmit={submit}>
        <input type="text" name="name" autoComplete="username" value={name} readOnly hidden />
        <label>
          {words.currentPassword}
          <input type="password" name="current" autoComplete="current-password" required />
        </label>
        <label>
          {words.newPassword}
          <input
            type="password"
            name="next"
            autoComplete="new-password"
            minLength={8}
            required
            placeholder={words.passwordHint}
          />
        </label>
        <ErrorNote code={action.error} />
        {done && (
          <p className="done-note" role="status">
            {words.passwordChanged}
          </p>
        )}
        <div className="button-row">
          <button type="submit" className="button primary" disabled={action.busy}>
            {words.changePassword}
          </button>
          <button type="button" className="button" onClick={() => action.run(leave)}>
            {words.logOut}
          </button>
        </div>
      </form>
    </section>
  );
}

function Devices() {
  const words = useWords();
  const action = useAction();
  const [read, setRead] = useState<{ sessions: Session[]; current: string | null }>();
  const load = useCallback(async () => setRead(await call("GET", "/sessions")), []);
  // biome-ignore lint/correctness/useExhaustiveDependencies: once per visit
  useEffect(() => {
    action.run(load);
  }, []);
  return (
    <section className="card">
      <h2>{words.sessions}</h2>
      <ErrorNote code={action.error} />
      <ul className="rows">
        {read?.sessions.map((one) => (
          <li key={one.id}>
            <span>
              {nameOf(one.agent)}
              <small>
                {one.address} · {words.lastSeen} {new Date(one.seenAt).toLocaleString()}
              </small>
            </span>
            {one.id === read.current ? (
              <span className="badge loaded">{words.thisDevice}</span>
            ) : (
              <button
                type="button"
                className="button small"
                onClick={() => action.run(() => call("DELETE", `/sessions/${one.id}`).then(load))}
              >
                {words.revoke}
              </button>
            )}
          </li>
        ))}
      </ul>
      {(read?.sessions.length ?? 0) > 1 && (
        <button
          type="button"
          className="button"
          onClick={() => action.run(() => call("DELETE", "/sessions").then(load))}
        >
          {words.revokeOthers}
        </button>
      )}
    </section>
  );
}

/** "Chrome · Linux" of a user agent; the whole of it where nothing is known. */
function nameOf(agent: string): string {
  const browser = /Edg\/|OPR\/|Firefox\/|Chrome\/|Safari\//.exec(agent)?.[0].replace("/", "").replace("Edg", "Edge");
  const system = /Windows|Android|iPhone|iPad|Mac OS X|Linux/.exec(agent)?.[0].replace("Mac OS X", "macOS");
  return [browser, system].filter(Boolean).join(" · ") || agent.slice(0, 60) || "?";
}

function People({ me }: { me: string }) {
  const words = useWords();
  const action = useAction();
  const [read, setRead] = useState<{ accounts: (Account & { today: number })[]; invitations: Invitation[] }>();
  const [link, setLink] = useState<string>();
  const load = useCallback(async () => setRead(await call("GET", "/accounts")), []);
  // biome-ignore lint/correctness/useExhaustiveDependencies: once per visit
  useEffect(() => {
    action.run(load);
  }, []);
  const change = (id: string, body: object) => action.run(() => call("PATCH", `/accounts/${id}`, body).then(load));
  const invite = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    const quota = String(data.get("quota")).trim();
    action.run(async () => {
      const { token } = await call<{ token: string }>("POST", "/invitations", {
        role: data.get("role"),
        quota: quota === "" ? null : Number(quota),
      });
      setLink(`${location.origin}/app/join/${token}`);
      await load();
    });
  };
  return (
    <section className="card">
      <h2>{words.people}</h2>
      <ErrorNote code={action.error} />
      <ul className="rows">
        {read?.accounts.map((one) => (
          <li key={one.id}>
            <span>
              {one.name}
              <small>
                {words.roles[one.role]}
                {one.disabled && ` · ${words.disabled}`} · {one.today.toLocaleString()} /{" "}
                {one.quota?.toLocaleString() ?? words.unlimited}
              </small>
            </span>
            <input
              className="narrow"
              type="number"
              min={0}
              aria-label={`${words.quota}: ${one.name}`}
              placeholder={words.unlimited}
              defaultValue={one.quota ?? ""}
              onBlur={({ target }) => {
                const quota = target.value === "" ? null : Number(target.value);
                if (quota !== one.quota) change(one.id, { quota });
              }}
            />
            <select
              aria-label={`${words.role}: ${one.name}`}
              value={one.role}
              onChange={({ target }) => change(one.id, { role: target.value })}
            >
              <option value="member">{words.roles.member}</option>
              <option value="admin">{words.roles.admin}</option>
            </select>
            {one.id !== me && (
              <>
                <button
                  type="button"
                  className="button small"
                  onClick={() =>
                    action.run(async () => {
                      const { token } = await call<{ token: string }>("POST", `/accounts/${one.id}/reset`, {});
                      setLink(`${location.origin}/app/reset/${token}`);
                    })
                  }
                >
                  {words.resetLink}
                </button>
                <button
                  type="button"
                  className="button small"
                  onClick={() => change(one.id, { disabled: !one.disabled })}
                >
                  {one.disabled ? words.enable : words.disable}
                </button>
                <button
                  type="button"
                  className="button small danger"
                  onClick={async () => {
                    if (await confirm(words.deleteAccountAsk(one.name), words.delete))
                      action.run(() => call("DELETE", `/accounts/${one.id}`).then(load));
                  }}
                >
                  {words.delete}
                </button>
              </>
            )}
          </li>
        ))}
      </ul>
      <h3>{words.invite}</h3>
      <form className="invite" onSubmit={invite}>
        <select name="role" aria-label={words.role} defaultValue="member">
          <option value="member">{words.roles.member}</option>
          <option value="admin">{words.roles.admin}</option>
        </select>
        <input
          name="quota"
          type="number"
          min={0}
          aria-label={words.quota}
          placeholder={`${words.quota}: ${words.unlimited}`}
        />
        <button type="submit" className="button primary" disabled={action.busy}>
          {words.invite}
        </button>
      </form>
      {link && (
        <div className="link-note" role="status">
          <p>{words.invitationLink}</p>
          <input readOnly aria-label={words.invite} value={link} onFocus={(event) => event.target.select()} />
          <button type="button" className="button small" onClick={() => navigator.clipboard.writeText(link)}>
            {words.copy}
          </button>
        </div>
      )}
      {read && read.invitations.length > 0 && (
        <>
          <h3>{words.invitations}</h3>
          <ul className="rows">
            {read.invitations.map((one) => (
              <li key={one.id}>
                <span>
                  {words.roles[one.role]}
                  <small>
                    {words.expires} {new Date(one.expiresAt).toLocaleDateString()}
                  </small>
                </span>
                <button
                  type="button"
                  className="button small"
                  onClick={() => action.run(() => call("DELETE", `/invitations/${one.id}`).then(load))}
                >
                  {words.withdraw}
                </button>
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  );
}
