// The step from a protocol's route to the gateway: starts the answer so that early refusals keep their status code, and
// files the receipt when the client asked for one with an X-Weir-Receipt header.
import { randomBytes } from "node:crypto";
import type { GenerationEvent, GenerationRequest } from "../generation.ts";
import { callOf, type RouteContext, type Services } from "./context.ts";
import { primed } from "./sse.ts";

export const newId = (prefix: string): string => `${prefix}${randomBytes(16).toString("hex")}`;

const dayMs = 24 * 60 * 60 * 1000;

/** Starts an answer; its events begin with one that has already arrived. */
export async function startAnswer(
  context: RouteContext,
  services: Services,
  request: GenerationRequest,
  user?: string,
): Promise<AsyncGenerator<GenerationEvent, void>> {
  const call = callOf(context, user);
  const events = await primed(services.gateway.generate(request, call));
  if (!context.req.header("x-weir-receipt")) return events;
  const receiptId = newId("rcpt_");
  context.header("x-weir-receipt", receiptId);
  return filed(events, async (receipt) => {
    const now = Date.now();
    const document = { id: receiptId, owner: call.caller.id, createdAt: now, body: receipt };
    await services.storage.putDocument("receipt", document, now + services.config.limits.responseDays * dayMs);
  });
}

async function* filed(
  events: AsyncGenerator<GenerationEvent, void>,
  file: (receipt: unknown) => Promise<void>,
): AsyncGenerator<GenerationEvent, void> {
  for await (const event of events) {
    if (event.type === "usage" && event.receipt) await file(event.receipt);
    yield event;
  }
}
