// Runs the fuzz over all endpoints; the fast suite does a part of it, the slow suite the whole.
import assert from "node:assert/strict";
import { parseConfig } from "../config.ts";
import { createServer } from "../index.ts";
import { openDatabase } from "../store/sqlite.ts";
import { bodies, mutate, random } from "./fuzz.ts";
import { scriptedModel } from "./scripted.ts";

/** Sends `count` mutations to every endpoint; throws at the first answer that is a 500 or no proper answer. */
export async function fuzz(count: number, seed: number): Promise<Map<number, number>> {
  const server = createServer({
    config: parseConfig({ log: { level: "silent" }, models: { tutor: { path: "/" } } }),
    database: openDatabase(":memory:"),
    loadEngine: async () => scriptedModel(),
    log: { info: () => {}, error: (event, facts) => assert.fail(`${event}: ${JSON.stringify(facts)}`) },
  });
  const statuses = new Map<number, number>();
  const paths = Object.keys(bodies);
  for (const path of paths) {
    const next = random(seed);
    for (let at = 0; at < count; at++) {
      // Requests in this process never wait for the network; without a turn the event loop would look stuck.
      if (at % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
      const body = mutate(bodies[path][at % bodies[path].length], next);
      const response = await server.app.request(`http://localhost${path}`, { method: "POST", body });
      const text = await response.text();
      const where = `${path} #${at}: ${response.status} ${text.slice(0, 300)}\n${body.slice(0, 2000)}`;
      assert.ok(response.status !== 500, where);
      if (response.status >= 400) assert.ok(JSON.parse(text).error.message.length > 0, where);
      else assert.ok(!text.includes("internal_error") && !text.includes("api_error"), where);
      statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
    }
  }
  await server.close();
  return statuses;
}
