// POST /v1/responses and the stored responses behind previous_response_id.
import type { Hono } from "hono";
import type { Conversation, Tool } from "../../../text/conversation.ts";
import { invalid, ServerError } from "../../errors.ts";
import type { GenerationRequest } from "../../generation.ts";
import { readJson, validate } from "../../http/body.ts";
import { callOf, type Env, failure, type RouteContext, type Services } from "../../http/context.ts";
import { newId, startAnswer } from "../../http/generate.ts";
import { frameText, streamHeaders, textStream } from "../../http/sse.ts";
import { listPage, pageQuery } from "./lists.ts";
import { toEffort } from "./messages.ts";
import { ResponseBuilder } from "./response-events.ts";
import {
  type InputItem,
  inputItem,
  itemsToMessages,
  type ResponseObject,
  type ResponseRequest,
  responseRequest,
  toToolChoice,
  toTools,
} from "./response-items.ts";

/** What is stored: the response, its own input, and everything before it, so that one look-up continues a conversation. */
interface Stored {
  response: ResponseObject;
  input: InputItem[];
  history: InputItem[];
}

const dayMs = 24 * 60 * 60 * 1000;

function refuseUnsupported(body: ResponseRequest): void {
  if (body.background)
    throw invalid(
      "background",
      "Background responses are not offered here; stream the response instead.",
      "unsupported_parameter",
    );
  if (body.conversation != null)
    throw invalid(
      "conversation",
      "Conversation objects are not offered here; use previous_response_id.",
      "unsupported_parameter",
    );
  if (body.prompt != null)
    throw invalid(
      "prompt",
      "Stored prompts are not offered here; send instructions and input.",
      "unsupported_parameter",
    );
  if (body.input == null && body.previous_response_id == null)
    throw invalid("input", "The field 'input' is required.", "missing_required_parameter");
}

async function load(services: Services, id: string, owner: string, field?: string): Promise<Stored> {
  const found = await services.storage.getDocument("response", id, owner);
  if (!found) throw new ServerError(404, "not_found", `Response with id '${id.slice(0, 100)}' not found.`, { field });
  return found.body as Stored;
}

async function resolveReferences(services: Services, items: InputItem[], owner: string): Promise<InputItem[]> {
  return Promise.all(
    items.map(async (item, at) => {
      if (item.type !== "item_reference") return item;
      const found = await services.storage.getDocument("response_item", item.id, owner);
      if (!found)
        throw new ServerError(404, "not_found", `Item with id '${item.id}' not found.`, { field: `input[${at}]` });
      return validate(inputItem, found.body);
    }),
  );
}

interface Prepared {
  request: GenerationRequest;
  input: InputItem[];
  history: InputItem[];
}

async function prepare(services: Services, body: ResponseRequest, owner: string): Promise<Prepared> {
  refuseUnsupported(body);
  const previous =
    body.previous_response_id == null
      ? undefined
      : await load(services, body.previous_response_id, owner, "previous_response_id");
  const history = previous
    ? [...previous.history, ...previous.input, ...(previous.response.output as InputItem[])]
    : [];
  const sent: InputItem[] =
    typeof body.input === "string" ? [{ type: "message", role: "user", content: body.input }] : (body.input ?? []);
  const input = await resolveReferences(services, sent, owner);
  const items = [...history, ...input] as Parameters<typeof itemsToMessages>[0];
  const messages = itemsToMessages(items);
  if (body.instructions) messages.unshift({ role: "system", content: body.instructions });
  if (messages.length === 0) throw invalid("input", "The input holds no message.");
  const { choice, tools } = toToolChoice(body.tool_choice, toTools(body.tools));
  const effort = body.reasoning?.effort;
  const format = body.text?.format;
  const conversation: Conversation = {
    messages,
    tools,
    thinking: effort == null ? undefined : effort === "none" ? "off" : "on",
    effort: toEffort(effort),
    responseFormat:
      format?.type === "json_schema"
        ? { type: "json_schema", name: format.name, schema: format.schema }
        : format?.type === "json_object"
          ? { type: "json_object" }
          : undefined,
  };
  const wantsLogprobs = body.top_logprobs != null || body.include?.includes("message.output_text.logprobs");
  const request: GenerationRequest = {
    model: body.model,
    input: { kind: "chat", conversation },
    maxTokens: body.max_output_tokens ?? undefined,
    sampling: { temperature: body.temperature ?? undefined, topP: body.top_p ?? undefined },
    toolChoice: choice,
    parallelToolCalls: body.parallel_tool_calls ?? undefined,
    logprobs: wantsLogprobs ? (body.top_logprobs ?? 0) : undefined,
  };
  return { request, input, history };
}

/** The tools as the response repeats them: every field is there. */
const echoed = (tools: Tool[] = []): ResponseObject["tools"] =>
  tools.map(({ name, description, parameters, strict }) => ({
    type: "function",
    name,
    description: description ?? null,
    parameters: parameters ?? null,
    strict: strict ?? null,
  }));

