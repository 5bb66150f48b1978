// Gives the chat application (app/) what it asks of the server: models, answers through the gateway, addresses.
import type { DatabaseSync } from "node:sqlite";
import type { Hono } from "hono";
import type { FinishReason } from "../engine/types.ts";
import { AnswerError, type AnswerEvent, type AnswerRequest, type AppDeps, type Tutor } from "./app/deps.ts";
import { type MountedApp, mountApp } from "./app/index.ts";
import type { AppModel } from "./app/protocol.ts";
import { localCaller } from "./caller.ts";
import { toServerError } from "./errors.ts";
import type { AnswerEnd, GenerationEvent, TokenReport } from "./generation.ts";
import type { Env, Services } from "./http/context.ts";
import { newId } from "./http/generate.ts";
import { isLoopback } from "./http/guard.ts";
import type { ModelListing } from "./registry.ts";

/** Alternatives per token that the page's "see inside" shows. */
const shownAlternatives = 5;

function appModel(listing: ModelListing, tutors: Set<string>): AppModel {
  const remote = listing.kind === "upstream";
  return {
    name: listing.id,
    local: !remote,
    state: listing.loading ? "loading" : listing.loaded ? "loaded" : "unloaded",
    info: listing.info,
    memoryBytes: listing.memoryBytes,
    contextLength: listing.info?.contextLength,
    // Until a local model is loaded its format is unknown; an upstream takes what DeepSeek's API takes.
    thinking: remote || (listing.chat?.thinks ?? false),
    efforts: remote ? ["low", "high", "max"] : [...(listing.chat?.efforts ?? [])],
    tutor: tutors.has(listing.id),
  };
}

/** Token events of one delta; routes are cut into one list per layer. */
function* tokenEvents(tokens: TokenReport[] = [], expertsPerToken: number): Generator<AnswerEvent> {
  for (const { token, logprob, top, routes, forced } of tokens) {
    const layers = routes && expertsPerToken > 0 ? Math.floor(routes.length / expertsPerToken) : 0;
    const lists = Array.from({ length: layers }, (_, layer) =>
      Array.from(routes!.subarray(layer * expertsPerToken, (layer + 1) * expertsPerToken)),
    );
    yield {
      type: "token",
      token: {
        text: token,
        logprob,
        top: top.map((other): [string, number] => [other.token, other.logprob]),
        ...(layers > 0 ? { routes: lists } : {}),
        ...(forced ? { forced } : {}),
      },
    };
  }
}

function finishReason(end: AnswerEnd): FinishReason {
  if (end === "length" || end === "cancelled") return end;
  return end === "insufficient_system_resource" ? "error" : "stop";
}

function* translate(event: GenerationEvent, expertsPerToken: number): Generator<AnswerEvent> {
  if (event.type === "queued") yield event;
  else if (event.type === "delta") {
    yield { type: "delta", delta: event.delta };
    yield* tokenEvents(event.tokens, expertsPerToken);
  } else if (event.type === "finish") yield { type: "finish", reason: finishReason(event.reason) };
  else if (event.type === "usage") yield { type: "usage", usage: event.usage, receipt: event.receipt };
}

async function* generate(services: Services, request: AnswerRequest): AsyncGenerator<AnswerEvent> {
  const { model, conversation, sampling, maxTokens, thinkingBudget, inside, signal } = request;
  const call = { id: newId("req_"), caller: localCaller, endpoint: "/app", signal };
  const logprobs = inside ? shownAlternatives : undefined;
  const input = { kind: "chat" as const, conversation };
  const local = services.models.list().find((listing) => listing.id === model)?.kind === "local";
  try {
    const events = services.gateway.generate(
      { model, input, sampling, maxTokens, thinkingBudget, logprobs, inside: inside && local ? true : undefined },
      call,
    );
    for await (const event of events) {
      const experts = inside
        ? services.models.list().find((listing) => listing.id === model)?.info?.expertsPerToken
        : 0;
      yield* translate(event, experts ?? 0);
    }
  } catch (error) {
    if (signal.aborted) {
      yield { type: "finish", reason: "cancelled" };
      return;
    }
    const told = toServerError(error);
    if (told.code === "internal_error")
      services.log.error("internal_error", { id: call.id, stack: String((error as Error).stack) });
    throw new AnswerError(told.code, told.message);
  }
}

export interface AppHostOptions {
  webRoot: string;
  /** People log in; false only where everyone who reaches the server is its one user. */
  accounts: boolean;
  tutor?: Tutor;
  /** Names of the models that the tutor's marks apply to. */
  tutors?: string[];
  print(line: string): void;
}

/** For createServer's `mount`. */
export function hostApp(options: AppHostOptions) {
  return (app: Hono<Env>, services: Services, database: DatabaseSync): MountedApp => {
    const { models, config } = services;
    const tutors = new Set(options.tutors);
    const addresses = new WeakMap<Request, string>();
    app.use("/app/*", async (context, next) => {
      const socket = (context.env as { incoming?: { socket?: { remoteAddress?: string } } } | undefined)?.incoming
        ?.socket;
      addresses.set(context.req.raw, socket?.remoteAddress ?? "unknown");
      await next();
    });
    const deps: AppDeps = {
      db: database,
      accounts: options.accounts,
      models: {
        list: () => models.list().map((listing) => appModel(listing, tutors)),
        load: (name) => models.load(name),
        unload: (name) => models.unload(name),
        default: () => models.defaultModel,
      },
      generate: (request) => generate(services, request),
      tutor: options.tutor,
      webRoot: options.webRoot,
      print: options.print,
      address: (request) => addresses.get(request) ?? "unknown",
      hosts: isLoopback(config.host) ? ["localhost", "127.0.0.1", "[::1]"] : undefined,
    };
    return mountApp(app, deps);
  };
}
