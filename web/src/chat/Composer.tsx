// Where messages are written: text outside React state (typing costs nothing), attachments, thinking, effort, model and
// parameters, send and stop. What is typed stays until the server has it.
import { type ClipboardEvent, type DragEvent, type KeyboardEvent, useEffect, useMemo, useRef, useState } from "react";
import type { Attachment } from "../../../src/server/app/protocol.ts";
import { limits } from "../../../src/server/app/protocol.ts";
import { pathTo } from "../../../src/server/app/tree.ts";
import { Clip, Close, Down, File as FileIcon, Send, Sliders, Stop, Think } from "../parts/icons.tsx";
import { ErrorNote, IconButton, Menu, pickFiles, useAction } from "../parts/ui.tsx";
import { answerNow, ask, open, stopAnswer } from "../state/conversation.ts";
import { useModels } from "../state/library.ts";
import { usePreferences } from "../state/preferences.ts";
import { go } from "../state/router.ts";
import { useStore } from "../state/store.ts";
import { useWords } from "../words/index.ts";
import { type Draft, keepDraft, readDraft } from "./drafts.ts";
import { longPaste, readFile } from "./files.ts";
import { Parameters } from "./Parameters.tsx";
import { useChatSettings } from "./settings.ts";

export const composerId = "composer";

/** Puts text into the message field from elsewhere (the tutor, the palette). */
export function write(text: string): void {
  const field = document.getElementById(composerId) as HTMLTextAreaElement | null;
  if (!field) return;
  field.value = text;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  field.focus();
}

const fits = CSS.supports("field-sizing", "content");

