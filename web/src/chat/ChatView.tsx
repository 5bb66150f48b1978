// The conversation page: the list (or a greeting), the composer, and See inside beside it.
import { lazy, Suspense, useEffect } from "react";
import { Eye, Mark, Sidebar as SidebarIcon } from "../parts/icons.tsx";
import { ErrorNote, IconButton } from "../parts/ui.tsx";
import { open, openConversation } from "../state/conversation.ts";
import { prefer, usePreferences } from "../state/preferences.ts";
import { useStore } from "../state/store.ts";
import { useWords } from "../words/index.ts";
import { Composer, write } from "./Composer.tsx";
import { ConversationMenu } from "./ConversationMenu.tsx";
import { MessageList } from "./MessageList.tsx";
import { useChatSettings } from "./settings.ts";

const Inside = lazy(() => import("./Inside.tsx"));

export function ChatView({ id, folder, onMenu }: { id: string | undefined; folder: string | null; onMenu(): void }) {
  const words = useWords();
  const { inside, sidebar } = usePreferences();
  const loading = useStore(open, (value) => value.loading);
  const error = useStore(open, (value) => value.error);
  const offline = useStore(open, (value) => value.offline);
  const title = useStore(open, (value) => value.state.title);
  const tutor = useChatSettings().model?.tutor;
  const empty = useStore(open, (value) => value.state.head === null);
  useEffect(() => {
    openConversation(id, folder);
  }, [id, folder]);
  useEffect(() => {
    document.title = title ? `${title} · ${words.app}` : words.app;
  }, [title, words]);
  return (
    <div className={`chat${inside ? " with-inside" : ""}`}>
      <main className="chat-main">
        <header className="top">
          <IconButton label={words.toggleSidebar} className={sidebar === false ? "" : "narrow-only"} onClick={onMenu}>
            <SidebarIcon />
          </IconButton>
          <h1 className="title">{title || words.newChat}</h1>
          {id !== undefined && !error && <ConversationMenu id={id} />}
          <IconButton label={words.inside} aria-pressed={inside ?? false} onClick={() => prefer({ inside: !inside })}>
            <Eye />
          </IconButton>
        </header>
        {offline && (
          <p className="offline" role="status">
            {words.offline}
          </p>
        )}
        {error ? (
          <div className="middle">
            <ErrorNote code={error} />
            <button type="button" className="button" onClick={() => openConversation(id)}>
              {words.retry}
            </button>
          </div>
        ) : loading ? (
          <div className="middle quiet" role="status">
            {words.loading}
          </div>
        ) : empty ? (
          <div className="middle greeting">
            <Mark size={52} />
            <h2>{words.greeting}</h2>
            <p>{words.greetingHint}</p>
            {tutor && (
              <ul className="examples">
                {words.examples.map((example) => (
                  <li key={example}>
                    <button type="button" onClick={() => write(example)}>
                      {example}
                    </button>
                  </li>
                ))}
              </ul>
            )}
          </div>
        ) : (
          <MessageList />
        )}
        {!error && <Composer />}
      </main>
      {inside && (
        <Suspense>
          <Inside />
        </Suspense>
      )}
    </div>
  );
}
