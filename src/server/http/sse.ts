// Server-sent events over a web stream: frames come from an async generator, keep-alive comments fill its silences, and a
// client that goes away ends the generator (and with it the computation behind it).
import type { Context } from "hono";

export interface Frame {
  event?: string;
  data: unknown;
}

const encoder = new TextEncoder();

export function frameText(frame: Frame): string {
  const data = typeof frame.data === "string" ? frame.data : JSON.stringify(frame.data);
  return frame.event === undefined ? `data: ${data}\n\n` : `event: ${frame.event}\ndata: ${data}\n\n`;
}

/**
 * A stream of the generator's texts. While it is silent, `idle()` gives a text to send every `idleMs`. `failed` turns an
 * error in the middle into a last text.
 */
export function textStream(
  texts: AsyncGenerator<string>,
  options: { idleMs: number; idle: () => string; failed: (error: unknown) => string },
): ReadableStream<Uint8Array> {
  let timer: NodeJS.Timeout | undefined;
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        timer = setInterval(() => {
          if ((controller.desiredSize ?? 0) > 0) controller.enqueue(encoder.encode(options.idle()));
        }, options.idleMs);
        timer.unref();
      },
      async pull(controller) {
        try {
          const next = await texts.next();
          if (next.done) {
            clearInterval(timer);
            controller.close();
          } else {
            timer?.refresh();
            controller.enqueue(encoder.encode(next.value));
          }
        } catch (error) {
          clearInterval(timer);
          controller.enqueue(encoder.encode(options.failed(error)));
          controller.close();
        }
      },
      async cancel() {
        clearInterval(timer);
        await texts.return(undefined);
      },
    },
    { highWaterMark: 4 },
  );
}

/** Response headers of a stream; the last one keeps buffering proxies out of the way. */
export const streamHeaders = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache",
  "x-accel-buffering": "no",
};

/**
 * An answer as JSON that may take long: when it is not there after `idleMs`, blank lines keep the connection alive (DeepSeek
 * API, rate limits); an error after that can only be told in the body.
 */
export async function patientJson(
  context: Context,
  work: Promise<unknown>,
  idleMs: number,
  failed: (error: unknown) => string,
): Promise<Response> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<"late">((resolve) => {
    timer = setTimeout(() => resolve("late"), idleMs);
  });
  const first = await Promise.race([work.then((value) => ({ value })), patience]).finally(() => clearTimeout(timer));
  if (first !== "late") return context.json(first.value as object);
  const texts = async function* () {
    yield JSON.stringify(await work);
  };
  const stream = textStream(texts(), { idleMs, idle: () => "\n", failed });
  return context.body(stream, 200, { "content-type": "application/json" });
}

/** A generator whose first item has been awaited, so that an early error can still become a status code. */
export async function primed<T>(items: AsyncGenerator<T, void>): Promise<AsyncGenerator<T, void>> {
  let first: IteratorResult<T, void> | undefined = await items.next();
  const next = async () => {
    const result = first ?? (await items.next());
    first = undefined;
    return result;
  };
  const result: AsyncGenerator<T, void> = {
    next,
    return: (value) => items.return(value as undefined),
    throw: (error) => items.throw(error),
    [Symbol.asyncIterator]: () => result,
    [Symbol.asyncDispose]: async () => void (await items.return(undefined)),
  };
  return result;
}
