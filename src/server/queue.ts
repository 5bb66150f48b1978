// The fair queue before one model: so many requests run at once, the rest wait, and callers take turns, so that one
// caller's thousand requests do not stand before another's one. Whoever waits can see the position and a guess of the time.
import { ServerError } from "./errors.ts";

interface Waiting {
  caller: string;
  start: () => void;
  moved: () => void;
}

export interface Ticket {
  /** Positions while waiting (1 is next), latest only; ends when the request may run. Throws when the signal aborts. */
  positions(): AsyncGenerator<{ position: number; estimatedWaitMs: number }>;
  /** Gives the place back; must be called exactly once, also by who never ran. */
  release(): void;
}

export class FairQueue {
  readonly #limits: { running: number; waiting: number; perCaller: number };
  /** Waiting requests per caller; the map's order is the order of turns. */
  readonly #lines = new Map<string, Waiting[]>();
  #running = 0;
  #waiting = 0;
  /** Smoothed time between two requests leaving, for the guess. */
  #interval = 0;
  #lastDeparture = 0;

  constructor(limits: { running: number; waiting: number; perCaller: number }) {
    this.#limits = limits;
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** Seconds after which a refused caller should try again. */
  retryAfter(): number {
    return Math.min(60, Math.max(1, Math.ceil((this.#interval * (this.#waiting + 1)) / 1000)));
  }

  /** Takes a place. Throws 503 when the queue is full, 429 when the caller's own part of it is. */
  enter(caller: string, signal: AbortSignal): Ticket {
    let state: "waiting" | "running" | "left" = "waiting";
    let wake: () => void = () => {};
    const entry: Waiting = {
      caller,
      start: () => {
        state = "running";
        this.#running++;
        wake();
      },
      moved: () => wake(),
    };
    if (this.#running < this.#limits.running && this.#waiting === 0) entry.start();
    else {
      const line = this.#lines.get(caller) ?? [];
      const detail = { retryAfter: this.retryAfter() };
      if (line.length >= this.#limits.perCaller)
        throw new ServerError(
          429,
          "rate_limit_exceeded",
          `You already have ${line.length} requests waiting here.`,
          detail,
        );
      if (this.#waiting >= this.#limits.waiting)
        throw new ServerError(
          503,
          "overloaded",
          `${this.#waiting} requests are waiting already; please try again later.`,
          detail,
        );
      line.push(entry);
      this.#lines.set(caller, line);
      this.#waiting++;
    }
    const queue = this;
    return {
      async *positions() {
        const onAbort = () => wake();
        signal.addEventListener("abort", onAbort);
        try {
          let told = 0;
          while (state === "waiting") {
            signal.throwIfAborted();
            const position = queue.#position(entry);
            const changed = new Promise<void>((resolve) => (wake = resolve));
            if (position !== told)
              yield { position: (told = position), estimatedWaitMs: Math.round(position * queue.#interval) };
            // The state may have changed while the consumer held the event.
            if ((state as string) === "waiting" && queue.#position(entry) === told && !signal.aborted) await changed;
          }
        } finally {
          signal.removeEventListener("abort", onAbort);
        }
      },
      release: () => {
        if (state === "running") {
          this.#running--;
          this.#departed();
        } else if (state === "waiting") this.#remove(entry);
        state = "left";
        this.#next();
      },
    };
  }

  #departed(): void {
    const now = performance.now();
    if (this.#lastDeparture > 0) {
      const gap = Math.min(now - this.#lastDeparture, 10_000);
      this.#interval = this.#interval === 0 ? gap : 0.9 * this.#interval + 0.1 * gap;
    }
    this.#lastDeparture = now;
  }

  /** Rounds of turns go before it: from each line as many as stand before it in its own, plus one for lines with an earlier turn. */
  #position(entry: Waiting): number {
    const own = this.#lines.get(entry.caller)?.indexOf(entry) ?? -1;
    if (own < 0) return 1;
    let before = own;
    let earlier = true;
    for (const [caller, line] of this.#lines) {
      if (caller === entry.caller) earlier = false;
      else before += Math.min(line.length, own + (earlier ? 1 : 0));
    }
    return before + 1;
  }

  #remove(entry: Waiting): void {
    const line = this.#lines.get(entry.caller);
    const at = line?.indexOf(entry) ?? -1;
    if (!line || at < 0) return;
    line.splice(at, 1);
    this.#waiting--;
    if (line.length === 0) this.#lines.delete(entry.caller);
  }

  #next(): void {
    let moved = false;
    while (this.#running < this.#limits.running && this.#waiting > 0) {
      const [caller, line] = this.#lines.entries().next().value as [string, Waiting[]];
      const entry = line[0];
      this.#remove(entry);
      // The caller's next turn comes after everyone else's.
      if (this.#lines.delete(caller)) this.#lines.set(caller, line);
      entry.start();
      moved = true;
    }
    if (moved || this.#waiting > 0) for (const line of this.#lines.values()) for (const entry of line) entry.moved();
  }
}
