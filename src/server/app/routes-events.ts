// The one stream a page listens to: changes of the account's list, the log events of the conversation shown, and the frames
// of its running answer. Event ids are "seq.frame"; after a break the browser sends the last one and misses nothing.
import type { Hono } from "hono";
import { streamSSE } from "hono/streaming";
import type { Answers } from "./answers.ts";
import type { Conversations } from "./conversations.ts";
import type { AppEnv } from "./guard.ts";
import type { Frame, LoggedEvent, Session } from "./protocol.ts";

/** Under the shortest idle limit of common proxies. */
const pingMs = 15_000;

export function eventRoutes(
  api: Hono<AppEnv>,
  conversations: Conversations,
  answers: Answers,
  alive: (session: Session) => boolean,
): void {
  api.get("/events", (c) => {
    const account = c.var.account.id;
    const conversation = c.req.query("conversation");
    if (conversation !== undefined) conversations.summary(account, conversation);
    const cursor = /^(\d{1,15})\.(\d{1,15})$/.exec(c.req.header("last-event-id") ?? c.req.query("after") ?? "");
    c.header("x-accel-buffering", "no");
    return streamSSE(c, async (stream) => {
      let seq = 0;
      let frame = 0;
      let unfollow = (): void => {};
      const send = (event: string, data: unknown): void => {
        void stream.writeSSE({ event, id: `${seq}.${frame}`, data: JSON.stringify(data) });
      };
      const takeFrame = (one: Frame): void => {
        frame = one.n;
        send("frame", one);
      };
      const takeEvent = (logged: LoggedEvent): void => {
        seq = logged.seq;
        if (logged.event.kind === "answer-progressed") return;
        if (logged.event.kind === "answer-started" && logged.event.resumes !== "answer-now") frame = 0;
        send("log", logged);
        if (logged.event.kind === "answer-started" && logged.event.resumes !== "answer-now") {
          unfollow();
          // The answer is registered right after this event is stored.
          queueMicrotask(() => {
            unfollow = answers.follow(conversation!, frame, takeFrame);
          });
        }
      };
      const stopListening = answers.listen(account, {
        event: (id, logged) => {
          if (id === conversation) takeEvent(logged);
        },
        changed: (id) => send("list", { id }),
      });
      if (conversation !== undefined) {
        const missed = cursor ? conversations.eventsAfter(account, conversation, Number(cursor[1])) : [];
        const last = conversations.lastSeq(conversation);
        const lost =
          cursor === null ||
          Number(cursor[1]) > last ||
          missed.some(({ event }) => event.kind.startsWith("answer-") && event.kind !== "answer-progressed");
        if (lost) {
          // Too much happened: the page reads the conversation anew and comes back with its cursor.
          seq = last;
          frame = answers.running(conversation)?.frames ?? 0;
          send("reset", {});
        } else {
          seq = Number(cursor[1]);
          frame = Number(cursor[2]);
          for (const one of missed) takeEvent(one);
        }
        unfollow = answers.follow(conversation, frame, takeFrame);
      }
      const { session } = c.var;
      await new Promise<void>((resolve) => {
        const ping = (): void => {
          if (session === undefined || alive(session)) void stream.writeSSE({ event: "ping", data: "" });
          else {
            clearInterval(timer);
            resolve();
          }
        };

        const timer = setInterval(ping, pingMs);
        ping();
        stream.onAbort(() => {
          clearInterval(timer);
          resolve();
        });
      });
      stopListening();
      unfollow();
    });
  });
}
