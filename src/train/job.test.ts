// `weir train` from files to a model: rows of every layout, settings that are wrong, pretraining, SFT and GRPO through the command
// itself, with exit codes, on a model of a few thousand parameters.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { gzipSync } from "node:zlib";
import { FIM_MARKS } from "../text/chat/fim.ts";
import { chatFormatNamed } from "../text/chat/select.ts";
import { loadTokenizer } from "../text/load.ts";
import { DEFAULT_SPECIALS, tokenizerConfigJson, tokenizerJson, trainByteLevel } from "../text/train.ts";
import { parseSettings, readSettings } from "./config.ts";
import { chatDocument, fimIds } from "./documents.ts";
import { showRow } from "./inspect-data.ts";
import { readMetrics } from "./metrics.ts";
import { bestFit, joined } from "./packing.ts";
import { readRows } from "./rows.ts";
import { DocumentStream } from "./stream.ts";
import { tinyJson } from "./tiny.fixture.ts";

const root = mkdtempSync(join(tmpdir(), "weir-job-"));
after(() => rmSync(root, { recursive: true, force: true }));
const at = (name: string): string => join(root, name);
const weir = (...args: string[]) =>
  spawnSync(process.execPath, ["bin/weir.js", ...args], {
    encoding: "utf8",
    env: { ...process.env, WEIR_THREADS: "1" },
  });

const texts = Array.from({ length: 60 }, (_, i) => `one plus ${i} makes ${i + 1}, said the teacher.`);
const specials = [...DEFAULT_SPECIALS, ...FIM_MARKS];
const vocabulary = trainByteLevel(texts, { vocabSize: 320, singleDigits: true, minCount: 2, specials });
mkdirSync(at("tokenizer"));
writeFileSync(at("tokenizer/tokenizer.json"), JSON.stringify(tokenizerJson(vocabulary)));
writeFileSync(at("tokenizer/tokenizer_config.json"), JSON.stringify(tokenizerConfigJson(vocabulary)));
const tokenizer = loadTokenizer(at("tokenizer"));
const architecture = tinyJson({
  vocab_size: 320,
  max_position_embeddings: 128,
  initializer_range: 0.05,
  bos_token_id: tokenizer.special.bos,
  eos_token_id: tokenizer.special.eos,
});
const lines = (rows: unknown[]): string => rows.map((row) => JSON.stringify(row)).join("\n");

test("rows of every layout are recognised, broken ones named with their number and reason", () => {
  writeFileSync(
    at("mixed.jsonl.gz"),
    gzipSync(
      [
        lines([
          { text: "plain" },
          {
            messages: [
              { role: "user", content: "q" },
              { role: "assistant", content: "a", reasoning_content: "t" },
            ],
          },
          { prompt: "1+1", answer: 2 },
          { instruction: "add", input: "1 1", output: "2" },
          {
            conversations: [
              { from: "human", value: "q" },
              { from: "gpt", value: "a" },
            ],
          },
        ]),
        "{nonsense",
        lines([{ messages: [{ role: "robot", content: "x" }] }, { foo: 1 }, { text: 5 }]),
      ].join("\n"),
    ),
  );
  const { layouts, rows, broken, numbers } = readRows(at("mixed.jsonl.gz"));
  assert.deepEqual(Object.fromEntries(layouts), { text: 1, messages: 1, task: 1, alpaca: 1, sharegpt: 1 });
  assert.deepEqual(numbers, [1, 2, 3, 4, 5]);
  assert.deepEqual(
    broken.map(({ row }) => row),
    [6, 7, 8, 9],
  );
  assert.match(broken[0].reason, /not JSON/);
  assert.match(broken[1].reason, /messages\[0\]\.role is "robot"/);
  assert.match(broken[2].reason, /fields are foo/);
  assert.match(broken[3].reason, /text must be text, not number/);
  assert.equal(rows[1].kind === "chat" && rows[1].conversation.messages[1].reasoningContent, "t");
  assert.equal(rows[3].kind === "chat" && rows[3].conversation.messages[0].content, "add\n\n1 1");
});

test("only what the assistant wrote is learnt, in every turn, its end token included", () => {
  const chat = chatFormatNamed("deepseek-v3");
  const conversation = {
    messages: [
      { role: "user" as const, content: "one plus <｜Assistant｜>" },
      { role: "assistant" as const, content: "makes 1" },
      { role: "user" as const, content: "said" },
      { role: "assistant" as const, content: "teacher" },
    ],
  };
  const { ids, weights } = chatDocument(tokenizer, chat, conversation);
  const learnt = Array.from(ids).filter((_, t) => t > 0 && weights[t - 1] > 0);
  assert.equal(tokenizer.decode(learnt), "makes 1<｜end▁of▁sentence｜>teacher<｜end▁of▁sentence｜>");
  const marks = Array.from(ids).filter((id) => id === tokenizer.idOf("<｜Assistant｜>"));
  assert.equal(marks.length, 2, "a mark in the user's words stays text");
  assert.match(showRow({ kind: "chat", conversation }, tokenizer, chat, false), /⟦makes 1<｜end▁of▁sentence｜>⟧/);
});

