// A running answer's text, outside React: frames append, listeners are told at most once per animation frame.
import type { ChatMessage, Frame, TokenRecord } from "../../../src/server/app/protocol.ts";

export class LiveAnswer {
  readonly id: string;
  reasoning: string;
  content: string;
  tokens: TokenRecord[] = [];
  queue: Frame["queue"];
  /** performance.now() when this page began to see it, minus what had passed on the server. */
  readonly startedAt: number;
  /** Set when the first content arrived. */
  thoughtMs: number | undefined;
  #listeners = new Set<() => void>();
  #scheduled = 0;

  static of(message: ChatMessage): LiveAnswer {
    return new LiveAnswer(message);
  }

  private constructor(message: ChatMessage) {
    this.id = message.id;
    this.reasoning = message.reasoning ?? "";
    this.content = message.content;
    this.startedAt = performance.now() - Math.max(0, Math.min(Date.now() - message.at, 3_600_000));
  }

  take(frame: Frame): void {
    this.queue = frame.queue;
    if (frame.reasoning) this.reasoning += frame.reasoning;
    if (frame.content) {
      if (this.content === "" && this.reasoning !== "") this.thoughtMs ??= performance.now() - this.startedAt;
      this.content += frame.content;
    }
    if (frame.tokens) for (const token of frame.tokens) this.tokens.push(token);
    this.#scheduled ||= requestAnimationFrame(() => {
      this.#scheduled = 0;
      for (const listener of this.#listeners) listener();
    });
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  end(): void {
    cancelAnimationFrame(this.#scheduled);
    this.#listeners.clear();
  }
}
