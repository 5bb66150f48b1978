// Starts a real server on a free loopback port over scripted models, for tests.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseConfig, type ServerConfig } from "../config.ts";
import { createServer, type ServerOptions, type WeirServer } from "../index.ts";
import { type Listening, listen } from "../listen.ts";
import { openDatabase } from "../store/sqlite.ts";
import { type ScriptedEngine, type ScriptedOptions, scriptedModel } from "./scripted.ts";

export interface TestServer {
  server: WeirServer;
  url: string;
  /** Every engine loaded so far. */
  engines: ScriptedEngine[];
  stop(): Promise<void>;
}

/** One model "tutor" unless the configuration names others; a path ending in "broken" fails to load. */
export async function startTestServer(
  config: Record<string, unknown> = {},
  options: ScriptedOptions & { database?: string; mount?: ServerOptions["mount"]; log?: ServerOptions["log"] } = {},
): Promise<TestServer> {
  const folder = mkdtempSync(join(tmpdir(), "weir-test-"));
  const defaults = {
    port: 0,
    log: { level: "silent" },
    models: { tutor: { path: folder } },
    aliases: { "gpt-4o": "tutor" },
  };
  const engines: ScriptedEngine[] = [];
  const parsed: ServerConfig = parseConfig({ ...defaults, ...config });
  const server = createServer({
    config: parsed,
    database: openDatabase(options.database ?? ":memory:"),
    mount: options.mount,
    log: options.log,
    loadEngine: async (path) => {
      if (path.endsWith("broken")) throw new Error(`${path} holds no weights`);
      const model = scriptedModel(options);
      engines.push(model.engine);
      return model;
    },
  });
  const listening: Listening = await listen(server);
  return {
    server,
    url: listening.url,
    engines,
    stop: async () => {
      await listening.drain();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
