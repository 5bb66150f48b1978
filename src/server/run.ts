// Runs a server until it is told to end: opens the data, mounts the chat application, listens, says how to use it.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createTutor } from "./app/tutor.ts";
import { hostApp } from "./app-host.ts";
import { dataDirectory, type ServerConfig } from "./config.ts";
import { createServer } from "./index.ts";
import { listen } from "./listen.ts";
import type { LoadEngine } from "./model.ts";
import { untilSignal } from "./signals.ts";
import { openDatabase } from "./store/sqlite.ts";

export interface RunOptions {
  config: ServerConfig;
  loadEngine: LoadEngine;
  /** Folder of the built page. */
  webRoot?: string;
  /** Name of a model that the Step Tutor's marks apply to. */
  tutor?: string;
  print?: (line: string) => void;
}

/** What a person needs to send a first request; works as printed. */
export function greeting(url: string, model: string, needsKey: boolean): string {
  const key = needsKey ? "$WEIR_KEY" : "none";
  const header = needsKey ? ` -H "Authorization: Bearer $WEIR_KEY"` : "";
  const body = JSON.stringify({ model, messages: [{ role: "user", content: "12 * 34 = ?" }] });
  return `Page 网页     ${url}/
API           ${url}/v1  (OpenAI) · ${url} (DeepSeek) · ${url}/anthropic (Anthropic)

curl ${url}/v1/chat/completions${header} -H "Content-Type: application/json" -d '${body}'

import OpenAI from "openai";
const client = new OpenAI({ baseURL: "${url}/v1", apiKey: ${needsKey ? "process.env.WEIR_KEY" : `"${key}"`} });
const answer = await client.chat.completions.create(${body});
console.log(answer.choices[0].message.content);
`;
}

/** Serves until SIGTERM or SIGINT, then lets running answers end. */
export async function runServer(options: RunOptions): Promise<void> {
  const { config, loadEngine, tutor, print = console.log } = options;
  const webRoot = options.webRoot ?? fileURLToPath(new URL("../../web/dist", import.meta.url));
  const server = createServer({
    config,
    loadEngine,
    database: openDatabase(join(dataDirectory(config), "weir.db")),
    mount: hostApp({
      webRoot,
      accounts: config.keys.required,
      ...(tutor === undefined ? {} : { tutor: createTutor(), tutors: [tutor] }),
      print,
    }),
  });
  const listening = await listen(server);
  const model = server.models.defaultModel ?? Object.keys(config.models)[0] ?? "MODEL";
  const preloaded = server.models
    .preload()
    .catch((error: Error) => server.log.error("preload_failed", { reason: error.message }));
  print(greeting(listening.url, model, config.keys.required));
  if (!existsSync(join(webRoot, "index.html"))) print("The page is not built yet: npm run build:web 网页尚未构建");
  print("Ctrl-C ends the server. 按 Ctrl-C 结束。");
  await untilSignal();
  print("Finishing running answers … 正在完成进行中的回答 …");
  await listening.drain();
  await preloaded;
}
