// `weir run`: one prompt, or a file of them in one batch.
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { readReply, requestFor } from "../../engine/converse.ts";
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

const command: Command = {
  summary: "answer one prompt, or a file of prompts in one batch",
  usage: `Usage: weir run MODEL "PROMPT" [options]
       weir run MODEL --batch IN.jsonl [options] > OUT.jsonl

Answers one prompt (thinking to standard error, the answer to standard output), or every line of a JSON Lines file:
{"prompt": "…"} or {"messages": [{"role": "user", "content": "…"}, …]}. Answers are lines
{"reasoning_content", "content", "usage"} in the order of the input.

MODEL is a Hugging Face directory or a GGUF file.

${MODEL_HELP}`,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { ...MODEL_FLAGS, batch: { type: "string" } },
    });
    const [path, prompt] = positionals;
    if (path === undefined || (prompt === undefined) === (values.batch === undefined)) {
      throw new UsageError('give a MODEL and either a "PROMPT" or --batch FILE');
    }
    const conversations =
      values.batch === undefined
        ? [{ messages: [{ role: "user", content: prompt } as Message] }]
        : readFileSync(values.batch, "utf8")
            .split("\n")
            .flatMap((text, i) => (text.trim() === "" ? [] : [readLine(text, i + 1)]));
    const model = await openModel(path, { queue: Number.MAX_SAFE_INTEGER, ...openOptions(values) });
    const options = { maxTokens: maxTokensOf(values), sampling: samplingOf(values) };
    const requests = conversations.map((conversation) => requestFor(model, conversation, options));
    const progress =
      values.batch !== undefined ? new Progress("answers", { total: requests.length, unit: "answers" }) : undefined;
    let thinking = false;
    const replies = await Promise.all(
      requests.map(async (request) => {
        const reply = await readReply(model, request, model.engine.submit(request), (delta) => {
          if (progress) return;
          if (delta.type === "reasoning") process.stderr.write(delta.text);
          if (delta.type === "content") {
            if (thinking) process.stderr.write("\n");
            process.stdout.write(delta.text);
          }
          thinking = delta.type === "reasoning";
        });
        progress?.add(1);
        return reply;
      }),
    );
    progress?.end();
    if (values.batch === undefined) process.stdout.write("\n");
    else {
      for (const { reasoningContent, content, usage } of replies) {
        const line = {
          reasoning_content: reasoningContent,
          content,
          usage: { prompt_tokens: usage.promptTokens, completion_tokens: usage.completionTokens },
        };
        process.stdout.write(`${JSON.stringify(line)}\n`);
      }
    }
    await model.engine.close();
    return 0;
  },
};
export default command;
