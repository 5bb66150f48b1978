// The page: who is asking, which address, sidebar and content, and the shortcuts that work everywhere.
import { lazy, Suspense, useCallback, useEffect, useMemo, useState } from "react";
import { ChatView } from "./chat/ChatView.tsx";
import { composerId } from "./chat/Composer.tsx";
import { Palette, type PaletteCommand } from "./chat/Palette.tsx";
import { Sidebar } from "./chat/Sidebar.tsx";
import { Enter } from "./pages/Enter.tsx";
import { Confirmation } from "./parts/ui.tsx";
import { open, stopAnswer } from "./state/conversation.ts";
import { refreshLibrary, refreshModels } from "./state/library.ts";
import { prefer, preferences, usePreferences } from "./state/preferences.ts";
import { go, usePath } from "./state/router.ts";
import { hello, useSession } from "./state/session.ts";
import { useLanguage, useWords } from "./words/index.ts";

const pages = {
  tutor: lazy(() => import("./pages/Tutor.tsx")),
  models: lazy(() => import("./pages/Models.tsx")),
  usage: lazy(() => import("./pages/Usage.tsx")),
  settings: lazy(() => import("./pages/Settings.tsx")),
};

export function App() {
  const words = useWords();
  const language = useLanguage();
  const path = usePath();
  const { phase, accounts, needsSetup, account } = useSession();
  useEffect(() => {
    document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
  }, [language]);
  useEffect(() => {
    hello();
  }, []);
  if (phase === "loading") return null;
  if (phase === "gone")
    return (
      <main className="enter">
        <p className="error-note" role="alert">
          {words.offline}
        </p>
      </main>
    );
  if (accounts && !account) {
    const invited = /^(join|reset)\/(.+)$/.exec(path);
    const kind = (invited?.[1] ?? "login") as "join" | "reset" | "login";
    return <Enter kind={needsSetup ? "setup" : kind} token={invited?.[2]} />;
  }
  return <Shell path={path} />;
}

const dark = (): boolean => {
  const { theme } = preferences.get();
  return theme === "dark" || (theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
};

function Shell({ path }: { path: string }) {
  const words = useWords();
  const { sidebar, inside } = usePreferences();
  const [drawer, setDrawer] = useState(false);
  const [palette, setPalette] = useState(false);
  useEffect(() => {
    refreshLibrary();
    refreshModels().catch(() => {});
  }, []);

  const toggleSidebar = useCallback(() => {
    if (matchMedia("(max-width: 820px)").matches) setDrawer((shown) => !shown);
    else prefer({ sidebar: preferences.get().sidebar === false });
  }, []);

  const commands = useMemo<PaletteCommand[]>(
    () => [
      { label: words.newChat, keys: "Ctrl ⇧ O", run: () => go("") },
      {
        label: words.focusComposer,
        keys: "/",
        run: () => setTimeout(() => document.getElementById(composerId)?.focus()),
      },
      { label: words.toggleSidebar, keys: "Ctrl B", run: toggleSidebar },
      { label: words.inside, keys: "Ctrl I", run: () => prefer({ inside: !preferences.get().inside }) },
      { label: words.toggleTheme, keys: "Ctrl ⇧ L", run: () => prefer({ theme: dark() ? "light" : "dark" }) },
      {
        label: "中文 / English",
        run: () => prefer({ language: document.documentElement.lang.startsWith("zh") ? "en" : "zh" }),
      },
      { label: words.stop, keys: "Esc", run: () => open.get().live && stopAnswer().catch(() => {}) },
      { label: words.tutor, run: () => go("tutor") },
      { label: words.models, run: () => go("models") },
      { label: words.usage, run: () => go("usage") },
      { label: words.settings, keys: "Ctrl ,", run: () => go("settings") },
    ],
    [words, toggleSidebar],
  );

  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const modified = event.ctrlKey || event.metaKey;
      const key = event.key.toLowerCase();
      const typing = event.target instanceof HTMLElement && event.target.matches("input, textarea, select");
      let taken = true;
      if (modified && key === "k") setPalette((shown) => !shown);
      else if (modified && event.shiftKey && key === "o") go("");
      else if (modified && event.shiftKey && key === "l") prefer({ theme: dark() ? "light" : "dark" });
      else if (modified && !event.shiftKey && key === "b") toggleSidebar();
      else if (modified && !event.shiftKey && key === "i") prefer({ inside: !preferences.get().inside });
      else if (modified && key === ",") go("settings");
      else if (key === "/" && !typing) document.getElementById(composerId)?.focus();
      else if (key === "escape" && !typing && open.get().live) stopAnswer().catch(() => {});
      else taken = false;
      if (taken) event.preventDefault();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [toggleSidebar]);

  const conversation = /^c\/([^/]+)$/.exec(path)?.[1];
  const folder = /^new\/([^/]+)$/.exec(path)?.[1] ?? null;
  const PageView = Object.hasOwn(pages, path) ? pages[path as keyof typeof pages] : undefined;
  const openOne = useCallback((id: string) => go(`c/${id}`), []);
  return (
    <div
      className={`shell${sidebar === false ? " no-sidebar" : ""}${drawer ? " drawer" : ""}${inside && !PageView ? " has-inside" : ""}`}
    >
      <Sidebar onHide={toggleSidebar} onGo={() => setDrawer(false)} />
      {drawer && <button type="button" className="scrim" aria-label={words.close} onClick={() => setDrawer(false)} />}
      {PageView ? (
        <Suspense fallback={<main className="page" />}>
          <PageView onMenu={toggleSidebar} />
        </Suspense>
      ) : (
        <ChatView id={conversation} folder={folder} onMenu={toggleSidebar} />
      )}
      <Palette open={palette} onClose={() => setPalette(false)} commands={commands} onOpen={openOne} />
      <Confirmation />
    </div>
  );
}
