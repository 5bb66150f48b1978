// The chat application inside the server: its routes answer through the gateway, and the usage is on the server's record.
import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { hostApp } from "./app-host.ts";
import { startTestServer } from "./testing/start.ts";

test("page, models and an answer", async (t) => {
  const webRoot = mkdtempSync(join(tmpdir(), "weir-page-"));
  writeFileSync(join(webRoot, "index.html"), "<!doctype html><title>Weir</title>");
  const printed: string[] = [];
  const mount = hostApp({ webRoot, accounts: false, tutors: ["tutor"], print: (line) => printed.push(line) });
  const running = await startTestServer({}, { mount });
  t.after(() => running.stop());
  const page = await fetch(`${running.url}/`);
  assert.match(await page.text(), /<title>Weir/);
  const models = async () =>
    (await (await fetch(`${running.url}/app/api/models`)).json()) as {
      models: Record<string, unknown>[];
      default: string;
    };
  const before = await models();
  assert.deepEqual([before.default, before.models[0].state, before.models[0].thinking], ["tutor", "unloaded", false]);
  const speed = await fetch(`${running.url}/app/api/models/speed`, {
    method: "POST",
    headers: { "x-weir-app": "1", "content-type": "application/json" },
    body: JSON.stringify({ name: "tutor" }),
  });
  assert.equal(speed.status, 200);
  assert.ok(((await speed.json()) as { completionTokens: number }).completionTokens > 0);
  const after = await models();
  assert.deepEqual([after.models[0].state, after.models[0].thinking, after.models[0].tutor], ["loaded", true, true]);
  assert.equal((await running.server.storage.usage("local", 0)).requests, 1);
  assert.deepEqual(printed, []);
});
