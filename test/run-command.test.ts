// `weir run` and `weir chat` as a user meets them: batches with a line that cannot be asked, mistakes in words, the limit said.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const tutor = join(root, "models/tutor");
const folder = mkdtempSync(join(tmpdir(), "weir-run-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Runs `weir ARGS`; `input` is its standard input. */
async function weir(args: string[], input = ""): Promise<{ code: number | null; out: string; errors: string }> {
  const child = spawn(process.execPath, [join(root, "bin/weir.js"), ...args]);
  let out = "";
  let errors = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text) => {
    errors += text;
  });
  child.stdin.end(input);
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  return { code, out, errors };
}

test("a batch answers in order; a line that cannot be asked says why and the others are answered", async () => {
  const file = join(folder, "in.jsonl");
  const rows = [{ prompt: "3+4" }, { prompt: `${"9+".repeat(2000)}1` }, { prompt: "12*34" }];
  writeFileSync(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const { code, out, errors } = await weir(["run", tutor, "--batch", file, "--temperature", "0"]);
  assert.equal(code, 1, errors);
  const lines = out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.equal(lines.length, 3);
  assert.match(lines[0].content, /\\boxed\{7\}/);
  assert.equal(lines[0].finish_reason, "stop");
  assert.match(lines[1].error, /context holds/);
  assert.match(lines[2].content, /\\boxed\{408\}/);
  assert.match(errors, /1 of 3 could not be answered/);
});

test("a prompt comes from standard input, and an answer that the limit cut off is said to be", async () => {
  const { code, out, errors } = await weir(["run", tutor, "-", "--max-tokens", "3"], "3+4\n");
  assert.equal(code, 0, errors);
  assert.match(out + errors, /cut off/);
});

test("mistakes are named in words", async () => {
  for (const [args, code, message] of [
    [["run", tutor, "3", "+", "4"], 2, /in quotes: "3 \+ 4"/],
    [["run", tutor, " "], 2, /the PROMPT is empty/],
    [["run", tutor, "--batch", join(folder, "none")], 1, /none does not exist\n/],
    [["run", tutor, "hi", "--foo"], 2, /Unknown option '--foo'\n'weir run --help'/],
    [["start", "--port", "70000"], 2, /between 0 and 65535/],
  ] as const) {
    const done = await weir([...args]);
    assert.equal(done.code, code, done.errors);
    assert.match(done.errors, message);
  }
});

test("a chat in a pipe prints answers and no prompts", async () => {
  const { code, out, errors } = await weir(["chat", tutor, "--temperature", "0"], "/think on\n3+4\n");
  assert.equal(code, 0, errors);
  assert.match(out, /thinking on 开启思考\n3\+4=7\nThe answer is \\boxed\{7\}\.\n$/);
  assert.doesNotMatch(out, /^> /m);
});
