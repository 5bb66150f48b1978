// The shipped model through the shipped program: `weir start` serves it, answers keep their format and language, and the process
// ends when asked to.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { converse } from "../src/engine/converse.ts";
import { openModel } from "../src/engine/open.ts";

const MODEL = "models/tutor";

test("the shipped directory is whole, small and has its card", () => {
  const size = ["config.json", "tokenizer.json", "model.safetensors", "README.md"].reduce(
    (sum, file) => sum + statSync(join(MODEL, file)).size,
    0,
  );
  assert.ok(size < 20e6, `${size} bytes`);
  const card = readFileSync(join(MODEL, "README.md"), "utf8");
  for (const word of ["class A", "class B", "class C", "class D", "weir recipe r1"])
    assert.ok(card.includes(word), `the card does not speak of ${word}`);
});

test("it answers in R1's format and the question's language", async () => {
  const model = await openModel(MODEL);
  for (const [question, words] of [
    ["计算 12+34", /答案是/],
    ["What is 12+34?", /The answer is/],
  ] as const) {
    const reply = await converse(
      model,
      { messages: [{ role: "user", content: question }] },
      { sampling: { temperature: 0 }, maxTokens: 400 },
    );
    assert.equal(reply.finishReason, "stop");
    assert.ok(reply.reasoningContent.length > 0, "no thinking");
    assert.match(reply.content, words);
    assert.match(reply.content, /\\boxed\{46\}/);
  }
  await model.engine.close();
});

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });

test("weir start serves it to a plain HTTP client and stops when told", async () => {
  const port = await freePort();
  const data = mkdtempSync(join(tmpdir(), "weir-start-"));
  const child = spawn(process.execPath, ["bin/weir.js", "start", "--port", String(port), "--data", data, "--quiet"], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  child.stdout.on("data", (chunk) => (output += chunk));
  child.stderr.on("data", (chunk) => (output += chunk));
  const exited = new Promise<number | null>((resolve) => child.on("exit", resolve));
  try {
    const deadline = Date.now() + 60_000;
    for (;;) {
      const ready = await fetch(`http://127.0.0.1:${port}/ready`).catch(() => undefined);
      if (ready?.ok) break;
      assert.ok(Date.now() < deadline && child.exitCode === null, `it never became ready:\n${output}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const response = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        model: "tutor",
        temperature: 0,
        max_tokens: 400,
        messages: [{ role: "user", content: "12+34" }],
      }),
    });
    assert.equal(response.status, 200);
    const { choices } = (await response.json()) as {
      choices: { message: { content: string; reasoning_content?: string } }[];
    };
    assert.match(choices[0].message.content, /\\boxed\{46\}/);
    assert.ok(choices[0].message.reasoning_content);
    if (existsSync("web/dist/index.html")) {
      const page = await fetch(`http://127.0.0.1:${port}/`);
      assert.match(await page.text(), /<div id="root">|<script/);
    } else console.log("web/dist is absent (npm run build:web makes it): the page is not asked for");
  } finally {
    child.kill("SIGTERM");
    assert.equal(await exited, 0, output);
    rmSync(data, { recursive: true, force: true });
  }
});
