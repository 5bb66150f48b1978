// `weir replay` in this process, on the shipped tutor: the same answer, another answer, the answer of an adapter, and what is refused.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { UsageError } from "../src/cli/command.ts";
import replay from "../src/cli/commands/replay.ts";
import { factorsOf, writeAdapter } from "../src/engine/adapter.fixture.ts";
import { openModel } from "../src/engine/open.ts";
import type { GenerateRequest, Receipt } from "../src/engine/types.ts";

const tutor = fileURLToPath(new URL("../models/tutor", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "weir-replay-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const { engine, tokenizer } = await openModel(tutor);
after(() => engine.close());
const width = engine.served.config.hiddenSize;
const [red, blue] = [1, 2].map((seed) =>
  writeAdapter(
    join(folder, `${seed}`),
    factorsOf(seed, { "model.layers.0.mlp.down_proj": [width, engine.served.config.intermediateSize] }),
  ),
);

function receiptOf(request: Partial<GenerateRequest>): Receipt {
  const [events] = engine.generateAll([
    { prompt: tokenizer.encode("12*34="), maxTokens: 8, ignoreEos: true, ...request },
  ]);
  const last = events.at(-1);
  assert.ok(last?.type === "usage");
  return last.receipt;
}

/** Exit code of the command for this receipt, and what it said on standard error. */
async function run(receipt: unknown, ...more: string[]): Promise<{ code: number; said: string }> {
  const path = join(folder, "receipt.json");
  writeFileSync(path, JSON.stringify(receipt));
  const { error } = console;
  let said = "";
  console.error = (line: string) => {
    said += `${line}\n`;
  };
  try {
    return { code: await replay.run([path, "--model", tutor, ...more]), said };
  } finally {
    console.error = error;
  }
}

test("a receipt's answer is the same again; another seed, answer or weights are noticed", async () => {
  const receipt = receiptOf({ sampling: { temperature: 2 } });
  assert.deepEqual(await run(receipt), { code: 0, said: "" });
  const otherSeed = await run({ ...receipt, seed: receipt.seed + 1 });
  assert.equal(otherSeed.code, 1);
  assert.match(otherSeed.said, /^other answer: /);
  const otherWeights = await run({ ...receipt, weightsHash: "0123456789abcdef" });
  assert.equal(otherWeights.code, 1);
  assert.match(otherWeights.said, /^other weights: .* 0123456789ab…/);
  await assert.rejects(run({ prompt: [1] }), UsageError);
  await assert.rejects(run(null), UsageError);
});

test("an adapter's answer needs the adapter, and that very one", async () => {
  await engine.loadAdapter("red", red);
  const receipt = receiptOf({ adapter: "red" });
  await assert.rejects(run(receipt), (error) => error instanceof UsageError && /--adapter/.test(error.message));
  assert.deepEqual(await run(receipt, "--adapter", red), { code: 0, said: "" });
  const other = await run(receipt, "--adapter", blue);
  assert.equal(other.code, 1);
  assert.match(other.said, /^other adapter: .*\nother answer: /);
});
