// Hostile clients: no key, wrong key, others' things, abuse of headers and bodies. Everything is refused, and the server lives.
import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { createKey } from "./caller.ts";
import { ConfigError, parseConfig } from "./config.ts";
import { createServer } from "./index.ts";
import { listen } from "./listen.ts";
import { openDatabase } from "./store/sqlite.ts";
import type { Limits } from "./store/storage.ts";
import { scriptedModel } from "./testing/scripted.ts";
import { startTestServer, type TestServer } from "./testing/start.ts";

type Body = string | Uint8Array | ReadableStream | FormData;

let running: TestServer;
let alice: Record<string, string>;
let bob: Record<string, string>;
const keyFor = async (name: string, limits?: Limits, expiresAt?: number) => {
  const { secret } = await createKey(running.server.storage, { name, limits, expiresAt });
  return { authorization: `Bearer ${secret}` };
};
before(async () => {
  running = await startTestServer({ keys: { required: true } });
  alice = await keyFor("alice");
  bob = await keyFor("bob");
});
after(() => running.stop());

const send = (path: string, body: Body | undefined, headers: Record<string, string> = alice, method = "POST") =>
  fetch(running.url + path, { method, headers, body, duplex: "half" } as RequestInit);
const chat = (text: string) => JSON.stringify({ model: "tutor", messages: [{ role: "user", content: text }] });

/** Sends raw bytes and returns everything that comes back until the connection ends or `ms` have passed. */
async function raw(bytes: string, ms = 3000, url = running.url): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  let text = "";
  socket.on("data", (data) => {
    text += data;
  });
  socket.on("error", () => {});
  socket.write(bytes);
  await Promise.race([
    new Promise((resolve) => socket.on("close", resolve)),
    new Promise((resolve) => setTimeout(resolve, ms)),
  ]);
  socket.destroy();
  return text;
}

test("without a key and with a wrong one every protocol says 401, and nothing more", async () => {
  const paths = [
    "/v1/chat/completions",
    "/chat/completions",
    "/v1/messages",
    "/anthropic/v1/messages",
    "/v1/responses",
    "/v1/files",
    "/v1/batches",
    "/v1/embeddings",
    "/beta/completions",
  ];
  for (const path of paths) {
    assert.equal((await send(path, chat("a"), {})).status, 401, path);
    const wrong = await send(path, chat("a"), { authorization: "Bearer sk-weir-wrong" });
    assert.equal(wrong.status, 401, path);
    assert.match(await wrong.text(), /not valid on this server/);
  }
  for (const path of ["/v1/models", "/models", "/user/balance", "/metrics", "/v1/files/x", "/v1/receipts/x"])
    assert.equal((await send(path, undefined, {}, "GET")).status, 401, path);
  for (const path of ["/health", "/openapi.json"])
    assert.equal((await send(path, undefined, {}, "GET")).status, 200, path);
  const anthropic = await send("/v1/messages", "{}", { "x-api-key": alice.authorization.slice(7) });
  assert.equal(anthropic.status, 400);
});

test("revoked and expired keys are wrong keys; secrets are not in the database", async () => {
  const { storage } = running.server;
  const carol = await keyFor("carol");
  assert.equal((await send("/v1/chat/completions", chat("a"), carol)).status, 200);
  const keys = await storage.listKeys();
  await storage.revokeKey(keys.find((key) => key.name === "carol")!.id, Date.now());
  assert.equal((await send("/v1/chat/completions", chat("a"), carol)).status, 401);
  const old = await keyFor("old", undefined, Date.now() - 1);
  assert.equal((await send("/v1/chat/completions", chat("a"), old)).status, 401);
  assert.ok(!JSON.stringify(keys).includes(alice.authorization.slice(20)));
});

