// The account's conversations: search, folders, pins, groups by age, the archive; a virtual list, so that ten thousand are
// no slower than ten.
import { useVirtualizer } from "@tanstack/react-virtual";
import { type FormEvent, type ReactNode, useEffect, useMemo, useRef, useState } from "react";
import type { ConversationSummary, Folder, SearchHit } from "../../../src/server/app/protocol.ts";
import {
  Archive,
  Chart,
  Chip,
  Close,
  Down,
  Folder as FolderIcon,
  Mark,
  Pin,
  Plus,
  Right,
  Search,
  Settings,
  Sidebar as SidebarIcon,
  Steps,
} from "../parts/icons.tsx";
import { confirm, Dialog, ErrorNote, IconButton, useAction } from "../parts/ui.tsx";
import { call } from "../state/api.ts";
import { refreshLibrary, useLibrary, useModels } from "../state/library.ts";
import { go, usePath } from "../state/router.ts";
import { useWords, type Words } from "../words/index.ts";
import { ConversationMenu } from "./ConversationMenu.tsx";

type Row =
  | { kind: "heading"; key: string; text: string; folder?: Folder; count?: number; folded?: boolean; fold?: string }
  | { kind: "conversation"; key: string; one: ConversationSummary; indented: boolean };

const day = 24 * 3600_000;

function ageGroup(at: number, words: Words): string {
  const midnight = new Date().setHours(0, 0, 0, 0);
  if (at >= midnight) return words.today;
  if (at >= midnight - day) return words.yesterday;
  return at >= midnight - 7 * day ? words.lastWeek : words.older;
}

function rowsOf(all: ConversationSummary[], folders: Folder[], folded: Set<string>, words: Words): Row[] {
  const rows: Row[] = [];
  const section = (fold: string, text: string, list: ConversationSummary[], folder?: Folder): void => {
    rows.push({ kind: "heading", key: fold, text, folder, count: list.length, folded: folded.has(fold), fold });
    if (!folded.has(fold))
      for (const one of list) rows.push({ kind: "conversation", key: `${fold} ${one.id}`, one, indented: true });
  };
  const live = all.filter((one) => !one.archived);
  const pinned = live.filter((one) => one.pinned);
  if (pinned.length > 0) section("pinned", words.pinned, pinned);
  for (const folder of folders)
    section(
      folder.id,
      folder.name,
      live.filter((one) => one.folder === folder.id),
      folder,
    );
  let group = "";
  for (const one of live) {
    if (one.pinned || one.folder !== null) continue;
    const next = ageGroup(one.updatedAt, words);
    if (next !== group) rows.push({ kind: "heading", key: next, text: next });
    group = next;
    rows.push({ kind: "conversation", key: one.id, one, indented: false });
  }
  const archived = all.filter((one) => one.archived);
  if (archived.length > 0) section("archived", words.archived, archived);
  return rows;
}

export function Sidebar({ onHide, onGo }: { onHide(): void; onGo(): void }) {
  const words = useWords();
  const path = usePath();
  const { models } = useModels();
  const [query, setQuery] = useState("");
  const [editing, setEditing] = useState<Folder | "new">();
  const to = (where: string): void => {
    go(where);
    onGo();
  };
  const page = (where: string, icon: ReactNode, label: string) => (
    <a
      className="page-link"
      href={`/app/${where}`}
      aria-current={path === where ? "page" : undefined}
      onClick={(event) => {
        event.preventDefault();
        to(where);
      }}
    >
      {icon}
      {label}
    </a>
  );
  return (
    <nav className="sidebar" aria-label={words.conversations}>
      <header>
        <Mark />
        <strong className="brand">{words.app}</strong>
        <IconButton label={words.toggleSidebar} onClick={onHide}>
          <SidebarIcon />
        </IconButton>
      </header>
      <button type="button" className="new-chat" onClick={() => to("")}>
        <Plus />
        {words.newChat}
      </button>
      <div className="search-field">
        <Search />
        <input
          type="search"
          aria-label={words.searchAll}
          placeholder={words.search}
          value={query}
          onChange={(event) => setQuery(event.target.value)}
        />
        {query !== "" && (
          <IconButton label={words.close} onClick={() => setQuery("")}>
            <Close />
          </IconButton>
        )}
      </div>
      {query.trim() === "" ? (
        <ConversationList
          path={path}
          onOpen={(id) => to(`c/${id}`)}
          onEdit={setEditing}
          onNewIn={(id) => to(`new/${id}`)}
        />
      ) : (
        <Hits query={query} onOpen={(id) => to(`c/${id}`)} />
      )}
      <footer>
        {models.some((model) => model.tutor) && page("tutor", <Steps />, words.tutor)}
        {page("models", <Chip />, words.models)}
        {page("usage", <Chart />, words.usage)}
        {page("settings", <Settings />, words.settings)}
      </footer>
      <FolderDialog
        key={typeof editing === "object" ? editing.id : "new"}
        editing={editing}
        onClose={() => setEditing(undefined)}
      />
    </nav>
  );
}

