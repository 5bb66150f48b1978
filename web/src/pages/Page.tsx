// The frame of every page that is not a conversation.
import { type ReactNode, useEffect } from "react";
import { Sidebar as SidebarIcon } from "../parts/icons.tsx";
import { IconButton } from "../parts/ui.tsx";
import { openConversation } from "../state/conversation.ts";
import { usePreferences } from "../state/preferences.ts";
import { useWords } from "../words/index.ts";

export function Page({
  title,
  intro,
  onMenu,
  children,
}: {
  title: string;
  intro?: string;
  onMenu(): void;
  children: ReactNode;
}) {
  const words = useWords();
  const { sidebar } = usePreferences();
  useEffect(() => {
    document.title = `${title} · ${words.app}`;
    // The stream goes on for the sidebar alone.
    openConversation(undefined);
  }, [title, words]);
  return (
    <main className="page">
      <header className="top">
        <IconButton label={words.toggleSidebar} className={sidebar === false ? "" : "narrow-only"} onClick={onMenu}>
          <SidebarIcon />
        </IconButton>
      </header>
      <div className="page-body">
        <h1>{title}</h1>
        {intro && <p className="intro">{intro}</p>}
        {children}
      </div>
    </main>
  );
}