test("another key's files, responses, batches and receipts look as if they were not there", async () => {
  const form = new FormData();
  form.append("purpose", "batch");
  form.append("file", new Blob(["{}"]), "a.jsonl");
  const { id: file } = (await (await send("/v1/files", form)).json()) as { id: string };
  const { id: response, output } = (await (
    await send("/v1/responses", JSON.stringify({ model: "tutor", input: "a" }))
  ).json()) as {
    id: string;
    output: { id: string }[];
  };
  const batchBody = JSON.stringify({ input_file_id: file, endpoint: "/v1/responses", completion_window: "24h" });
  const { id: batch } = (await (await send("/v1/batches", batchBody)).json()) as { id: string };
  const receipt = (await send("/v1/chat/completions", chat("a"), { ...alice, "x-weir-receipt": "1" })).headers.get(
    "x-weir-receipt",
  );
  for (const path of [
    `/v1/files/${file}`,
    `/v1/files/${file}/content`,
    `/v1/responses/${response}`,
    `/v1/batches/${batch}`,
    `/v1/receipts/${receipt}`,
  ]) {
    assert.equal((await send(path, undefined, alice, "GET")).status, 200, path);
    const foreign = await send(path, undefined, bob, "GET");
    const unknown = await send(path.replace(/[0-9a-f]{32}/, "0".repeat(32)), undefined, bob, "GET");
    assert.equal(foreign.status, 404, path);
    const hide = (text: string) => text.replace(/[0-9a-f]{32}/g, "ID");
    assert.equal(hide(await foreign.text()), hide(await unknown.text()));
  }
  assert.equal((await send(`/v1/files/${file}`, undefined, bob, "DELETE")).status, 404);
  assert.equal((await send(`/v1/responses/${response}`, undefined, bob, "DELETE")).status, 404);
  assert.equal((await send("/v1/batches", batchBody, bob)).status, 404);
  const references = [{ previous_response_id: response }, { input: [{ type: "item_reference", id: output[0].id }] }];
  for (const extra of references)
    assert.equal(
      (await send("/v1/responses", JSON.stringify({ model: "tutor", input: "a", ...extra }), bob)).status,
      404,
    );
  const list = (await (await send("/v1/files", undefined, bob, "GET")).json()) as { data: object[] };
  assert.deepEqual(list.data, []);
});

test("bodies: too large (declared or not), too deep, not UTF-8, not JSON, reaching for a prototype", async () => {
  const status = async (body: Body, headers = alice) => (await send("/v1/chat/completions", body, headers)).status;
  const big = chat("a".repeat(10 * 1024 * 1024));
  assert.equal(await status(big), 413);
  const chunks = new ReadableStream({
    pull(controller) {
      controller.enqueue(new Uint8Array(1024 * 1024).fill(32));
    },
  });
  assert.equal(await status(chunks).catch(() => 413), 413);
  assert.equal(await status(`{"model":"tutor","messages":${"[".repeat(100_000)}${"]".repeat(100_000)}}`), 400);
  assert.equal(await status(`${'{"a":'.repeat(50_000)}1${"}".repeat(50_000)}`), 400);
  assert.equal(await status(new Uint8Array([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d])), 400);
  assert.equal(await status('{"model":"tutor","messages":[{"role":"user","content":"\\ud800"}]}'), 400);
  for (const text of ["", "{", "null", "[]", '"a"', "1e999", '{"model":"tutor"', "\u0000"])
    assert.equal(await status(text), 400, text);
  assert.equal(
    await status('{"model":"tutor","messages":[{"role":"user","content":"a"}],"__proto__":{"admin":true}}'),
    400,
  );
  assert.equal(
    await status('{"model":"tutor","messages":[{"role":"user","content":"a"}],"\\u005f_proto__":{"admin":true}}'),
    400,
  );
  assert.equal(({} as { admin?: boolean }).admin, undefined);
  assert.equal(await status(chat("a"), { ...alice, "content-type": "text/html" }), 415);
  assert.equal(await status(chat("a")), 200);
});

