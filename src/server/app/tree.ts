// A conversation as the fold of its event log, and the walks over its tree: the path shown, siblings, leaves.
// Pure functions that server and page share; storage and transport are elsewhere.
import type { ChatMessage, ConversationState, LogEvent } from "./protocol.ts";

export function emptyState(): ConversationState {
  return {
    title: "",
    automatic: true,
    folder: null,
    pinned: false,
    archived: false,
    settings: {},
    messages: new Map(),
    head: null,
  };
}

/** Applies one event in place. Events about messages that are gone are ignored: a branch may be removed mid-answer. */
export function applyEvent(state: ConversationState, event: LogEvent, at: number): void {
  switch (event.kind) {
    case "conversation-changed": {
      if (event.title !== undefined) {
        state.title = event.title;
        state.automatic = event.automatic ?? false;
      }
      if (event.folder !== undefined) state.folder = event.folder;
      if (event.pinned !== undefined) state.pinned = event.pinned;
      if (event.archived !== undefined) state.archived = event.archived;
      if (event.settings !== undefined) state.settings = event.settings;
      return;
    }
    case "message-added":
      state.messages.set(event.message.id, { ...event.message });
      state.head = event.message.id;
      return;
    case "answer-started": {
      const existing = state.messages.get(event.id);
      if (existing) {
        const { error: _, ...rest } = existing;
        state.messages.set(event.id, { ...rest, status: "running" });
      } else {
        const { id, parent, model } = event;
        state.messages.set(id, { id, parent, role: "assistant", content: "", at, model, status: "running" });
      }
      state.head = event.id;
      return;
    }
    case "answer-progressed": {
      const message = state.messages.get(event.id);
      if (!message) return;
      if (event.reasoning) message.reasoning = (message.reasoning ?? "") + event.reasoning;
      if (event.content) message.content += event.content;
      return;
    }
    case "answer-finished": {
      const message = state.messages.get(event.id);
      if (!message) return;
      const { kind: _, id: __, reason: ___, ...rest } = event;
      state.messages.set(event.id, { ...message, ...rest });
      return;
    }
    case "head-moved":
      if (state.messages.has(event.id)) state.head = event.id;
      return;
    case "branch-removed": {
      const parent = state.messages.get(event.id)?.parent ?? null;
      for (const id of branch(state.messages, event.id)) state.messages.delete(id);
      if (state.head !== null && !state.messages.has(state.head)) {
        const sibling = childrenOf(state.messages, parent).at(-1);
        state.head = sibling ? leafUnder(state.messages, sibling.id) : parent;
      }
      return;
    }
  }
}

/** Messages with this parent, oldest first. */
export function childrenOf(messages: Map<string, ChatMessage>, parent: string | null): ChatMessage[] {
  return [...messages.values()].filter((message) => message.parent === parent);
}

/** The ids of a message and everything below it. */
export function branch(messages: Map<string, ChatMessage>, id: string): Set<string> {
  const inside = new Set([id]);
  // Insertion order puts parents before children, so one pass suffices.
  for (const message of messages.values()) if (message.parent && inside.has(message.parent)) inside.add(message.id);
  return inside;
}

/** The newest leaf below a message: where switching to a sibling leads. */
export function leafUnder(messages: Map<string, ChatMessage>, id: string): string {
  const inside = branch(messages, id);
  const parents = new Set([...inside].map((member) => messages.get(member)?.parent));
  let leaf = id;
  for (const member of inside) if (!parents.has(member)) leaf = member;
  return leaf;
}

/** Messages from the root down to the one given. */
export function pathTo(messages: Map<string, ChatMessage>, id: string | null): ChatMessage[] {
  const path: ChatMessage[] = [];
  for (let at = id; at !== null; ) {
    const message = messages.get(at);
    if (!message) break;
    path.push(message);
    at = message.parent;
  }
  return path.reverse();
}
