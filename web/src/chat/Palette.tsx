// Ctrl-K: every command and every conversation, by keyboard.
import { useEffect, useMemo, useRef, useState } from "react";
import { Dialog } from "../parts/ui.tsx";
import { useLibrary } from "../state/library.ts";
import { useWords } from "../words/index.ts";

export interface PaletteCommand {
  label: string;
  keys?: string;
  run(): void;
}

export function Palette({
  open,
  onClose,
  commands,
  onOpen,
}: {
  open: boolean;
  onClose(): void;
  commands: PaletteCommand[];
  onOpen(conversation: string): void;
}) {
  const words = useWords();
  return (
    <Dialog title={words.palette} open={open} onClose={onClose} className="palette">
      {open && <Finder commands={commands} onOpen={onOpen} onClose={onClose} />}
    </Dialog>
  );
}

function Finder({
  commands,
  onOpen,
  onClose,
}: {
  commands: PaletteCommand[];
  onOpen(conversation: string): void;
  onClose(): void;
}) {
  const words = useWords();
  const { conversations } = useLibrary();
  const [query, setQuery] = useState("");
  const [at, setAt] = useState(0);
  const chosen = useRef<HTMLDivElement>(null);
  const found = useMemo(() => {
    const wanted = query.trim().toLowerCase();
    const all: PaletteCommand[] = [
      ...commands,
      ...conversations.map((one) => ({ label: one.title || words.newChat, run: () => onOpen(one.id) })),
    ];
    return all.filter(({ label }) => label.toLowerCase().includes(wanted)).slice(0, 60);
  }, [query, commands, conversations, onOpen, words]);
  useEffect(() => {
    chosen.current?.scrollIntoView({ block: "nearest" });
  });
  const run = (index: number): void => {
    onClose();
    found[index]?.run();
  };
  return (
    <>
      <input
        // biome-ignore lint/a11y/noAutofocus: opening the palette is asking for this field
        autoFocus
        role="combobox"
        aria-expanded="true"
        aria-controls="palette-list"
        aria-activedescendant={`palette-${at}`}
        aria-label={words.paletteHint}
        placeholder={words.paletteHint}
        value={query}
        onChange={(event) => {
          setQuery(event.target.value);
          setAt(0);
        }}
        onKeyDown={(event) => {
          if (event.nativeEvent.isComposing) return;
          const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
          if (step !== undefined) {
            event.preventDefault();
            setAt((at + step + found.length) % Math.max(1, found.length));
          } else if (event.key === "Enter") {
            event.preventDefault();
            run(at);
          }
        }}
      />
      <div className="options" id="palette-list" role="listbox" aria-label={words.palette}>
        {found.map(({ label, keys }, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the field above handles the keys for the whole list
          <div
            // biome-ignore lint/suspicious/noArrayIndexKey: titles may repeat
            key={index}
            id={`palette-${index}`}
            ref={index === at ? chosen : undefined}
            role="option"
            tabIndex={-1}
            aria-selected={index === at}
            className="option"
            onClick={() => run(index)}
          >
            <span>{label}</span>
            {keys && <kbd>{keys}</kbd>}
          </div>
        ))}
        {found.length === 0 && <p className="quiet">{words.noHits}</p>}
      </div>
    </>
  );
}