export function Composer() {
  const words = useWords();
  const id = useStore(open, (value) => value.id);
  const head = useStore(open, (value) => value.state.head);
  const running = useStore(open, (value) => value.live !== undefined);
  const loading = useStore(open, (value) => value.loading);
  const { sendKey } = usePreferences();
  const { settings, model, change } = useChatSettings();
  const { models } = useModels();
  const action = useAction();
  const field = useRef<HTMLTextAreaElement>(null);
  const [attachments, setAttachments] = useState<Attachment[]>([]);
  const [filled, setFilled] = useState(false);
  const [dragging, setDragging] = useState(false);
  const [fileError, setFileError] = useState<string>();
  const [parametersOpen, setParametersOpen] = useState(false);
  const shownFor = useRef<string | undefined | null>(null);
  const sending = useRef<string | undefined>(undefined);
  const timer = useRef(0);
  const text = useRef("");
  const files = useRef<Attachment[]>([]);
  files.current = attachments;

  const draft = (): Draft => ({ text: text.current, attachments: files.current });
  const save = (): void => {
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => keepDraft(shownFor.current ?? undefined, draft()), 300);
  };
  const grow = (): void => {
    const element = field.current;
    if (!element || fits) return;
    element.style.height = "auto";
    element.style.height = `${Math.min(element.scrollHeight, 300)}px`;
  };
  const put = (next: Draft): void => {
    text.current = next.text;
    if (field.current) field.current.value = next.text;
    setAttachments(next.attachments);
    setFilled(next.text.trim() !== "");
    grow();
  };

  // biome-ignore lint/correctness/useExhaustiveDependencies: a draft is changed for another only when the conversation changes
  useEffect(() => {
    // The first message of a conversation gives it its id; the field is not to change for that.
    if (sending.current !== undefined || shownFor.current === id) return;
    if (shownFor.current !== null) keepDraft(shownFor.current, draft());
    shownFor.current = id;
    put(readDraft(id));
    action.clear();
    if (matchMedia("(hover: hover)").matches) field.current?.focus();
  }, [id]);

  useEffect(() => {
    const keep = (): void => {
      clearTimeout(timer.current);
      if (shownFor.current !== null) keepDraft(shownFor.current, { text: text.current, attachments: files.current });
    };
    addEventListener("pagehide", keep);
    return () => {
      removeEventListener("pagehide", keep);
      keep();
    };
  }, []);

  const send = async (): Promise<void> => {
    const content = text.current;
    if ((content.trim() === "" && attachments.length === 0) || running || sending.current !== undefined) return;
    const from = shownFor.current ?? undefined;
    sending.current = crypto.randomUUID();
    const question = { id: sending.current, content, attachments, parent: from === undefined ? null : head };
    const sent = await action.run(async () => {
      const conversation = await ask(question, settings);
      keepDraft(from, { text: "", attachments: [] });
      shownFor.current = conversation;
      if (from === undefined) go(`c/${conversation}`);
    });
    sending.current = undefined;
    if (sent) {
      // What was typed while the message was under way stays.
      if (text.current === content) put({ text: "", attachments: [] });
    } else shownFor.current = open.get().id;
  };

  const add = async (list: File[]): Promise<void> => {
    setFileError(undefined);
    const made: Attachment[] = [];
    for (const file of list) {
      const read = await readFile(file);
      if ("error" in read) setFileError(read.error);
      else made.push(read);
    }
    const all = [...files.current, ...made];
    const total = all.reduce((sum, { text }) => sum + text.length, 0);
    if (all.length > limits.attachments) setFileError("too_many_files");
    else if (total > limits.attachmentsTotal) setFileError("file_too_large");
    else setAttachments(all);
    save();
  };

  const onPaste = (event: ClipboardEvent): void => {
    const pasted = [...event.clipboardData.files];
    const long = event.clipboardData.getData("text/plain");
    if (pasted.length > 0 && long === "") {
      event.preventDefault();
      add(pasted);
    } else if (long.length > longPaste) {
      event.preventDefault();
      add([new File([long], `${words.pastedName} ${attachments.length + 1}.txt`, { type: "text/plain" })]);
    }
  };
  const onDrop = (event: DragEvent): void => {
    event.preventDefault();
    setDragging(false);
    add([...event.dataTransfer.files]);
  };
  const onKeyDown = (event: KeyboardEvent<HTMLTextAreaElement>): void => {
    // While an input method composes, Enter chooses a word.
    if (event.nativeEvent.isComposing) return;
    const modified = event.ctrlKey || event.metaKey;
    if (event.key === "Enter" && !event.shiftKey && (sendKey === "modEnter" ? modified : true)) {
      event.preventDefault();
      send();
    } else if (event.key === "Escape" && running) stop();
    else if (event.key === "ArrowUp" && event.currentTarget.value === "") {
      const edits = document.querySelectorAll<HTMLButtonElement>(".question .actions [data-edit]");
      edits.item(edits.length - 1)?.click();
    }
  };
  const stop = (): void => {
    action.run(stopAnswer);
  };

  return (
    <form
      className={`composer${dragging ? " dragging" : ""}`}
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
      onDragOver={(event) => {
        event.preventDefault();
        setDragging(true);
      }}
      onDragLeave={() => setDragging(false)}
      onDrop={onDrop}
    >
      {dragging && <p className="drop-note">{words.dropHere}</p>}
      <ErrorNote code={action.error ?? fileError} />
      <ContextNote />
      {attachments.length > 0 && (
        <ul className="files" aria-label={words.attachments}>
          {attachments.map((file, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: two files may have one name
            <li className="file" key={index}>
              <FileIcon />
              <span>{file.name}</span>
              <IconButton
                label={words.removeAttachment(file.name)}
                onClick={() => {
                  setAttachments(attachments.filter((_, other) => other !== index));
                  save();
                }}
              >
                <Close />
              </IconButton>
            </li>
          ))}
        </ul>
      )}
      <textarea
        id={composerId}
        ref={field}
        rows={1}
        maxLength={limits.message}
        aria-label={words.placeholder}
        placeholder={words.placeholder}
        disabled={loading}
        onInput={(event) => {
          text.current = event.currentTarget.value;
          const has = text.current.trim() !== "";
          if (has !== filled) setFilled(has);
          grow();
          save();
        }}
        onKeyDown={onKeyDown}
        onPaste={onPaste}
      />
      <div className="composer-bar">
        <IconButton label={words.attach} onClick={async () => add(await pickFiles("", true))}>
          <Clip />
        </IconButton>
        {model?.thinking && (
          <button
            type="button"
            className="pill"
            aria-pressed={settings.thinking ?? true}
            title={words.deepThinkHint}
            onClick={() => change({ thinking: !(settings.thinking ?? true) })}
          >
            <Think />
            {words.deepThink}
          </button>
        )}
        {model && model.efforts.length > 0 && settings.thinking && (
          <Menu
            side="top"
            align="start"
            trigger={
              <button type="button" className="pill quiet">
                {words.effort}: {settings.effort ? words.efforts[settings.effort] : words.automatic}
                <Down />
              </button>
            }
            items={model.efforts.map((effort) => ({
              label: words.efforts[effort],
              checked: settings.effort === effort,
              onSelect: () => change({ effort }),
            }))}
          />
        )}
        <span className="spacer" />
        {models.length > 0 && (
          <Menu
            side="top"
            trigger={
              <button type="button" className="pill quiet model-pill" aria-label={`${words.model}: ${settings.model}`}>
                <span>{settings.model}</span>
                <Down />
              </button>
            }
            items={models.map((one) => ({
              label: one.name,
              detail: one.local ? words.modelState[one.state] : words.upstream,
              checked: one.name === settings.model,
              onSelect: () => change({ model: one.name }),
            }))}
          />
        )}
        <IconButton label={words.parameters} aria-expanded={parametersOpen} onClick={() => setParametersOpen(true)}>
          <Sliders />
        </IconButton>
        {running ? (
          <>
            {settings.thinking && <AnswerNow />}
            <button type="button" className="round" aria-label={words.stop} title={words.stopHint} onClick={stop}>
              <Stop />
            </button>
          </>
        ) : (
          <button
            type="submit"
            className="round"
            aria-label={words.send}
            title={words.send}
            disabled={action.busy || (!filled && attachments.length === 0)}
          >
            <Send />
          </button>
        )}
      </div>
      <Parameters open={parametersOpen} onClose={() => setParametersOpen(false)} />
    </form>
  );
}

/** Says in time that the conversation nears what the model can read. */
function ContextNote() {
  const words = useWords();
  const { model } = useChatSettings();
  const { messages, head } = useStore(open, (value) => value.state);
  const usage = useMemo(() => pathTo(messages, head).findLast((message) => message.usage)?.usage, [messages, head]);
  if (!usage || !model?.contextLength) return null;
  const share = (usage.promptTokens + usage.completionTokens) / model.contextLength;
  if (share < 0.75) return null;
  return (
    <p className="context-note" role="status">
      {words.contextFull(Math.min(100, Math.round(share * 100)))}
    </p>
  );
}

/** Offered only while the model thinks. */
function AnswerNow() {
  const words = useWords();
  const live = useStore(open, (value) => value.live);
  const action = useAction();
  const [thinks, setThinks] = useState(false);
  useEffect(() => {
    if (!live) return undefined;
    const look = (): void => setThinks(live.reasoning !== "" && live.content === "");
    look();
    return live.subscribe(look);
  }, [live]);
  if (!thinks) return null;
  return (
    <button type="button" className="pill" disabled={action.busy} onClick={() => action.run(answerNow)}>
      {words.answerNow}
    </button>
  );
}
