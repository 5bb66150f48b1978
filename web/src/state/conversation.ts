// The conversation on the screen: loaded whole, kept current by the event stream, answered through the server. The text of a
// running answer lives outside React (live.ts), so that token rate never re-renders the list.
import type {
  Attachment,
  ChatMessage,
  ConversationSettings,
  ConversationState,
  ConversationSummary,
  Frame,
  LoggedEvent,
} from "../../../src/server/app/protocol.ts";
import { applyEvent } from "../../../src/server/app/tree.ts";
import { base, call, codeOf } from "./api.ts";
import { refreshLibrary, refreshModels } from "./library.ts";
import { LiveAnswer } from "./live.ts";
import { Store } from "./store.ts";

export interface OpenConversation {
  /** Undefined: a conversation that begins with the next message. */
  id: string | undefined;
  folder: string | null;
  loading: boolean;
  /** Code of why it could not be read. */
  error: string | undefined;
  offline: boolean;
  state: ConversationState;
  live: LiveAnswer | undefined;
}

const empty = (): ConversationState => ({
  title: "",
  automatic: true,
  folder: null,
  pinned: false,
  archived: false,
  settings: {},
  messages: new Map(),
  head: null,
});

const nothing = (): OpenConversation => ({
  id: undefined,
  folder: null,
  loading: false,
  error: undefined,
  offline: false,
  state: empty(),
  live: undefined,
});

export const open = new Store<OpenConversation>(nothing());

let stream: EventSource | undefined;

const newMessageId = (): string => crypto.randomUUID();

/** Opens a conversation, or an empty one in a folder; the one before is let go. */
export async function openConversation(id: string | undefined, folder: string | null = null): Promise<void> {
  if (id !== undefined && open.get().id === id && !open.get().error) return;
  if (id === undefined) {
    open.set({ ...nothing(), folder });
    connect(undefined, undefined);
    return;
  }
  open.set({ ...nothing(), id, loading: true });
  await read(id);
}

interface Loaded {
  conversation: Omit<ConversationState, "messages"> & ConversationSummary & { messages: ChatMessage[] };
  running: string | null;
  cursor: string;
}

async function read(id: string): Promise<void> {
  try {
    const { conversation, running, cursor } = await call<Loaded>("GET", `/conversations/${id}`);
    if (open.get().id !== id) return;
    const state: ConversationState = {
      ...conversation,
      messages: new Map(conversation.messages.map((message) => [message.id, message])),
    };
    open.get().live?.end();
    const live = running === null ? undefined : LiveAnswer.of(state.messages.get(running)!);
    open.set({ id, folder: conversation.folder, loading: false, error: undefined, offline: false, state, live });
    connect(id, cursor);
  } catch (error) {
    if (open.get().id === id) open.patch({ loading: false, error: codeOf(error) });
  }
}

/** One stream for the list and the conversation shown. */
function connect(id: string | undefined, cursor: string | undefined): void {
  stream?.close();
  const query = id === undefined ? "" : `?conversation=${id}&after=${cursor}`;
  const source = new EventSource(`${base}/events${query}`);
  stream = source;
  const mine = (handler: (data: string) => void) => (event: MessageEvent) => {
    if (stream === source) handler(event.data);
  };
  source.addEventListener(
    "list",
    mine(() => refreshLibrary()),
  );
  source.addEventListener(
    "reset",
    mine(() => id && read(id)),
  );
  source.addEventListener(
    "log",
    mine((data) => takeEvent(JSON.parse(data))),
  );
  source.addEventListener(
    "frame",
    mine((data) => takeFrame(JSON.parse(data))),
  );
  source.addEventListener(
    "open",
    mine(() => {
      if (open.get().offline) open.patch({ offline: false });
      // What changed in the list while no stream was open.
      refreshLibrary();
    }),
  );
  source.addEventListener("error", () => {
    if (stream !== source) return;
    open.patch({ offline: true });
    // The browser tries again by itself unless the server refused; then the conversation is read anew.
    if (source.readyState === EventSource.CLOSED)
      setTimeout(() => {
        if (stream !== source) return;
        if (id === undefined) connect(undefined, undefined);
        else read(id).then(() => open.get().error === "server_gone" && stream === source && connect(id, cursor));
      }, 2000);
  });
}