function skeleton(body: ResponseRequest): ResponseObject {
  return {
    id: newId("resp_"),
    object: "response",
    created_at: Math.floor(Date.now() / 1000),
    completed_at: null,
    status: "in_progress",
    access_programs: null,
    background: false,
    error: null,
    frequency_penalty: 0,
    incomplete_details: null,
    instructions: body.instructions ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    max_tool_calls: body.max_tool_calls ?? null,
    metadata: body.metadata ?? {},
    model: body.model,
    output: [],
    parallel_tool_calls: body.parallel_tool_calls ?? true,
    presence_penalty: 0,
    prompt_cache_key: body.prompt_cache_key ?? null,
    previous_response_id: body.previous_response_id ?? null,
    reasoning: { effort: body.reasoning?.effort ?? null, summary: body.reasoning?.summary ?? null },
    safety_identifier: body.safety_identifier ?? null,
    service_tier: "default",
    store: body.store ?? true,
    temperature: body.temperature ?? 1,
    text: { format: body.text?.format ?? { type: "text" } },
    tool_choice: body.tool_choice ?? "auto",
    tools: echoed(toTools(body.tools)),
    top_logprobs: body.top_logprobs ?? 0,
    top_p: body.top_p ?? 1,
    truncation: "disabled",
    usage: null,
    user: body.user ?? null,
  };
}

/** Items of an earlier response come back as input: only the fields that input items have. */
const asInput = (items: unknown[]): InputItem[] => items.map((item) => validate(inputItem, item));

async function create(context: RouteContext, services: Services): Promise<Response> {
  const body = validate(responseRequest, await readJson(context.req.raw, services.config.limits));
  const owner = callOf(context).caller.id;
  const { request, input, history } = await prepare(services, body, owner);
  const builder = new ResponseBuilder(skeleton(body), {
    summary: body.reasoning?.summary != null,
    sealed: body.include?.includes("reasoning.encrypted_content") === true,
  });
  const save = async () => {
    const { response } = builder;
    if (!response.store || response.status === "failed") return;
    const now = Date.now();
    const expires = now + services.config.limits.responseDays * dayMs;
    const stored: Stored = { response, input, history: asInput(history) };
    for (const item of response.output)
      await services.storage.putDocument("response_item", { id: item.id, owner, createdAt: now, body: item }, expires);
    await services.storage.putDocument("response", { id: response.id, owner, createdAt: now, body: stored }, expires);
  };
  const events = await startAnswer(context, services, request, body.user ?? undefined);
  if (!body.stream) {
    for await (const event of events) for (const _ of builder.push(event));
    if (builder.response.status === "failed")
      throw new ServerError(500, "engine_failed", "The engine could not finish the answer.");
    await save();
    return context.json(builder.response);
  }
  const texts = async function* () {
    for (const frame of builder.start()) yield frameText(frame);
    for await (const event of events) for (const frame of builder.push(event)) yield frameText(frame);
    await save();
    yield frameText(builder.end());
  };
  const stream = textStream(texts(), {
    idleMs: services.config.limits.keepAliveSeconds * 1000,
    idle: () => ": keep-alive\n\n",
    failed: (error) => {
      const told = failure(context, services, error);
      return frameText(builder.failed({ code: told.code, message: told.message }));
    },
  });
  return context.body(stream, 200, streamHeaders);
}

const countBody = responseRequest.partial({ model: true });

export function mountResponses(app: Hono<Env>, services: Services): void {
  const owner = (context: RouteContext) => context.get("call").caller.id;
  for (const base of ["/v1/responses", "/responses"]) {
    app.post(base, (context) => create(context, services));
    app.post(`${base}/input_tokens`, async (context) => {
      const body = validate(countBody, await readJson(context.req.raw, services.config.limits));
      const model = body.model ?? services.models.defaultModel;
      if (model === undefined) throw invalid("model", "The field 'model' is required.", "missing_required_parameter");
      const { request } = await prepare(services, { ...body, model }, owner(context));
      const { conversation } = request.input as { conversation: Conversation };
      const tokens = await services.gateway.countTokens(model, conversation, callOf(context));
      return context.json({ object: "response.input_tokens", input_tokens: tokens });
    });
    app.get(`${base}/:id`, async (context) => {
      if (context.req.query("stream") === "true")
        throw invalid("stream", "A stored response cannot be streamed again.", "unsupported_parameter");
      return context.json((await load(services, context.req.param("id"), owner(context))).response);
    });
    app.delete(`${base}/:id`, async (context) => {
      const id = context.req.param("id");
      const { response } = await load(services, id, owner(context));
      for (const item of response.output)
        await services.storage.deleteDocument("response_item", item.id, owner(context));
      await services.storage.deleteDocument("response", id, owner(context));
      return context.json({ id, object: "response", deleted: true });
    });
    app.get(`${base}/:id/input_items`, async (context) => {
      const { input } = await load(services, context.req.param("id"), owner(context));
      const page = validate(pageQuery, context.req.query());
      const items = input.map((item, at) => ({
        ...item,
        id: ("id" in item && item.id) || `${context.req.param("id")}_${at}`,
      }));
      if (page.order === "desc") items.reverse();
      const from = page.after === undefined ? 0 : items.findIndex((item) => item.id === page.after) + 1;
      return context.json(listPage(items.slice(from), page.limit));
    });
    app.post(`${base}/:id/cancel`, async (context) => {
      await load(services, context.req.param("id"), owner(context));
      throw invalid(
        "id",
        "Only background responses can be cancelled, which this server does not offer.",
        "unsupported",
      );
    });
  }
}
