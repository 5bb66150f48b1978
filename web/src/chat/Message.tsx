// One message of the list: what was asked (editable), or an answer with its thinking, text, versions and actions.
import { memo, useEffect, useRef, useState } from "react";
import type { ChatMessage, TutorMarks } from "../../../src/server/app/protocol.ts";
import { childrenOf, leafUnder, pathTo } from "../../../src/server/app/tree.ts";
import { Markdown } from "../markdown/Markdown.tsx";
import { MarkdownStream } from "../markdown/stream.ts";
import { Again, Check, Copy, Edit, Eye, File, Forward, Left, Right, Trash } from "../parts/icons.tsx";
import { confirm, ErrorNote, IconButton, useAction } from "../parts/ui.tsx";
import { call } from "../state/api.ts";
import { ask, continueAnswer, open, regenerate, removeBranch, showHead } from "../state/conversation.ts";
import type { LiveAnswer } from "../state/live.ts";
import { useLanguage, useWords } from "../words/index.ts";
import { inspect } from "./inspect.ts";
import { Steps } from "./Steps.tsx";
import { useChatSettings } from "./settings.ts";
import { LiveThinking, Thinking } from "./Thinking.tsx";

export interface MessageProps {
  message: ChatMessage;
  live: LiveAnswer | undefined;
  tutor: boolean;
}

export const Message = memo(function Message(props: MessageProps) {
  return props.message.role === "user" ? <Question message={props.message} /> : <Answer {...props} />;
});

/** Switches between siblings: edits of a question, other answers to it. */
function Versions({ message }: { message: ChatMessage }) {
  const words = useWords();
  const { messages } = open.get().state;
  const siblings = childrenOf(messages, message.parent);
  const at = siblings.findIndex(({ id }) => id === message.id);
  if (siblings.length < 2) return null;
  const to = (index: number) => showHead(leafUnder(messages, siblings[index].id)).catch(() => {});
  return (
    <span className="versions">
      <IconButton
        label={`${words.previousVersion} · ${words.versionOf(at + 1, siblings.length)}`}
        disabled={at === 0}
        onClick={() => to(at - 1)}
      >
        <Left />
      </IconButton>
      <span aria-hidden="true">
        {at + 1}/{siblings.length}
      </span>
      <IconButton label={words.nextVersion} disabled={at === siblings.length - 1} onClick={() => to(at + 1)}>
        <Right />
      </IconButton>
    </span>
  );
}

function CopyButton({ text }: { text: string }) {
  const words = useWords();
  const [done, setDone] = useState(false);
  return (
    <IconButton
      label={done ? words.copied : words.copy}
      onClick={async () => {
        await navigator.clipboard.writeText(text);
        setDone(true);
        setTimeout(() => setDone(false), 1500);
      }}
    >
      {done ? <Check /> : <Copy />}
    </IconButton>
  );
}

function RemoveButton({ id }: { id: string }) {
  const words = useWords();
  const action = useAction();
  return (
    <>
      <IconButton
        label={words.removeBranch}
        onClick={async () => {
          if (await confirm(words.removeBranchAsk, words.delete)) action.run(() => removeBranch(id));
        }}
      >
        <Trash />
      </IconButton>
      <ErrorNote code={action.error} />
    </>
  );
}

function Question({ message }: { message: ChatMessage }) {
  const words = useWords();
  const { settings } = useChatSettings();
  const action = useAction();
  const [text, setText] = useState<string>();
  const editing = text !== undefined;
  const send = () =>
    action
      .run(() => ask({ content: text!, attachments: message.attachments ?? [], parent: message.parent }, settings))
      .then((sent) => sent && setText(undefined));
  return (
    <article className="message question" aria-label={words.you}>
      {message.attachments && message.attachments.length > 0 && (
        <ul className="files" aria-label={words.attachments}>
          {message.attachments.map((file) => (
            <li className="file" key={file.name}>
              <File />
              <span>{file.name}</span>
            </li>
          ))}
        </ul>
      )}
      {editing ? (
        <form
          className="editor"
          onSubmit={(event) => {
            event.preventDefault();
            send();
          }}
        >
          <textarea
            // biome-ignore lint/a11y/noAutofocus: the user asked to edit
            autoFocus
            aria-label={words.edit}
            value={text}
            onChange={(event) => setText(event.target.value)}
            onKeyDown={(event) => {
              if (event.key === "Escape") setText(undefined);
              if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) send();
            }}
          />
          <ErrorNote code={action.error} />
          <footer>
            <button type="button" className="button" onClick={() => setText(undefined)}>
              {words.cancel}
            </button>
            <button type="submit" className="button primary" disabled={action.busy || text.trim() === ""}>
              {words.send}
            </button>
          </footer>
        </form>
      ) : (
        message.content !== "" && <div className="bubble">{message.content}</div>
      )}
      {!editing && (
        <footer className="actions">
          <Versions message={message} />
          <IconButton label={words.edit} data-edit="" onClick={() => setText(message.content)}>
            <Edit />
          </IconButton>
          <CopyButton text={message.content} />
          <RemoveButton id={message.id} />
        </footer>
      )}
    </article>
  );
}

