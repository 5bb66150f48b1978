// `weir run`: one prompt, or a file of them in one batch.
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { type Model, readReply, requestFor } from "../../engine/converse.ts";
import { openModel } from "../../engine/open.ts";
import type { Conversation, Message, Role } from "../../text/conversation.ts";
import { type Command, UsageError } from "../command.ts";
import { MODEL_FLAGS, MODEL_HELP, maxTokensOf, openOptions, samplingOf } from "../model-options.ts";
import { Progress } from "../progress.ts";

const ROLES: readonly Role[] = ["system", "developer", "user", "assistant", "tool", "latest_reminder"];

/** One line of a batch file as a conversation. Throws UsageError naming line and field. */
function readLine(text: string, line: number): Conversation {
  const wrong = (what: string): never => {
    throw new UsageError(`line ${line}: ${what}`);
  };
  let row: unknown;
  try {
    row = JSON.parse(text);
  } catch {
    return wrong("is not JSON");
  }
  const { prompt, messages } = (row ?? {}) as { prompt?: unknown; messages?: unknown };
  if (typeof prompt === "string") return { messages: [{ role: "user", content: prompt }] };
  if (!Array.isArray(messages)) return wrong("has neither a text `prompt` nor a list `messages`");
  const read = messages.map((message, i): Message => {
    const { role, content, reasoning_content } = (message ?? {}) as Record<string, unknown>;
    if (!ROLES.includes(role as Role))
      wrong(`messages[${i}].role is ${JSON.stringify(role)}, not one of ${ROLES.join(", ")}`);
    if (typeof content !== "string") wrong(`messages[${i}].content must be text`);
    return {
      role: role as Role,
      content: content as string,
      ...(typeof reasoning_content === "string" && { reasoningContent: reasoning_content }),
    };
  });
  return { messages: read };
}

/** Answers all, a line each on standard output in their order; the result is how many could not be asked. */
async function answerAll(
  model: Model,
  conversations: readonly Conversation[],
  options: Parameters<typeof requestFor>[2],
): Promise<number> {
  const progress = new Progress("answers", { total: conversations.length, unit: "answers" });
  const ask = async (conversation: Conversation): Promise<object> => {
    try {
      const request = requestFor(model, conversation, options);
      const reply = await readReply(model, request, model.engine.submit(request));
      return {
        reasoning_content: reply.reasoningContent,
        content: reply.content,
        finish_reason: reply.finishReason,
        usage: { prompt_tokens: reply.usage.promptTokens, completion_tokens: reply.usage.completionTokens },
      };
    } catch (error) {
      return { error: (error as Error).message };
    } finally {
      progress.add(1);
    }
  };
  let refused = 0;
  for (const line of conversations.map(ask)) {
    const answer = await line;
    if ("error" in answer) refused++;
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
  progress.end();
  if (refused > 0) console.error(`${refused} of ${conversations.length} could not be answered; their lines say why`);
  return refused;
}

const command: Command = {
  summary: "answer one prompt, or a file of prompts in one batch / 回答一个问题，或批量回答",
  usage: `Usage: weir run MODEL "PROMPT" [options]
       weir run MODEL --batch IN.jsonl [options] > OUT.jsonl

Answers one prompt (thinking to standard error, the answer to standard output), or every line of a JSON Lines file:
{"prompt": "…"} or {"messages": [{"role": "user", "content": "…"}, …]}. Answers are lines
{"reasoning_content", "content", "finish_reason", "usage"} in the order of the input, written as soon as those before are there; a line
that cannot be asked (too long, say) gets {"error"}, and the exit code is 1. PROMPT - is read from standard input.

MODEL is a Hugging Face directory or a GGUF file.

${MODEL_HELP}`,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { ...MODEL_FLAGS, batch: { type: "string" } },
    });
    const [path, given, ...more] = positionals;
    if (path === undefined || (given === undefined) === (values.batch === undefined)) {
      throw new UsageError('give a MODEL and either a "PROMPT" or --batch FILE');
    }
    if (more.length > 0)
      throw new UsageError(`'${more[0]}' is one word too many; put the prompt in quotes: "${given} ${more.join(" ")}"`);
    const prompt = given === "-" ? readFileSync(0, "utf8").trimEnd() : given;
    if (prompt?.trim() === "") throw new UsageError("the PROMPT is empty");
    const conversations =
      values.batch === undefined
        ? [{ messages: [{ role: "user", content: prompt } as Message] }]
        : readFileSync(values.batch, "utf8")
            .split("\n")
            .flatMap((text, i) => (text.trim() === "" ? [] : [readLine(text, i + 1)]));
    const model = await openModel(path, { queue: Number.MAX_SAFE_INTEGER, ...openOptions(values) });
    const options = { maxTokens: maxTokensOf(values), sampling: samplingOf(values) };
    if (values.batch !== undefined) {
      const refused = await answerAll(model, conversations, options);
      await model.engine.close();
      return refused > 0 ? 1 : 0;
    }
    const request = requestFor(model, conversations[0], options);
    let thinking = false;
    const reply = await readReply(model, request, model.engine.submit(request), (delta) => {
      if (delta.type === "reasoning") process.stderr.write(delta.text);
      if (delta.type === "content") {
        if (thinking) process.stderr.write("\n");
        process.stdout.write(delta.text);
      }
      thinking = delta.type === "reasoning";
    });
    process.stdout.write("\n");
    if (reply.finishReason === "length") console.error("(cut off: --max-tokens or the context was reached)");
    await model.engine.close();
    return 0;
  },
};
export default command;
