// What can be done with a whole conversation: rename, pin, file, archive, export, delete. Shared by sidebar and title bar.
import { type FormEvent, useState } from "react";
import { Archive, Check, Dots, Edit, Export, Folder as FolderIcon, Pin, Trash } from "../parts/icons.tsx";
import { confirm, Dialog, ErrorNote, IconButton, type Item, Menu, useAction } from "../parts/ui.tsx";
import { base, call } from "../state/api.ts";
import { open, openConversation } from "../state/conversation.ts";
import { changeConversation, refreshLibrary, useLibrary } from "../state/library.ts";
import { currentPath, go } from "../state/router.ts";
import { useWords } from "../words/index.ts";

export function download(path: string): void {
  const link = document.createElement("a");
  link.href = base + path;
  link.download = "";
  link.click();
}

export function ConversationMenu({ id }: { id: string }) {
  const words = useWords();
  const { conversations, folders } = useLibrary();
  const [dialog, setDialog] = useState<"rename" | "move">();
  const action = useAction();
  const one = conversations.find((other) => other.id === id);
  if (!one) return null;
  const change = (what: Parameters<typeof changeConversation>[1]) => action.run(() => changeConversation(id, what));
  const items: (Item | null)[] = [
    { label: words.rename, icon: <Edit />, onSelect: () => setDialog("rename") },
    { label: one.pinned ? words.unpin : words.pin, icon: <Pin />, onSelect: () => change({ pinned: !one.pinned }) },
    { label: words.moveTo, icon: <FolderIcon />, onSelect: () => setDialog("move") },
    {
      label: one.archived ? words.unarchive : words.archive,
      icon: <Archive />,
      onSelect: () => change({ archived: !one.archived }),
    },
    null,
    {
      label: words.exportMarkdown,
      icon: <Export />,
      onSelect: () => download(`/conversations/${id}/export?format=markdown`),
    },
    { label: words.exportJson, icon: <Export />, onSelect: () => download(`/conversations/${id}/export`) },
    null,
    {
      label: words.delete,
      icon: <Trash />,
      danger: true,
      onSelect: async () => {
        if (!(await confirm(words.deleteAsk(one.title), words.delete))) return;
        await action.run(async () => {
          await call("DELETE", `/conversations/${id}`);
          if (currentPath() === `c/${id}`) go("");
          if (open.get().id === id) openConversation(undefined);
          await refreshLibrary();
        });
      },
    },
  ];
  const rename = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const title = String(new FormData(event.currentTarget).get("title")).trim();
    if (title !== "") change({ title }).then((done) => done && setDialog(undefined));
  };
  return (
    <>
      <Menu
        trigger={
          <IconButton label={`${words.conversationActions}: ${one.title}`}>
            <Dots />
          </IconButton>
        }
        items={items}
      />
      <Dialog title={words.rename} open={dialog === "rename"} onClose={() => setDialog(undefined)}>
        <form className="fields" onSubmit={rename}>
          <input name="title" aria-label={words.rename} defaultValue={one.title} maxLength={200} />
          <ErrorNote code={action.error} />
          <footer>
            <button type="button" className="button" onClick={() => setDialog(undefined)}>
              {words.cancel}
            </button>
            <button type="submit" className="button primary">
              {words.save}
            </button>
          </footer>
        </form>
      </Dialog>
      <Dialog title={words.moveTo} open={dialog === "move"} onClose={() => setDialog(undefined)}>
        <div className="options">
          {[{ id: null, name: words.noFolder }, ...folders].map((folder) => (
            <button
              type="button"
              key={folder.id}
              className="option"
              onClick={() => change({ folder: folder.id }).then((done) => done && setDialog(undefined))}
            >
              {folder.name}
              {one.folder === folder.id && <Check />}
            </button>
          ))}
        </div>
        <ErrorNote code={action.error} />
      </Dialog>
    </>
  );
}
