// `weir inspect`, `weir convert` and `weir pull` as a user runs them.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, mock, test } from "node:test";
import { smallModel } from "../src/checkpoint/models.fixture.ts";
import { published } from "../src/checkpoint/published.fixture.ts";
import { writeHuggingFace } from "../src/checkpoint/write-model.ts";
import { main } from "../src/cli/main.ts";

let folder = "";
before(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-commands-"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** Runs `weir ARGS` in this process and catches what it prints. */
async function weir(...args: string[]): Promise<{ code: number; out: string; errors: string }> {
  let out = "";
  let errors = "";
  const line = (text: unknown) => `${text}\n`;
  const mocks = [
    mock.method(console, "log", (text: unknown) => {
      out += line(text);
    }),
    mock.method(console, "error", (text: unknown) => {
      errors += line(text);
    }),
    mock.method(process.stderr, "write", (text: string) => {
      errors += text;
      return true;
    }),
  ];
  try {
    const code = await main(args);
    return { code, out, errors };
  } finally {
    for (const method of mocks) method.mock.restore();
  }
}

test("inspect --config counts published models exactly, without weights", async () => {
  const path = join(folder, "config.json");
  writeFileSync(path, JSON.stringify(published["DeepSeek-V3"].config));
  const text = await weir("inspect", "--config", path);
  assert.equal(text.code, 0, text.errors);
  assert.match(text.out, /parameters +671\.026B \(671,026,404,352\)/);
  assert.match(text.out, /cache per token +35136 elements, 70272 bytes/);
  const json = JSON.parse((await weir("inspect", "--config", path, "--json")).out);
  assert.equal(json.parameters.active, 37_552_282_624);
  for (const [name, model] of Object.entries(published)) {
    writeFileSync(path, JSON.stringify(model.config));
    const report = JSON.parse((await weir("inspect", "--config", path, "--json")).out);
    assert.equal(report.parameters.total, model.total, name);
  }
  writeFileSync(path, '{"model_type":"deepseek_v3","vocab_size":-1}');
  const bad = await weir("inspect", "--config", path);
  assert.equal(bad.code, 1);
  assert.match(bad.errors, /vocab_size: must be a whole number/);
});

test("inspect --program prints what computes a published model, without weights", async () => {
  const path = join(folder, "program.json");
  for (const [name, first] of [
    ["DeepSeek-V3", "embedding"],
    ["DeepSeek-V4-Flash", "embedding"],
  ]) {
    writeFileSync(path, JSON.stringify(published[name].config));
    const { code, out, errors } = await weir("inspect", "--config", path, "--program", "serve");
    assert.equal(code, 0, errors);
    assert.match(out, /register T <= 256/);
    assert.match(out, new RegExp(`\\n +0 .* = ${first}\\(model.embed_tokens.weight, ids\\)`));
    assert.match(out, /paged_attention\(.*\n(.*\n)*.* arena \d+ bytes/);
  }
  const directory = join(folder, "printed");
  writeHuggingFace(directory, smallModel("deepseek_v3"), { dtype: "F32" });
  assert.match((await weir("inspect", directory, "--program", "draft")).out, /model\.layers\.2\.eh_proj\.weight/);
  assert.match((await weir("inspect", directory, "--program", "train")).out, /state grad\.lm_head\.weight/);
  assert.match((await weir("inspect", directory, "--program", "x")).errors, /none of serve, train, draft/);
});

test("convert writes GGUF and a directory again; inspect shows both and what is missing", async () => {
  const directory = join(folder, "model");
  writeHuggingFace(directory, smallModel("deepseek_v2"), { dtype: "F32" });
  const gguf = join(folder, "model.gguf");
  const first = await weir("convert", directory, gguf, "--dtype", "q8_0");
  assert.equal(first.code, 0, first.errors);
  assert.match(first.errors, /converting model .*100%/);
  const report = JSON.parse((await weir("inspect", gguf, "--json", "--tensors")).out);
  assert.equal(report.kind, "gguf");
  assert.deepEqual(report.problems, []);
  assert.ok(report.types.Q8_0.tensors > 10 && report.list.length === report.tensors);
  const second = await weir("convert", gguf, join(folder, "again"), "--dtype", "BF16", "--shard-bytes", "20000");
  assert.equal(second.code, 0, second.errors);
  assert.ok(existsSync(join(folder, "again", "model.safetensors.index.json")));
  assert.match(
    (await weir("inspect", join(folder, "again"), "--tensors")).out,
    /BF16 +model\.layers\.0\.self_attn\.q_proj/,
  );

  const refused = await weir("convert", gguf, join(folder, "again"));
  assert.equal(refused.code, 1);
  assert.match(refused.errors, /is not empty/);
  const replaced = await weir("convert", gguf, join(folder, "again"), "--replace");
  assert.equal(replaced.code, 0, replaced.errors);
  for (const [args, message] of [
    [["convert", gguf], /give IN and OUT/],
    [["convert", gguf, "x", "--dtype", "Q9"], /--dtype Q9 is none of/],
    [["convert", gguf, "x", "--dtype", "Q4_K"], /name OUT \*\.gguf/],
    [["convert", gguf, "x", "--shard-bytes", "0.5"], /--shard-bytes 0.5/],
    [["inspect"], /give one PATH/],
    [["inspect", gguf, "--config", "x"], /not both/],
    [["pull"], /give one ORG\/NAME/],
  ] as const) {
    const run = await weir(...args);
    assert.equal(run.code, 2, args.join(" "));
    assert.match(run.errors, message);
  }

  const config = JSON.parse(readFileSync(join(directory, "config.json"), "utf8"));
  writeFileSync(join(directory, "config.json"), JSON.stringify({ ...config, num_hidden_layers: 3 }));
  const lacking = await weir("inspect", directory);
  assert.equal(lacking.code, 1);
  assert.match(lacking.out, /problem +model\.layers\.2\.input_layernorm\.weight \[64\] is missing/);
  assert.match((await weir("convert", directory, join(folder, "never.gguf"))).errors, /is missing/);
  assert.ok(!existsSync(join(folder, "never.gguf")));
});

test("pull fetches a model that opens", async () => {
  const directory = join(folder, "remote");
  writeHuggingFace(directory, smallModel("llama"), { dtype: "F32" });
  const names = ["config.json", "model.safetensors"];
  const server = createServer((request, response) => {
    if (request.url?.startsWith("/api/")) {
      const entries = names.map((path) => {
        const bytes = readFileSync(join(directory, path));
        const lfs = { oid: createHash("sha256").update(bytes).digest("hex"), size: bytes.length };
        return { type: "file", path, size: bytes.length, oid: "", lfs };
      });
      response.end(JSON.stringify(entries));
    } else response.end(readFileSync(join(directory, request.url!.split("/").at(-1)!)));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const to = join(folder, "pulled");
  const run = await weir("pull", "org/name", "--to", to, "--endpoint", endpoint);
  assert.equal(run.code, 0, run.errors);
  assert.match(run.out, /2 files/);
  assert.match(run.errors, /org\/name .*100%/);
  assert.equal((await weir("inspect", to)).code, 0);
  const wrong = await weir("pull", "../name", "--to", to, "--endpoint", endpoint);
  assert.equal(wrong.code, 1);
  assert.match(wrong.errors, /ORG\/NAME/);
  server.closeAllConnections();
  server.close();
});