/** The text of a running answer, written past React. */
function LiveText({ live }: { live: LiveAnswer }) {
  const words = useWords();
  const element = useRef<HTMLDivElement>(null);
  const note = useRef<HTMLParagraphElement>(null);
  useEffect(() => {
    const stream = new MarkdownStream(element.current!);
    const show = (): void => {
      const { content, reasoning, queue } = live;
      if (content !== "") stream.update(content);
      const waiting = content === "" && reasoning === "";
      if (note.current) {
        note.current.hidden = !waiting;
        note.current.textContent = queue
          ? words.queued(queue.position, Math.round(queue.estimatedWaitMs / 1000))
          : words.waiting;
      }
    };
    show();
    const unsubscribe = live.subscribe(show);
    return () => {
      unsubscribe();
      stream.end();
    };
  }, [live, words]);
  return (
    <>
      <p className="waiting" ref={note} role="status" />
      <div className="markdown running" ref={element} aria-busy="true" />
    </>
  );
}

/** Whether a running answer has begun to think; changes at most once. */
function useThinks(live: LiveAnswer | undefined): boolean {
  const [thinks, setThinks] = useState(false);
  useEffect(() => {
    if (!live) return undefined;
    const look = (): void => setThinks(live.reasoning !== "");
    look();
    return live.subscribe(look);
  }, [live]);
  return thinks;
}

function useMarks(message: ChatMessage, wanted: boolean): TutorMarks | undefined {
  const language = useLanguage();
  const [marks, setMarks] = useState<TutorMarks>();
  const question = wanted ? pathTo(open.get().state.messages, message.parent).at(-1)?.content : undefined;
  const working = (message.reasoning ?? "").slice(0, 100_000);
  const answer = message.content.slice(0, 100_000);
  useEffect(() => {
    if (question === undefined) return;
    let current = true;
    call<{ marks: TutorMarks }>("POST", "/tutor/mark", {
      question: question.slice(0, 10_000),
      working,
      answer,
      language,
    })
      .then(
        (read) =>
          current && setMarks(read.marks.steps.some((step) => step.right !== undefined) ? read.marks : undefined),
      )
      .catch(() => {});
    return () => {
      current = false;
    };
  }, [question, working, answer, language]);
  return marks;
}

function Answer({ message, live, tutor }: MessageProps) {
  const words = useWords();
  const { settings } = useChatSettings();
  const action = useAction();
  const thinks = useThinks(live);
  const done = live === undefined;
  const marks = useMarks(message, tutor && done && message.status === "done");
  const { status } = message;
  const trouble = status && status !== "done" && status !== "running" ? status : undefined;
  return (
    <article className="message answer" aria-label={message.model ?? words.model}>
      {live
        ? thinks && <LiveThinking live={live} />
        : message.reasoning && (
            <Thinking
              key={marks ? "marked" : "plain"}
              text={message.reasoning}
              ms={message.timing?.reasoningMs}
              steps={marks && <Steps marks={marks} />}
            />
          )}
      {live ? <LiveText live={live} /> : <Markdown text={message.content} />}
      {done && !message.reasoning && marks && <Steps marks={marks} />}
      {trouble && (
        <p className={`ending ${trouble}`} role={trouble === "failed" ? "alert" : undefined}>
          {trouble === "failed"
            ? (words.errors[message.error ?? ""] ?? words.errors.engine_failed)
            : words.status[trouble]}
        </p>
      )}
      {done && (
        <footer className="actions">
          <Versions message={message} />
          {trouble && (message.content !== "" || message.reasoning) && (
            <button
              type="button"
              className="button small"
              onClick={() => action.run(() => continueAnswer(message.id, settings))}
            >
              <Forward />
              {words.continue}
            </button>
          )}
          <CopyButton text={message.content} />
          <IconButton
            label={words.regenerate}
            disabled={action.busy}
            onClick={() => action.run(() => regenerate(message.parent!, settings))}
          >
            <Again />
          </IconButton>
          <IconButton label={words.inside} onClick={() => inspect(message.id)}>
            <Eye />
          </IconButton>
          <RemoveButton id={message.id} />
          {message.usage && (
            <span className="facts">
              {words.tokens(message.usage.completionTokens)}
              {message.usage.cost && ` · ${cost(message.usage.cost)}`}
            </span>
          )}
        </footer>
      )}
      <ErrorNote code={action.error} />
    </article>
  );
}

export function cost({ amount, currency }: { amount: number; currency: string }): string {
  return `${amount === 0 ? "0" : amount < 0.01 ? amount.toPrecision(2) : amount.toFixed(2)} ${currency}`;
}
