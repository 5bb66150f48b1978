// What outlives a killed process, and how one ends in good order.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { openDatabase, SqliteStorage } from "./store/sqlite.ts";

const script = fileURLToPath(new URL("testing/child.ts", import.meta.url));

async function start(
  database: string,
  tokenMs: number,
  drainSeconds = 10,
): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn(process.execPath, [script, database, String(tokenMs), String(drainSeconds)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = (await once(child.stdout!, "data")) as [Buffer];
  return { child, url: line.toString().trim() };
}

const ask = (url: string, text: string) =>
  fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    body: JSON.stringify({ model: "tutor", stream: true, messages: [{ role: "user", content: `say ${text}` }] }),
  });

test("kill -9 under load: every answer that was completed is on record and the store is sound", async () => {
  const database = join(mkdtempSync(join(tmpdir(), "weir-kill-")), "weir.db");
  const { child, url } = await start(database, 1);
  const completed: string[] = [];
  let killed = false;
  const client = async () => {
    while (!killed) {
      try {
        const response = await ask(url, "abcdefgh");
        const text = await response.text();
        if (text.endsWith("data: [DONE]\n\n")) completed.push(response.headers.get("x-request-id")!);
      } catch {
        // The connection broke off with the process.
      }
    }
  };
  const clients = Array.from({ length: 20 }, client);
  while (completed.length < 60) await new Promise((resolve) => setTimeout(resolve, 10));
  child.kill("SIGKILL");
  killed = true;
  await Promise.all(clients);
  const reopened = openDatabase(database);
  assert.equal(reopened.prepare("PRAGMA integrity_check").get()!.integrity_check, "ok");
  const recorded = new Set(
    reopened
      .prepare("SELECT id FROM usage")
      .all()
      .map((row) => row.id),
  );
  assert.deepEqual(
    completed.filter((id) => !recorded.has(id)),
    [],
  );
  await new SqliteStorage(reopened).close();
  const again = await start(database, 0);
  assert.equal((await ask(again.url, "a")).status, 200);
  again.child.kill("SIGKILL");
});

test("SIGTERM: running answers end, new requests are turned away, the process ends with 0", async () => {
  const { child, url } = await start(":memory:", 10);
  const running = await ask(url, "x".repeat(60));
  const reader = running.body!.getReader();
  await reader.read();
  child.kill("SIGTERM");
  await new Promise((resolve) => setTimeout(resolve, 100));
  const refused = await ask(url, "b").then(
    (response) => response.status,
    () => "unreachable",
  );
  assert.ok(refused === 503 || refused === "unreachable", String(refused));
  let text = "";
  for (let part = await reader.read(); !part.done; part = await reader.read())
    text += new TextDecoder().decode(part.value);
  assert.ok(text.endsWith("data: [DONE]\n\n"));
  const [code] = await once(child, "exit");
  assert.equal(code, 0);
});

test("SIGTERM with an answer that takes too long: it is cut off after drainSeconds", async () => {
  const { child, url } = await start(":memory:", 20, 0.3);
  const running = await ask(url, "x".repeat(2000));
  const began = Date.now();
  child.kill("SIGTERM");
  await running.text().catch(() => {});
  const [code] = await once(child, "exit");
  assert.equal(code, 0);
  assert.ok(Date.now() - began < 5000);
});