function ConversationList({
  path,
  onOpen,
  onEdit,
  onNewIn,
}: {
  path: string;
  onOpen(id: string): void;
  onEdit(folder: Folder | "new"): void;
  onNewIn(folder: string): void;
}) {
  const words = useWords();
  const { conversations, folders } = useLibrary();
  const [folded, setFolded] = useState(new Set(["archived"]));
  const rows = useMemo(() => rowsOf(conversations, folders, folded, words), [conversations, folders, folded, words]);
  const scroller = useRef<HTMLDivElement>(null);
  const list = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => 36,
    getItemKey: (index) => rows[index].key,
    overscan: 12,
  });
  const fold = (name: string): void => {
    const next = new Set(folded);
    if (!next.delete(name)) next.add(name);
    setFolded(next);
  };
  return (
    <>
      <div className="list-head">
        <span>{words.conversations}</span>
        <IconButton label={words.newFolder} onClick={() => onEdit("new")}>
          <FolderIcon />
        </IconButton>
      </div>
      <div className="conversations" ref={scroller}>
        <ul style={{ height: list.getTotalSize() }}>
          {list.getVirtualItems().map((item) => {
            const row = rows[item.index];
            return (
              <li key={item.key} className="conversation-row" style={{ transform: `translateY(${item.start}px)` }}>
                {row.kind === "heading" ? (
                  <div className="heading">
                    {row.fold ? (
                      <button type="button" aria-expanded={!row.folded} onClick={() => fold(row.fold!)}>
                        {row.folded ? <Right /> : <Down />}
                        {row.key === "archived" ? <Archive /> : row.folder ? <FolderIcon /> : <Pin />}
                        <span>{row.text}</span>
                        <small>{row.count}</small>
                      </button>
                    ) : (
                      <span>{row.text}</span>
                    )}
                    {row.folder && (
                      <>
                        <IconButton label={`${words.newChat}: ${row.text}`} onClick={() => onNewIn(row.folder!.id)}>
                          <Plus />
                        </IconButton>
                        <IconButton label={`${words.editFolder}: ${row.text}`} onClick={() => onEdit(row.folder!)}>
                          <Settings />
                        </IconButton>
                      </>
                    )}
                  </div>
                ) : (
                  <div className={`entry${row.indented ? " indented" : ""}`}>
                    <a
                      href={`/app/c/${row.one.id}`}
                      aria-current={path === `c/${row.one.id}` ? "page" : undefined}
                      onClick={(event) => {
                        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
                        event.preventDefault();
                        onOpen(row.one.id);
                      }}
                    >
                      {row.one.running && <span className="pulse" role="img" aria-label={words.thinking} />}
                      <span>{row.one.title || words.newChat}</span>
                    </a>
                    <ConversationMenu id={row.one.id} />
                  </div>
                )}
              </li>
            );
          })}
        </ul>
      </div>
    </>
  );
}

function Hits({ query, onOpen }: { query: string; onOpen(id: string): void }) {
  const words = useWords();
  const [hits, setHits] = useState<SearchHit[]>();
  useEffect(() => {
    let current = true;
    const timer = setTimeout(() => {
      call<{ hits: SearchHit[] }>("GET", `/search?q=${encodeURIComponent(query)}`)
        .then((read) => current && setHits(read.hits))
        .catch(() => current && setHits([]));
    }, 150);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [query]);
  return (
    <div className="conversations hits" aria-live="polite">
      {hits?.length === 0 && <p className="quiet">{words.noHits}</p>}
      {hits?.map((hit) => (
        <button
          type="button"
          className="hit"
          key={`${hit.conversation} ${hit.message}`}
          onClick={() => onOpen(hit.conversation)}
        >
          <strong>{hit.title || words.newChat}</strong>
          <span>{marked(hit.text, hit.hits)}</span>
        </button>
      ))}
    </div>
  );
}

function marked(text: string, hits: [number, number][]): ReactNode[] {
  const parts: ReactNode[] = [];
  let at = 0;
  for (const [from, to] of hits) {
    if (from < at) continue;
    parts.push(text.slice(at, from), <mark key={from}>{text.slice(from, to)}</mark>);
    at = to;
  }
  parts.push(text.slice(at));
  return parts;
}

function FolderDialog({ editing, onClose }: { editing: Folder | "new" | undefined; onClose(): void }) {
  const words = useWords();
  const action = useAction();
  const folder = typeof editing === "object" ? editing : undefined;
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    const body = { name: String(data.get("name")).trim(), instructions: String(data.get("instructions")) };
    if (body.name === "") return;
    action
      .run(() =>
        (folder ? call("PATCH", `/folders/${folder.id}`, body) : call("POST", "/folders", body)).then(refreshLibrary),
      )
      .then((done) => done && onClose());
  };
  return (
    <Dialog title={folder ? words.editFolder : words.newFolder} open={editing !== undefined} onClose={onClose}>
      <form className="fields" onSubmit={submit}>
        <label>
          {words.folderName}
          <input name="name" defaultValue={folder?.name} maxLength={80} required />
        </label>
        <label>
          {words.folderInstructions}
          <textarea name="instructions" rows={4} defaultValue={folder?.instructions} />
        </label>
        <ErrorNote code={action.error} />
        <footer>
          {folder && (
            <button
              type="button"
              className="button danger"
              onClick={async () => {
                if (await confirm(words.deleteFolderAsk, words.deleteFolder))
                  action
                    .run(() => call("DELETE", `/folders/${folder.id}`).then(refreshLibrary))
                    .then((done) => done && onClose());
              }}
            >
              {words.deleteFolder}
            </button>
          )}
          <span className="spacer" />
          <button type="button" className="button" onClick={onClose}>
            {words.cancel}
          </button>
          <button type="submit" className="button primary">
            {words.save}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
