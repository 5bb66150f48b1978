// Turns the internal stream into the Responses API's semantic events and, with the same code, into the finished response.
import type { GenerationEvent, GenerationUsage, TokenReport } from "../../generation.ts";
import { newId } from "../../http/generate.ts";
import type { Frame } from "../../http/sse.ts";
import { finite } from "./answers.ts";
import { type OutputItem, type ResponseObject, seal } from "./response-items.ts";

type TextPart = Extract<OutputItem, { type: "message" }>["content"][number];

const wireToken = (token: { token: string; bytes: number[]; logprob: number }) => ({
  ...token,
  logprob: finite(token.logprob),
});
const wireTokens = (tokens: TokenReport[] = []) =>
  tokens.map(({ token, bytes, logprob, top }) => ({
    ...wireToken({ token, bytes, logprob }),
    top_logprobs: top.map(wireToken),
  }));

function wireUsage(usage: GenerationUsage): NonNullable<ResponseObject["usage"]> {
  return {
    input_tokens: usage.promptTokens,
    // Filling the cache is no act of its own here and costs nothing.
    input_tokens_details: { cached_tokens: usage.cachedTokens, cache_write_tokens: 0 },
    output_tokens: usage.completionTokens,
    output_tokens_details: { reasoning_tokens: usage.reasoningTokens },
    total_tokens: usage.promptTokens + usage.completionTokens,
    cost: usage.cost,
    energy_joules: usage.energyJoules,
  };
}

export class ResponseBuilder {
  readonly response: ResponseObject;
  readonly #options: { summary: boolean; sealed: boolean };
  #sequence = 0;
  #open: OutputItem | undefined;

  /** `summary`: repeat the thinking as its summary; `sealed`: hand it out for a client that keeps the state. */
  constructor(response: ResponseObject, options: { summary: boolean; sealed: boolean }) {
    this.response = response;
    this.#options = options;
  }

  #frame(type: string, rest: object): Frame {
    return { event: type, data: { type, sequence_number: this.#sequence++, ...rest } };
  }

  #place() {
    return { item_id: this.#open!.id, output_index: this.response.output.length - 1 };
  }

  *#begin(item: OutputItem): Generator<Frame> {
    yield* this.#close("completed");
    this.#open = item;
    this.response.output.push(item);
    yield this.#frame("response.output_item.added", {
      output_index: this.response.output.length - 1,
      item: structuredClone(item),
    });
  }

  *#close(status: "completed" | "incomplete"): Generator<Frame> {
    const item = this.#open;
    if (!item) return;
    const place = this.#place();
    item.status = status;
    if (item.type === "message") {
      const [part] = item.content;
      yield this.#frame("response.output_text.done", {
        ...place,
        content_index: 0,
        text: part.text,
        logprobs: part.logprobs,
      });
      yield this.#frame("response.content_part.done", { ...place, content_index: 0, part });
    } else if (item.type === "function_call") {
      const { name, arguments: text } = item;
      yield this.#frame("response.function_call_arguments.done", { ...place, name, arguments: text });
    } else {
      const [part] = item.content;
      yield this.#frame("response.reasoning_text.done", { ...place, content_index: 0, text: part.text });
      yield this.#frame("response.content_part.done", { ...place, content_index: 0, part });
      if (this.#options.summary) {
        const summary = { type: "summary_text" as const, text: part.text };
        item.summary = [summary];
        yield this.#frame("response.reasoning_summary_text.done", { ...place, summary_index: 0, text: part.text });
        yield this.#frame("response.reasoning_summary_part.done", { ...place, summary_index: 0, part: summary });
      }
      if (this.#options.sealed) item.encrypted_content = seal(part.text);
    }
    yield this.#frame("response.output_item.done", { output_index: place.output_index, item });
    this.#open = undefined;
  }

  *#reasoning(text: string): Generator<Frame> {
    if (this.#open?.type !== "reasoning") {
      const part = { type: "reasoning_text" as const, text: "" };
      yield* this.#begin({
        type: "reasoning",
        id: newId("rs_"),
        summary: [],
        content: [part],
        encrypted_content: null,
        status: "in_progress",
      });
      yield this.#frame("response.content_part.added", { ...this.#place(), content_index: 0, part });
      if (this.#options.summary)
        yield this.#frame("response.reasoning_summary_part.added", {
          ...this.#place(),
          summary_index: 0,
          part: { type: "summary_text", text: "" },
        });
    }
    const item = this.#open as Extract<OutputItem, { type: "reasoning" }>;
    item.content[0].text += text;
    yield this.#frame("response.reasoning_text.delta", { ...this.#place(), content_index: 0, delta: text });
    if (this.#options.summary)
      yield this.#frame("response.reasoning_summary_text.delta", { ...this.#place(), summary_index: 0, delta: text });
  }

  *#text(text: string, tokens: TokenReport[] | undefined): Generator<Frame> {
    if (this.#open?.type !== "message") {
      const part: TextPart = { type: "output_text", text: "", annotations: [], logprobs: [] };
      yield* this.#begin({
        type: "message",
        id: newId("msg_"),
        role: "assistant",
        status: "in_progress",
        content: [part],
      });
      yield this.#frame("response.content_part.added", {
        ...this.#place(),
        content_index: 0,
        part: structuredClone(part),
      });
    }
    const [part] = (this.#open as Extract<OutputItem, { type: "message" }>).content;
    const logprobs = wireTokens(tokens);
    part.text += text;
    part.logprobs.push(...logprobs);
    yield this.#frame("response.output_text.delta", { ...this.#place(), content_index: 0, delta: text, logprobs });
  }

  *start(): Generator<Frame> {
    yield this.#frame("response.created", { response: structuredClone(this.response) });
    yield this.#frame("response.in_progress", { response: structuredClone(this.response) });
  }

  *push(event: GenerationEvent): Generator<Frame> {
    if (event.type === "start") this.response.model = event.model;
    else if (event.type === "delta") {
      const { delta } = event;
      if (delta.type === "reasoning") yield* this.#reasoning(delta.text);
      else if (delta.type === "content") yield* this.#text(delta.text, event.tokens);
      else if (delta.type === "tool-call-start")
        yield* this.#begin({
          type: "function_call",
          id: newId("fc_"),
          call_id: delta.id,
          name: delta.name,
          arguments: "",
          status: "in_progress",
        });
      else if (delta.type === "tool-call-arguments") {
        (this.#open as Extract<OutputItem, { type: "function_call" }>).arguments += delta.text;
        yield this.#frame("response.function_call_arguments.delta", { ...this.#place(), delta: delta.text });
      } else yield* this.#close("completed");
    } else if (event.type === "finish") {
      const cut = event.reason === "length" || event.reason === "content_filter";
      yield* this.#close(cut ? "incomplete" : "completed");
      this.response.status = cut
        ? "incomplete"
        : event.reason === "insufficient_system_resource"
          ? "failed"
          : "completed";
      if (cut)
        this.response.incomplete_details = {
          reason: event.reason === "length" ? "max_output_tokens" : "content_filter",
        };
      if (this.response.status === "failed")
        this.response.error = { code: "server_error", message: "The engine could not finish the answer." };
      if (this.response.status === "completed") this.response.completed_at = Math.floor(Date.now() / 1000);
    } else if (event.type === "usage") this.response.usage = wireUsage(event.usage);
  }

  /** The last event; the response is complete by then. */
  end(): Frame {
    return this.#frame(`response.${this.response.status}`, { response: this.response });
  }

  failed(error: { code: string; message: string }): Frame {
    this.response.status = "failed";
    this.response.error = error;
    return this.end();
  }
}
