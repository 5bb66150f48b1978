// `weir forward` and `weir convert` as a user runs them: a model that became GGUF and a directory again gives the same logits to the
// bit, and what forward writes is what the goldens hold.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, mock, test } from "node:test";
import { shared, smallConfigs, smallModel } from "../src/checkpoint/models.fixture.ts";
import { openSafetensors, readTensor, writeSafetensors } from "../src/checkpoint/safetensors.ts";
import { writeHuggingFace } from "../src/checkpoint/write-model.ts";
import { main } from "../src/cli/main.ts";

const folder = mkdtempSync(join(tmpdir(), "weir-forward-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Runs `weir ARGS` in this process; returns its exit code and what it says is wrong. */
async function weir(...args: string[]): Promise<{ code: number; errors: string }> {
  let errors = "";
  const catching = (text: unknown): boolean => {
    errors += text;
    return true;
  };
  const mocks = [
    mock.method(console, "error", catching),
    mock.method(console, "log", () => {}),
    mock.method(process.stderr, "write", catching),
  ];
  try {
    return { code: await main(args), errors };
  } finally {
    for (const method of mocks) method.mock.restore();
  }
}

async function succeeds(...args: string[]): Promise<void> {
  const { code, errors } = await weir(...args);
  assert.equal(code, 0, `${args.join(" ")}: ${errors}`);
}

/** Small files are read whole: every tensor's shape and values. */
function floatsOf(path: string): Map<string, { shape: number[]; values: Float32Array }> {
  const set = openSafetensors(path);
  const found = new Map(
    [...set.tensors].flatMap(([name, tensor]) =>
      tensor.dtype === "F32"
        ? [[name, { shape: tensor.shape, values: new Float32Array(readTensor(tensor).slice().buffer) }] as const]
        : [],
    ),
  );
  set.close();
  return found;
}

function writeIds(path: string, shape: number[], ids: number[]): void {
  const bytes = new Uint8Array(BigInt64Array.from(ids, BigInt).buffer);
  writeSafetensors(path, [{ name: "input_ids", dtype: "I64", shape, read: () => bytes }]);
}

const goldens = shared("goldens");
const models = goldens
  ? "llama qwen2 deepseek-v2-lite deepseek-v2 deepseek-v3 deepseek-v3-flat deepseek-v3.2 deepseek-v4".split(" ")
  : Object.keys(smallConfigs);

test("a model converted to GGUF and back gives the same logits to the bit", async () => {
  for (const name of models) {
    const at = (file: string): string => join(folder, `${name}${file}`);
    let model = at("");
    let vocab = 40;
    if (goldens) {
      model = join(goldens, name);
      vocab = JSON.parse(readFileSync(join(model, "config.json"), "utf8")).vocab_size;
    } else writeHuggingFace(model, smallModel(name), { dtype: "F32" });
    const ids = Array.from({ length: 48 }, (_, i) => (i * i + 7) % vocab);
    writeIds(at(".ids"), [2, 24], ids);
    await succeeds("convert", model, at(".gguf"), "--dtype", "F32");
    await succeeds("convert", at(".gguf"), at("-again"));
    for (const [from, out] of [
      [model, ".first"],
      [at(".gguf"), ".second"],
      [at("-again"), ".third"],
    ])
      await succeeds("forward", "--model", from, "--input", at(".ids"), "--output", at(out), "--hidden");
    const first = readFileSync(at(".first"));
    assert.ok(first.equals(readFileSync(at(".second"))), `${name} as GGUF`);
    assert.ok(first.equals(readFileSync(at(".third"))), `${name} converted back`);
    assert.deepEqual(floatsOf(at(".first")).get("logits")?.shape, [2, 24, vocab]);
  }
});

const norm = (values: Float32Array): number => Math.sqrt(values.reduce((sum, v) => sum + v * v, 0));

/** Every F32 tensor of the file at `path` against the one of its name and shape in `got`, within 1e-4 of its size. */
function near(got: ReturnType<typeof floatsOf>, path: string): void {
  for (const [name, wanted] of floatsOf(path)) {
    const found = got.get(name);
    assert.ok(found, `${name} is missing`);
    assert.deepEqual(found.shape, wanted.shape, name);
    const size = norm(wanted.values);
    const difference = norm(wanted.values.map((v, i) => v - found.values[i]));
    assert.ok(difference <= 1e-4 * (size || 1), `${name}: ${difference} of ${size}`);
  }
}

// V3.2 and V4 too: the command chooses among equal index scores as PyTorch does.
for (const name of goldens ? ["qwen2", "deepseek-v3", "deepseek-v3.2", "deepseek-v4"] : [])
  test(`${name}: logits, hidden states and gradients are the golden's, by its names and shapes`, async () => {
    const model = join(goldens as string, name);
    const [output, grads] = [join(folder, `${name}.out`), join(folder, `${name}.grads`)];
    const input = join(model, "golden.safetensors");
    await succeeds("forward", "--model", model, "--input", input, "--output", output, "--hidden", "--grads", grads);
    near(floatsOf(output), input);
    near(floatsOf(join(grads, "model.safetensors")), join(model, "grads", "model.safetensors"));
  });

test("what cannot be read is refused with file and field", async () => {
  const model = join(folder, "small");
  writeHuggingFace(model, smallModel("llama"), { dtype: "F32" });
  const ids = join(folder, "bad.ids");
  const forward = (): Promise<{ code: number; errors: string }> =>
    weir("forward", "--model", model, "--input", ids, "--output", join(folder, "none"));
  writeIds(ids, [4], [1, 2, 3, 4]);
  assert.match((await forward()).errors, /input_ids must be \[B, T\], not \[4\]/);
  writeIds(ids, [1, 2], [1, 40]);
  assert.match((await forward()).errors, /input_ids\[1\] is 40; the vocabulary has 40 tokens/);
  writeSafetensors(ids, [{ name: "ids", dtype: "U8", shape: [1], read: () => Uint8Array.of(1) }]);
  assert.match((await forward()).errors, /no tensor input_ids/);
  assert.equal((await weir("forward", "--model", model)).code, 2);
});