/** A browser holds few connections per server: a tab out of sight for a while gives its stream back. */
const hiddenMs = 60_000;
let hidden: number | undefined;

document.addEventListener("visibilitychange", () => {
  clearTimeout(hidden);
  if (document.visibilityState === "hidden") {
    hidden = window.setTimeout(() => {
      stream?.close();
      stream = undefined;
    }, hiddenMs);
  } else if (stream === undefined) {
    const { id } = open.get();
    if (id === undefined) connect(undefined, undefined);
    else read(id);
  }
});

function takeEvent({ event, at }: LoggedEvent): void {
  const before = open.get();
  const state = { ...before.state, messages: new Map(before.state.messages) };
  let { live } = before;
  if (live && event.kind === "answer-finished" && event.id === live.id) {
    const message = state.messages.get(live.id);
    if (message)
      state.messages.set(live.id, { ...message, content: live.content, reasoning: live.reasoning || undefined });
  }
  applyEvent(state, event, at);
  if (event.kind === "answer-started" && event.resumes !== "answer-now") {
    live = LiveAnswer.of(state.messages.get(event.id)!);
  } else if (event.kind === "answer-finished" && live?.id === event.id) {
    live.end();
    live = undefined;
    // A model that this answer loaded now tells what it can do.
    refreshModels().catch(() => {});
  }
  open.set({ ...before, folder: state.folder, state, live });
}

function takeFrame(frame: Frame): void {
  const { live } = open.get();
  if (live?.id === frame.id) live.take(frame);
}

/** Shows a change at once; the log's event confirms it. */
function foresee(change: (state: ConversationState) => void): void {
  const before = open.get();
  const state = { ...before.state, messages: new Map(before.state.messages) };
  change(state);
  open.set({ ...before, state });
}

/**
 * Asks a question below `parent`. Creates the conversation when it is the first. Returns its id; rejects with nothing lost:
 * asking again with the same id does nothing twice.
 */
export async function ask(
  question: { content: string; attachments: Attachment[]; parent: string | null; id?: string },
  settings: ConversationSettings,
): Promise<string> {
  let { id } = open.get();
  if (id === undefined) {
    const { folder } = open.get();
    const created = await call<{ id: string }>("POST", "/conversations", { folder });
    id = created.id;
    open.patch({ id });
    await read(id);
  }
  await call("POST", `/conversations/${id}/messages`, { ...question, id: question.id ?? newMessageId(), settings });
  return id;
}

export const regenerate = (parent: string, settings: ConversationSettings): Promise<unknown> =>
  call("POST", `/conversations/${open.get().id}/answers`, { parent, settings });

export const continueAnswer = (id: string, settings: ConversationSettings): Promise<unknown> =>
  call("POST", `/conversations/${open.get().id}/answers/${id}/continue`, { settings });

export const stopAnswer = (): Promise<unknown> => call("POST", `/conversations/${open.get().id}/stop`, {});

export const answerNow = (): Promise<unknown> => call("POST", `/conversations/${open.get().id}/answer-now`, {});

export function showHead(leaf: string): Promise<unknown> {
  foresee((state) => {
    state.head = leaf;
  });
  return call("PUT", `/conversations/${open.get().id}/head`, { id: leaf });
}

export const removeBranch = (id: string): Promise<unknown> =>
  call("DELETE", `/conversations/${open.get().id}/messages/${id}`);

/** Stores the settings for the next answer. */
export function changeSettings(settings: ConversationSettings): void {
  foresee((state) => {
    state.settings = settings;
  });
  const { id } = open.get();
  if (id !== undefined) call("PATCH", `/conversations/${id}`, { settings }).catch(() => {});
}
