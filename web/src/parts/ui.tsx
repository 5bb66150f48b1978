// Small pieces every page uses: buttons with labels, menus, dialogs, notices.
import { Dialog as BaseDialog } from "@base-ui/react/dialog";
import { Menu as BaseMenu } from "@base-ui/react/menu";
import { Switch as BaseSwitch } from "@base-ui/react/switch";
import { type ComponentProps, type ReactElement, type ReactNode, useId, useRef, useState } from "react";
import { codeOf } from "../state/api.ts";
import { Store, useStore } from "../state/store.ts";
import { useWords } from "../words/index.ts";
import { Check, Close } from "./icons.tsx";

export function IconButton({ label, children, className = "", ...rest }: { label: string } & ComponentProps<"button">) {
  return (
    <button type="button" className={`icon-button ${className}`} aria-label={label} title={label} {...rest}>
      {children}
    </button>
  );
}

export interface Item {
  label: string;
  icon?: ReactNode;
  checked?: boolean;
  danger?: boolean;
  detail?: string;
  onSelect(): void;
}

/** A button that opens a list of actions; `null` draws a line. */
export function Menu({
  trigger,
  items,
  side = "bottom",
  align = "end",
}: {
  trigger: ReactElement;
  items: (Item | null)[];
  side?: "top" | "bottom";
  align?: "start" | "end";
}) {
  return (
    <BaseMenu.Root>
      <BaseMenu.Trigger render={trigger} />
      <BaseMenu.Portal>
        <BaseMenu.Positioner className="menu-place" side={side} align={align} sideOffset={6}>
          <BaseMenu.Popup className="menu">
            {items.map((item, index) =>
              item === null ? (
                // biome-ignore lint/suspicious/noArrayIndexKey: lines have no other name
                <div className="menu-line" key={`line ${index}`} />
              ) : (
                <BaseMenu.Item
                  key={item.label}
                  className={`menu-item${item.danger ? " danger" : ""}`}
                  onClick={() => item.onSelect()}
                >
                  {item.icon}
                  <span className="menu-label">
                    {item.label}
                    {item.detail && <small>{item.detail}</small>}
                  </span>
                  {item.checked && <Check />}
                </BaseMenu.Item>
              ),
            )}
          </BaseMenu.Popup>
        </BaseMenu.Positioner>
      </BaseMenu.Portal>
    </BaseMenu.Root>
  );
}

export function Dialog({
  title,
  open,
  onClose,
  children,
  className = "",
}: {
  title: string;
  open: boolean;
  onClose(): void;
  children: ReactNode;
  className?: string;
}) {
  const words = useWords();
  const popup = useRef<HTMLDivElement>(null);
  // The first field is what the dialog was opened for; without one the first button of its foot.
  const first = (): HTMLElement | null =>
    popup.current?.querySelector<HTMLElement>("input, textarea, select, .option, footer button") ?? null;
  return (
    <BaseDialog.Root open={open} onOpenChange={(next) => next || onClose()}>
      <BaseDialog.Portal>
        <BaseDialog.Backdrop className="backdrop" />
        <BaseDialog.Popup ref={popup} className={`dialog ${className}`} initialFocus={first}>
          <header>
            <BaseDialog.Title className="dialog-title">{title}</BaseDialog.Title>
            <BaseDialog.Close render={<IconButton label={words.close} />}>
              <Close />
            </BaseDialog.Close>
          </header>
          {children}
        </BaseDialog.Popup>
      </BaseDialog.Portal>
    </BaseDialog.Root>
  );
}

export function Switch({
  label,
  checked,
  onChange,
}: {
  label: string;
  checked: boolean;
  onChange(checked: boolean): void;
}) {
  return (
    <BaseSwitch.Root className="switch" aria-label={label} checked={checked} onCheckedChange={onChange}>
      <BaseSwitch.Thumb className="switch-thumb" />
    </BaseSwitch.Root>
  );
}

/** One of a few, side by side. */
export function Choice<T extends string>({
  label,
  value,
  options,
  onChange,
}: {
  label: string;
  value: T;
  options: Partial<Record<T, string>>;
  onChange(value: T): void;
}) {
  const name = useId();
  return (
    <fieldset className="choice" aria-label={label}>
      {(Object.entries(options) as [T, string][]).map(([option, text]) => (
        <label key={option}>
          <input type="radio" name={name} checked={option === value} onChange={() => onChange(option)} />
          <span>{text}</span>
        </label>
      ))}
    </fieldset>
  );
}

/** Runs actions and keeps the code of the last failure, for a sentence in place. */
export function useAction(): {
  busy: boolean;
  error: string | undefined;
  run(action: () => Promise<unknown>): Promise<boolean>;
  clear(): void;
} {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string>();
  return {
    busy,
    error,
    clear: () => setError(undefined),
    run: async (action) => {
      setBusy(true);
      setError(undefined);
      try {
        await action();
        return true;
      } catch (caught) {
        setError(codeOf(caught));
        return false;
      } finally {
        setBusy(false);
      }
    },
  };
}

export function ErrorNote({ code }: { code: string | undefined }) {
  const words = useWords();
  if (code === undefined) return null;
  return (
    <p className="error-note" role="alert">
      {words.errors[code] ?? words.errors.unknown}
    </p>
  );
}

// Questions before what cannot be undone, asked from anywhere.

interface Asked {
  text: string;
  action: string;
  answer(yes: boolean): void;
}

const asked = new Store<Asked | undefined>(undefined);

export const confirm = (text: string, action: string): Promise<boolean> =>
  new Promise((resolve) => asked.set({ text, action, answer: resolve }));

export function Confirmation() {
  const words = useWords();
  const question = useStore(asked);
  const answer = (yes: boolean): void => {
    question?.answer(yes);
    asked.set(undefined);
  };
  return (
    <Dialog title={question?.action ?? ""} open={question !== undefined} onClose={() => answer(false)}>
      <p>{question?.text}</p>
      <footer>
        <button type="button" className="button" onClick={() => answer(false)}>
          {words.cancel}
        </button>
        <button type="button" className="button danger" onClick={() => answer(true)}>
          {question?.action}
        </button>
      </footer>
    </Dialog>
  );
}

/** A file picker's files. */
export function pickFiles(accept: string, multiple: boolean): Promise<File[]> {
  return new Promise((resolve) => {
    const input = document.createElement("input");
    input.type = "file";
    input.accept = accept;
    input.multiple = multiple;
    input.addEventListener("change", () => resolve([...(input.files ?? [])]));
    input.addEventListener("cancel", () => resolve([]));
    input.click();
  });
}
