// Before one is in: the first run, the log-in, and joining by invitation.
import { type FormEvent, useEffect } from "react";
import { Mark } from "../parts/icons.tsx";
import { Choice, ErrorNote, useAction } from "../parts/ui.tsx";
import { prefer, usePreferences } from "../state/preferences.ts";
import { go } from "../state/router.ts";
import { enter } from "../state/session.ts";
import { useLanguage, useWords } from "../words/index.ts";

export function Enter({ kind, token }: { kind: "setup" | "login" | "join" | "reset"; token?: string }) {
  const words = useWords();
  const language = useLanguage();
  const action = useAction();
  usePreferences();
  const title = { setup: words.setUp, login: words.logIn, join: words.join, reset: words.newPassword }[kind];
  useEffect(() => {
    document.title = `${title} · ${words.app}`;
  }, [title, words]);
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    const field = (name: string): string => String(data.get(name) ?? "");
    const body: Record<string, string> = { name: field("name"), password: field("password") };
    if (kind === "setup") body.token = field("token").trim();
    if (kind === "join" || kind === "reset") body.token = token ?? "";
    action.run(async () => {
      await enter(`/${kind}`, body);
      if (kind === "join" || kind === "reset") go("", { replace: true });
    });
  };
  return (
    <main className="enter">
      <form className="card fields" onSubmit={submit}>
        <Mark size={44} />
        <h1>{title}</h1>
        {kind !== "login" && (
          <p className="quiet">{{ setup: words.setUpIntro, join: words.joinIntro, reset: words.resetIntro }[kind]}</p>
        )}
        {kind === "setup" && (
          <label>
            {words.setupToken}
            <input name="token" required autoComplete="off" spellCheck={false} />
          </label>
        )}
        {kind !== "reset" && (
          <label>
            {words.name}
            <input name="name" required maxLength={64} autoComplete="username" autoCapitalize="none" />
          </label>
        )}
        <label>
          {words.password}
          <input
            type="password"
            name="password"
            required
            minLength={kind === "login" ? undefined : 8}
            placeholder={kind === "login" ? undefined : words.passwordHint}
            autoComplete={kind === "login" ? "current-password" : "new-password"}
          />
        </label>
        <ErrorNote code={action.error} />
        <button type="submit" className="button primary" disabled={action.busy}>
          {title}
        </button>
        <Choice
          label={words.language}
          value={language}
          options={{ zh: words.languages.zh, en: words.languages.en }}
          onChange={(next) => prefer({ language: next })}
        />
      </form>
    </main>
  );
}
