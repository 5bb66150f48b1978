// `weir chat`: talk to a model in the terminal.
import { createInterface } from "node:readline/promises";
import { parseArgs } from "node:util";
import { converse } from "../../engine/converse.ts";
import { openModel } from "../../engine/open.ts";
import type { Message } from "../../text/conversation.ts";
import { type Command, UsageError } from "../command.ts";
import { MODEL_FLAGS, MODEL_HELP, maxTokensOf, openOptions, samplingOf } from "../model-options.ts";

const HELP = `  /new 新对话          forget the conversation
  /system TEXT        set the system prompt 系统提示
  /think on|off       let the model think or not 思考
  /stats              tokens and speed of the last answer 上一回答的词元数与速度
  /exit               leave 退出 (also Ctrl-D; Ctrl-C stops an answer)`;

// Not in pipes, and not where NO_COLOR asks for plain text (https://no-color.org).
const dimmed = process.stdout.isTTY && !process.env.NO_COLOR;
const dim = (text: string): string => (dimmed ? `\u001b[2m${text}\u001b[22m` : text);

const command: Command = {
  summary: "talk to a model in the terminal / 在终端对话",
  usage: `Usage: weir chat MODEL [options]

Streams answers, thinking dimmed. Ctrl-C stops the answer, not the program. Inside:
${HELP}

${MODEL_HELP}`,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { ...MODEL_FLAGS, system: { type: "string" } },
    });
    if (positionals.length !== 1) throw new UsageError("give one MODEL: a Hugging Face directory or a GGUF file");
    const model = await openModel(positionals[0], openOptions(values));
    const options = { maxTokens: maxTokensOf(values), sampling: samplingOf(values) };
    let system = values.system;
    let messages: Message[] = [];
    let thinking: "on" | "off" | undefined;
    let stats = "";
    console.log(
      `${model.engine.model.name}: ${(model.engine.model.parameters / 1e6).toFixed(1)}M parameters, ${model.engine.model.contextLength} tokens of context. /help`,
    );

    const lines = createInterface({ input: process.stdin, output: process.stdout, terminal: process.stdin.isTTY });
    let running: AbortController | undefined;
    lines.on("SIGINT", () => {
      if (running) running.abort();
      else lines.close();
    });
    const control = (line: string): boolean => {
      const [word, ...rest] = line.split(" ");
      const text = rest.join(" ").trim();
      if (word === "/new") {
        messages = [];
        console.log("new conversation 新对话");
      } else if (word === "/system") {
        system = text || undefined;
        console.log(system ? "system prompt set 已设定系统提示" : "no system prompt 无系统提示");
      } else if (word === "/think" && (text === "on" || text === "off")) {
        thinking = text;
        console.log(text === "on" ? "thinking on 开启思考" : "thinking off 关闭思考");
      } else if (word === "/stats") console.log(stats || "no answer yet");
      else if (word === "/exit") return false;
      else console.log(HELP);
      return true;
    };
    const answer = async (question: string): Promise<void> => {
      messages.push({ role: "user", content: question });
      running = new AbortController();
      const begin = performance.now();
      let inThinking = false;
      const conversation = {
        messages: system ? [{ role: "system" as const, content: system }, ...messages] : messages,
        thinking,
      };
      const reply = await converse(model, conversation, { ...options, signal: running.signal }, (delta) => {
        if (delta.type === "reasoning") process.stdout.write(dim(delta.text));
        if (delta.type === "content") process.stdout.write(inThinking ? `\n${delta.text}` : delta.text);
        inThinking = delta.type === "reasoning";
      });
      running = undefined;
      const ends = { cancelled: "\n[stopped 已停止]", length: "\n[cut off at the limit 达到长度上限]" };
      process.stdout.write(`${ends[reply.finishReason as keyof typeof ends] ?? ""}\n`);
      messages.push({ role: "assistant", content: reply.content, reasoningContent: reply.reasoningContent });
      const { promptTokens, cachedTokens, completionTokens } = reply.usage;
      const rate = (completionTokens * 1000) / (performance.now() - begin);
      stats = `${promptTokens} prompt tokens (${cachedTokens} cached), ${completionTokens} answer tokens, ${rate.toFixed(0)} tokens/s`;
    };
    let open = true;
    lines.on("close", () => {
      open = false;
    });
    const prompt = (): void => {
      if (process.stdin.isTTY) lines.prompt();
    };
    lines.setPrompt("> ");
    prompt();
    for await (const line of lines) {
      const text = line.trim();
      try {
        if (text.startsWith("/")) {
          if (!control(text)) break;
        } else if (text !== "") await answer(text);
      } catch (error) {
        // A question that cannot be asked (too long, say) is taken back; the conversation goes on.
        if (messages[messages.length - 1]?.role === "user") messages.pop();
        running = undefined;
        console.error((error as Error).message);
      }
      if (open) prompt();
    }
    lines.close();
    await model.engine.close();
    return 0;
  },
};
export default command;
