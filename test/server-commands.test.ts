// The commands around the server as a person meets them: keys, wrong arguments, and `weir start` with what it prints.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../", import.meta.url));
const weir = join(root, "bin/weir.js");

function run(home: string, ...args: string[]): { status: number | null; out: string; err: string } {
  const result = spawnSync(process.execPath, [weir, ...args], {
    env: { ...process.env, WEIR_HOME: home },
    encoding: "utf8",
  });
  return { status: result.status, out: result.stdout, err: result.stderr };
}

test("weir keys: create with limits, list without the secret, revoke", () => {
  const home = mkdtempSync(join(tmpdir(), "weir-keys-"));
  const created = run(
    home,
    "keys",
    "create",
    "alice",
    "--tokens-per-day",
    "1000",
    "--budget",
    "10CNY/month",
    "--models",
    "tutor,big",
    "--days",
    "3",
  );
  assert.equal(created.status, 0, created.err);
  const secret = /sk-weir-[\w-]{43}/.exec(created.out)![0];
  const id = /key_[0-9a-f]+/.exec(created.out)![0];
  const listed = run(home, "keys", "list").out;
  assert.ok(
    listed.includes(id) &&
      listed.includes("alice") &&
      listed.includes('"tokensPerDay":1000') &&
      listed.includes('"models":["tutor","big"]'),
  );
  assert.ok(!listed.includes(secret));
  assert.equal(run(home, "keys", "revoke", id).status, 0);
  assert.match(run(home, "keys", "list").out, /revoked/);
});

test("wrong arguments end with 2 and say what to do", () => {
  const home = mkdtempSync(join(tmpdir(), "weir-keys-"));
  const cases: [string[], RegExp][] = [
    [["keys"], /create NAME, list, or revoke ID/],
    [["keys", "create"], /needs a name/],
    [["keys", "create", "a", "--budget", "much"], /10CNY\/month/],
    [["keys", "create", "a", "--concurrency", "0"], /above 0/],
    [["keys", "revoke", "key_nope"], /there is no key/],
    [["serve"], /name a model/],
    [["serve", "--nonsense"], /nonsense/],
    [["serve", "--tutor", "other", root], /--tutor other: the models here are/],
  ];
  for (const [args, text] of cases) {
    const { status, err } = run(home, ...args);
    assert.equal(status, 2, `${args.join(" ")}: ${err}`);
    assert.match(err, text);
  }
  const missing = run(home, "serve", "/does/not/exist");
  assert.notEqual(missing.status, 0);
  assert.match(missing.err, /is not at \/does\/not\/exist/);
  const open = run(home, "serve", "--host", "0.0.0.0", root);
  assert.notEqual(open.status, 0);
  assert.match(open.err, /weir keys create/);
});

/** Exit code and output of a program. */
async function output(program: string, args: string[]): Promise<{ code: number; text: string }> {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => (text += chunk));
  child.stderr.on("data", (chunk: Buffer) => (text += chunk));
  const [code] = (await once(child, "close")) as [number];
  return { code, text };
}

const trained = existsSync(join(root, "models/tutor"));
if (!trained) console.log("server-commands.test: models/tutor is not here; weir start is not tried");
else
  test("weir start serves the tutor; the printed curl line and snippet work as printed, the page answers, SIGTERM ends it", async (t) => {
    const home = mkdtempSync(join(tmpdir(), "weir-start-"));
    const child = spawn(process.execPath, [weir, "start", "--port", "0", "--quiet"], {
      env: { ...process.env, WEIR_HOME: home },
      stdio: ["ignore", "pipe", "inherit"],
    });
    t.after(() => child.kill("SIGKILL"));
    let text = "";
    while (!text.includes("Ctrl-C")) text += ((await once(child.stdout, "data")) as [Buffer])[0];
    const curl = /^curl .*$/m.exec(text)![0];
    const url = /http:\S+/.exec(curl)![0];
    // The shell runs the line as a person would paste it.
    const asked = await output("sh", ["-c", `${curl} --silent --show-error`]);
    assert.equal(asked.code, 0, asked.text);
    const answer = JSON.parse(asked.text) as { model: string; choices: { message: { content: string } }[] };
    assert.equal(answer.model, "tutor");
    assert.ok(answer.choices[0].message.content.length > 0);
    const snippet = /^import OpenAI[\s\S]*?^console.*$/m.exec(text)![0];
    // Inside the repository, so that it finds the client.
    const folder = mkdtempSync(join(root, "node_modules", ".snippet-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    writeFileSync(join(folder, "snippet.mjs"), snippet);
    const printed = await output(process.execPath, [join(folder, "snippet.mjs")]);
    assert.equal(printed.code, 0, printed.text);
    assert.match(printed.text, /\S/);
    const page = await fetch(new URL("/", url));
    assert.ok(page.status === 200 || page.status === 503, "the page, or the word that it is not built");
    child.kill("SIGTERM");
    const [code] = await once(child, "exit");
    assert.equal(code, 0);
  });