test("fill-in-the-middle loses no character", () => {
  let n = 0;
  const ids = fimIds(tokenizer, "one plus two", () => [0.3, 0.7][n++]);
  const text = tokenizer.decode(ids);
  const found = /<｜fim▁begin｜>(.*)<｜fim▁hole｜>(.*)<｜fim▁end｜>(.*)<｜end▁of▁sentence｜>$/.exec(text)!;
  assert.equal(found[1] + found[3] + found[2], "one plus two");
});

test("packing fills rows best-fit; the stream goes on from its position; weights hold", () => {
  assert.deepEqual(bestFit([5, 9, 3, 1, 4], 10), [[1, 3], [0, 4], [2]]);
  assert.throws(() => bestFit([11], 10), /more than the room/);
  const pieces = joined([{ ids: [1, 2, 3] }, { ids: [4, 5], weights: [0.5, 1] }, { ids: [6, 7] }], 4);
  assert.deepEqual(
    pieces.map(({ ids, weights }) => [Array.from(ids), Array.from(weights!)]),
    [
      [
        [1, 2, 3, 4],
        [1, 1, 0, 0.5],
      ],
      [
        [5, 6, 7],
        [0, 1, 0],
      ],
    ],
  );
  const source = (kind: number, weight: number) => ({
    weight,
    count: 10,
    documents: (index: number) => [{ ids: new Int32Array(1 + (index % 7)).fill(kind) }],
  });
  const make = () => new DocumentStream([source(0, 1), source(1, 3)], { seed: 4, room: 20, longest: 10, window: 4 });
  const stream = make();
  let [drawn, ofSecond] = [0, 0];
  for (let i = 0; i < 11; i++) stream.take();
  const position = JSON.parse(JSON.stringify(stream.position));
  const rest = Array.from({ length: 200 }, () => stream.take());
  for (const pack of rest)
    for (const { ids } of pack) {
      drawn++;
      if (ids[0] === 1) ofSecond++;
    }
  assert.ok(Math.abs(ofSecond / drawn - 0.75) < 0.05, `${ofSecond / drawn}`);
  const resumed = make();
  resumed.position = position;
  assert.deepEqual(
    Array.from({ length: 200 }, () => resumed.take()),
    rest,
  );
});

test("wrong settings are named, with the nearest right one", () => {
  const good = { method: "pretrain", out: "x", architecture: {}, tokenizer: "t", data: [{ path: "d" }], steps: 3 };
  assert.equal(readSettings(good).optimizer.kind, "muon");
  assert.throws(() => readSettings({ ...good, stpes: 3 }), /no setting stpes; did you mean steps/);
  assert.throws(() => readSettings({ ...good, grpo: { sampels: 3 } }), /grpo\.sampels; did you mean samples/);
  assert.throws(
    () => readSettings({ ...good, data: [{ path: "d", wieght: 3 }] }),
    /data\.0\.wieght; did you mean weight/,
  );
  assert.throws(() => readSettings({ ...good, steps: "many" }), /steps: /);
  assert.throws(
    () => readSettings({ modle: "m", method: "sft" }),
    /modle; did you mean model\?\n.*out is missing[\s\S]*data is missing/,
  );
  assert.deepEqual(readSettings({ ...good, data: "rows.jsonl" }).data, [{ path: "rows.jsonl", weight: 1 }]);
  assert.throws(() => readSettings({ ...good, model: "m" }), /either model/);
  assert.throws(() => parseSettings("a: [1"), /not YAML/);
});

