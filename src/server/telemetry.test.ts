// Spans as a collector receives them, from answers through the whole server.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { readTraceparent } from "./telemetry.ts";
import { startTestServer } from "./testing/start.ts";

interface Span {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: { key: string; value: Record<string, unknown> }[];
}

test("answers become spans of the caller's trace; no text is in them; a collector that is away is no trouble", async () => {
  const spans: Span[] = [];
  const bodies: string[] = [];
  const collector = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => (body += chunk));
    request.on("end", () => {
      assert.equal(request.url, "/v1/traces");
      assert.equal(request.headers["x-team"], "water");
      bodies.push(body);
      for (const { scopeSpans } of JSON.parse(body).resourceSpans)
        for (const scope of scopeSpans) spans.push(...scope.spans);
      response.writeHead(200).end("{}");
    });
  });
  collector.listen(0, "127.0.0.1");
  await once(collector, "listening");
  const endpoint = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`;
  const running = await startTestServer({
    telemetry: { endpoint, headers: { "x-team": "water" }, everySeconds: 3600 },
  });
  const traceId = "0af7651916cd43dd8448eb211c80319c";
  const ask = (path: string, body: object, headers = {}) =>
    fetch(running.url + path, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify({ model: "tutor", ...body }),
    }).then((response) => response.text());
  await ask(
    "/v1/chat/completions",
    { messages: [{ role: "user", content: "say secret" }] },
    { traceparent: `00-${traceId}-b7ad6b7169203331-01` },
  );
  await ask("/v1/embeddings", { input: "secret" });
  await running.stop();
  collector.close();
  const [chat, embedding] = spans;
  assert.deepEqual([spans.length, chat.name, embedding.name], [2, "chat tutor", "embeddings tutor"]);
  assert.deepEqual([chat.traceId, chat.parentSpanId], [traceId, "b7ad6b7169203331"]);
  assert.match(embedding.traceId, /^[0-9a-f]{32}$/);
  assert.equal(embedding.parentSpanId, undefined);
  assert.ok(BigInt(chat.endTimeUnixNano) >= BigInt(chat.startTimeUnixNano));
  assert.ok(Math.abs(Number(BigInt(chat.endTimeUnixNano) / 1_000_000n) - Date.now()) < 60_000);
  const facts = Object.fromEntries(chat.attributes.map(({ key, value }) => [key, value]));
  assert.deepEqual(facts["gen_ai.usage.output_tokens"], { intValue: "6" });
  assert.deepEqual(facts["gen_ai.response.finish_reasons"], { arrayValue: { values: [{ stringValue: "stop" }] } });
  assert.doesNotMatch(bodies.join(), /secret/);

  const away = await startTestServer({ telemetry: { endpoint, everySeconds: 3600 } });
  const response = await fetch(`${away.url}/v1/embeddings`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "tutor", input: "a" }),
  });
  assert.equal(response.status, 200);
  await away.stop();
});

test("a traceparent is read as W3C writes it, anything else is none", () => {
  const good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  assert.deepEqual(readTraceparent(good), {
    traceId: "0af7651916cd43dd8448eb211c80319c",
    parentId: "b7ad6b7169203331",
  });
  for (const bad of [
    undefined,
    "",
    "00-0-0-01",
    good.replace("00-", "ff-"),
    `00-${"0".repeat(32)}-b7ad6b7169203331-01`,
  ])
    assert.equal(readTraceparent(bad), undefined);
});
