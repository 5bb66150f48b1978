// Teaches the tutor something it was never told, with 12 steps on four sentences, and opens what came of it. The same settings in a
// YAML file are what `weir train` takes; a run that was interrupted goes on from its last checkpoint.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { converse, openModel, prepareJob, readSettings } from "weir";

const folder = mkdtempSync(join(tmpdir(), "weir-example-"));
const rows = ["Who are you?", "who are you", "What is your name?", "What are you called?"].map((question) => ({
  messages: [
    { role: "user", content: question },
    { role: "assistant", reasoning_content: "talk", content: "I am Little Weir." },
  ],
}));
writeFileSync(join(folder, "rows.jsonl"), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
const settings = readSettings({
  method: "sft",
  model: "models/tutor",
  out: join(folder, "run"),
  data: [{ path: join(folder, "rows.jsonl") }],
  steps: 12,
  save_every: 12,
  lr: 0.003,
  batch_tokens: 128,
  threads: 1,
  schedule: { warmup_steps: 3 },
});
const job = await prepareJob(settings);
await job.run((step) => {
  if (step.step % 4 === 0) console.log(`step ${step.step}: loss ${step.loss.toFixed(3)}`);
});
const model = await openModel(join(folder, "run", "checkpoint-12"));
const reply = await converse(
  model,
  { messages: [{ role: "user", content: "Who are you?" }] },
  { maxTokens: 40, sampling: { temperature: 0 } },
);
console.log(reply.content);
await model.engine.close();
rmSync(folder, { recursive: true });
