// System prompt and sampling of one conversation.
import { type FormEvent, useId } from "react";
import type { ConversationSettings } from "../../../src/server/app/protocol.ts";
import { limits } from "../../../src/server/app/protocol.ts";
import { Dialog } from "../parts/ui.tsx";
import { useWords } from "../words/index.ts";
import { useChatSettings } from "./settings.ts";

export function Parameters({ open, onClose }: { open: boolean; onClose(): void }) {
  const words = useWords();
  const id = useId();
  const { settings, model, change } = useChatSettings();
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault();
    event.stopPropagation();
    const data = new FormData(event.currentTarget);
    const number = (name: string): number | undefined => {
      const text = String(data.get(name) ?? "").trim();
      return text === "" ? undefined : Number(text);
    };
    const system = String(data.get("system") ?? "").trim();
    const next: Partial<ConversationSettings> = {
      system: system === "" ? undefined : system,
      temperature: number("temperature"),
      topP: number("topP"),
      maxTokens: number("maxTokens"),
      thinkingBudget: number("thinkingBudget"),
    };
    change(next);
    onClose();
  };
  type Numeric = "temperature" | "topP" | "maxTokens" | "thinkingBudget";
  type Row = { name: Numeric; label: string; min: number; max: number; step: number };
  const numbers: Row[] = [
    { name: "temperature", label: words.temperature, min: 0, max: 2, step: 0.05 },
    { name: "topP", label: words.topP, min: 0.01, max: 1, step: 0.01 },
    { name: "maxTokens", label: words.maxTokens, min: 1, max: 1_000_000, step: 1 },
    ...(model?.thinking
      ? [{ name: "thinkingBudget" as const, label: words.thinkingBudget, min: 0, max: 1_000_000, step: 1 }]
      : []),
  ];
  return (
    <Dialog title={words.parameters} open={open} onClose={onClose}>
      <form onSubmit={submit} className="fields">
        <label htmlFor={`${id} system`}>{words.systemPrompt}</label>
        <textarea
          id={`${id} system`}
          name="system"
          rows={5}
          maxLength={limits.system}
          placeholder={words.systemPromptHint}
          defaultValue={settings.system}
        />
        <div className="field-grid">
          {numbers.map(({ name, label, ...range }) => (
            <div key={name}>
              <label htmlFor={`${id} ${name}`}>{label}</label>
              <input
                id={`${id} ${name}`}
                name={name}
                type="number"
                inputMode="decimal"
                placeholder={words.automatic}
                defaultValue={settings[name]}
                {...range}
              />
            </div>
          ))}
        </div>
        <footer>
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
