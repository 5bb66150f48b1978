// A server in a process of its own, for tests that kill it: `child.ts DATABASE TOKEN_MS [DRAIN_SECONDS]`. Prints its URL.
import { tmpdir } from "node:os";
import { parseConfig } from "../config.ts";
import { createServer } from "../index.ts";
import { listen } from "../listen.ts";
import { untilSignal } from "../signals.ts";
import { openDatabase } from "../store/sqlite.ts";
import { scriptedModel } from "./scripted.ts";

const [database, tokenMs, drainSeconds = "10"] = process.argv.slice(2);
const server = createServer({
  config: parseConfig({
    port: 0,
    log: { level: "silent" },
    models: { tutor: { path: tmpdir() } },
    limits: { drainSeconds: Number(drainSeconds) },
  }),
  database: openDatabase(database),
  loadEngine: async () => scriptedModel({ tokenMs: Number(tokenMs) }),
});
const listening = await listen(server);
console.log(listening.url);
await untilSignal();
await listening.drain();