test("pretrain, then SFT, then GRPO, each from the model before; runs and data check read them", () => {
  writeFileSync(at("text.jsonl"), lines(texts.map((text) => ({ text }))));
  const chats = texts.map((_, i) => ({
    messages: [
      { role: "user", content: `${i % 5}` },
      { role: "assistant", content: `${i % 5}` },
    ],
  }));
  writeFileSync(at("chat.jsonl"), lines(chats));
  writeFileSync(at("task.jsonl"), lines(Array.from({ length: 5 }, (_, i) => ({ prompt: `${i}`, answer: `${i}` }))));
  const settings = (method: string, rest: object): string => {
    const path = at(`${method}.yaml`);
    const common = {
      out: at(`runs/${method}`),
      batch_tokens: 256,
      context: 64,
      lr: 0.01,
      save_every: 10,
      chat_format: "deepseek-v3",
    };
    writeFileSync(path, JSON.stringify({ method, ...common, ...rest }));
    return path;
  };
  const passes = (path: string, ...more: string[]): string => {
    const { status, stdout, stderr } = weir("train", path, ...more);
    assert.equal(status, 0, stderr);
    assert.match(stderr, /memory: .* weights .* gradients .* optimiser .* activations/);
    assert.match(stderr, /time: .*\d/);
    if (!path.includes("grpo")) assert.match(stderr, /tokens\/s {2}\d+ % of peak/);
    return stdout.trim();
  };
  const base = passes(
    settings("pretrain", {
      architecture,
      tokenizer: at("tokenizer"),
      data: [{ path: at("text.jsonl") }],
      steps: 30,
      fim_rate: 0.2,
      ema: 0.8,
      samples: { every: 15, prompts: ["one plus"], max_tokens: 8 },
    }),
  );
  const samples = readFileSync(at("runs/pretrain/samples.jsonl"), "utf8").trim().split("\n");
  assert.deepEqual(
    samples.map((line) => [JSON.parse(line).step, JSON.parse(line).prompt, JSON.parse(line).text.length > 0]),
    [
      [15, "one plus", true],
      [30, "one plus", true],
    ],
  );
  const averaged = JSON.parse(
    weir("eval", join(base, "ema"), "--task", "perplexity", "--data", at("text.jsonl"), "--json").stdout,
  );
  assert.ok(averaged.nats < 6, `the average has learnt: ${averaged.nats} nats`);
  assert.ok(existsSync(join(base, "model.safetensors")) && existsSync(join(base, "tokenizer.json")));
  const loss = readMetrics(at("runs/pretrain")).map((line) => line.loss as number);
  assert.ok(loss.length === 30 && loss[29] < 0.7 * loss[0], `from ${loss[0]} to ${loss[29]}`);
  const again = weir("train", at("pretrain.yaml"));
  assert.equal(again.status, 1, "a run that trains nothing fails");
  assert.match(again.stderr, /nothing to train/);
  const tuned = passes(settings("sft", { model: base, data: [{ path: at("chat.jsonl") }], steps: 40 }));
  const adapted = passes(
    settings("sft", {
      out: at("runs/lora"),
      model: base,
      data: [{ path: at("chat.jsonl") }],
      steps: 10,
      lora: { rank: 4 },
    }),
  );
  assert.ok(existsSync(join(adapted, "adapter_model.safetensors")) && !existsSync(join(adapted, "model.safetensors")));
  const more = passes(at("sft.yaml"), "--set", "steps=12");
  assert.equal(readMetrics(at("runs/lora")).length, 12, "goes on from its adapter");
  assert.ok(existsSync(join(more, "adapter_config.json")));
  const grpo = { prompts: 4, samples: 4, max_tokens: 4, top_k: 12, top_p: 0.9, rewards: [{ name: "exact" }] };
  passes(settings("grpo", { model: tuned, data: [{ path: at("task.jsonl") }], steps: 4, lr: 1e-3, grpo }));
  const [first] = readMetrics(at("runs/grpo"));
  assert.ok(first.ratioDeviation === null || (first.ratioDeviation as number) <= 1e-4, `${first.ratioDeviation}`);
  const figures = JSON.parse(weir("eval", base, "--task", "perplexity", "--data", at("text.jsonl"), "--json").stdout);
  assert.ok(figures.nats < loss[0] && figures.perplexity > 1 && figures.documents === 60, JSON.stringify(figures));
  const exact = weir(
    "eval",
    tuned,
    "--task",
    "exact",
    "--data",
    at("task.jsonl"),
    "--samples",
    "4",
    "--max-tokens",
    "4",
  );
  assert.match(exact.stdout, /95 % interval .* of 5 problems × 4[\s\S]*pass@4/, exact.stderr);
  const listed = weir("runs", at("runs"), "--metric", "loss", "--svg", at("loss.svg"), "--html", at("runs.html"));
  assert.match(listed.stdout, /pretrain .*30\/30 .*▁/);
  assert.match(readFileSync(at("loss.svg"), "utf8"), /<polyline/);
  const page = readFileSync(at("runs.html"), "utf8");
  for (const text of ["<h1>", "parts.exact", "tokensPerSecond", "grpo.samples", "one plus"])
    assert.ok(page.includes(text), text);
  assert.ok(!/<script|http/.test(page.replaceAll("http://www.w3.org/2000/svg", "")), "the page stands alone");
  const checked = weir("data", "check", at("mixed.jsonl.gz"), "--model", base, "--chat-format", "deepseek-v3");
  assert.equal(checked.status, 1, "broken rows give a failing exit code");
  assert.match(checked.stdout, /row 7: messages\[0\]\.role is "robot"/);
  const wrong = weir("train", at("sft.yaml"), "--set", "stpes=3");
  assert.equal(wrong.status, 2);
  assert.match(wrong.stderr, /did you mean steps/);
});