test("slow and malformed HTTP is cut off", async (t) => {
  const hasty = await startTestServer({ limits: { receiveSeconds: 1 } });
  t.after(() => hasty.stop());
  const began = Date.now();
  const slow = await raw("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Le", 20_000, hasty.url);
  assert.ok(Date.now() - began < 19_000, "the slow sender was not cut off");
  assert.match(slow, /^(HTTP\/1\.1 408|$)/);
  const half = 'POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"a';
  const body = await raw(half, 20_000, hasty.url);
  assert.ok(!body.includes(" 200 "));
  const head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n";
  assert.match(
    await raw(`${head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n`),
    /^HTTP\/1\.1 400/,
  );
  assert.match(await raw(`${head}Transfer-Encoding: chunked\r\n\r\nZZ\r\n`), /^HTTP\/1\.1 (400|401)/);
  assert.match(await raw(`GET / HTTP/1.1\r\nHost: localhost\r\nX: ${"a".repeat(100_000)}\r\n\r\n`), /^HTTP\/1\.1 431/);
  assert.match(await raw("GET /v1/models HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), /^HTTP\/1\.1 (400|401)/);
  assert.equal((await send("/health", undefined, {}, "GET")).status, 200);
});

test("no path leads out", async () => {
  for (const path of [
    "/../../etc/passwd",
    "/v1/files/../../../etc/passwd",
    "/v1/files/%2e%2e%2fkeys",
    "/%00",
    "/v1/models/..%2f..",
    "//etc/passwd",
    "/assets/../../package.json",
  ]) {
    const answer = await raw(
      `GET ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${alice.authorization}\r\nConnection: close\r\n\r\n`,
    );
    assert.match(answer, /^HTTP\/1\.1 (400|404)/, path);
    assert.ok(!answer.includes("root:"), path);
  }
});

test("limits of a key: concurrency and requests per minute give 429 with Retry-After", async () => {
  const limited = await keyFor("limited", { requestsPerMinute: 2 });
  const answers = [];
  for (let turn = 0; turn < 3; turn++) answers.push(await send("/v1/chat/completions", chat("a"), limited));
  assert.deepEqual(
    answers.map((each) => each.status),
    [200, 200, 429],
  );
  assert.ok(Number(answers[2].headers.get("retry-after")) >= 1);
  const small = await keyFor("small", { models: ["other"] });
  assert.equal((await send("/v1/chat/completions", chat("a"), small)).status, 403);
  const list = (await (await send("/v1/models", undefined, small, "GET")).json()) as { data: object[] };
  assert.deepEqual(list.data, []);
});

test("without keys: foreign host names and pages of other origins are refused, allowed origins answered", async (t) => {
  const open = await startTestServer({ cors: ["https://good.example"] });
  t.after(() => open.stop());
  const request = (headers: Record<string, string>, method = "POST") =>
    open.server.app.request(`${open.url}/v1/chat/completions`, {
      method,
      headers,
      body: method === "POST" ? chat("a") : undefined,
    });
  assert.equal((await request({ host: "evil.example" })).status, 403);
  assert.equal((await request({ origin: "https://evil.example" })).status, 403);
  assert.equal((await request({ origin: open.url, host: new URL(open.url).host })).status, 200);
  const good = await request({ origin: "https://good.example" });
  assert.equal(good.status, 200);
  assert.equal(good.headers.get("access-control-allow-origin"), "https://good.example");
  const preflight = await request(
    { origin: "https://good.example", "access-control-request-headers": "authorization" },
    "OPTIONS",
  );
  assert.deepEqual([preflight.status, preflight.headers.get("access-control-allow-headers")], [204, "authorization"]);
  assert.equal(
    (await request({ origin: "https://evil.example" }, "OPTIONS")).headers.get("access-control-allow-origin"),
    null,
  );
});

test("a public address is refused without keys", async () => {
  const attempt = async (keys: object, create: boolean) => {
    const server = createServer({
      config: parseConfig({ host: "0.0.0.0", port: 0, log: { level: "silent" }, keys }),
      database: openDatabase(":memory:"),
      loadEngine: async () => scriptedModel(),
    });
    if (create) await createKey(server.storage, { name: "a" });
    const listening = await listen(server);
    await listening.drain();
  };
  await assert.rejects(attempt({}, true), ConfigError);
  await assert.rejects(attempt({ required: true }, false), /weir keys create/);
  await attempt({ required: true }, true);
});
