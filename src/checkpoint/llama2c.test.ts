// llama2.c files: layout, sizes, and the published stories260K where it is there.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ggufVocabulary, tokenizerFromGguf } from "../text/gguf.ts";
import { tokenizerFromLlama2c } from "../text/sentencepiece.ts";
import { CheckpointError } from "./errors.ts";
import { openCheckpoint } from "./model-directory.ts";
import { inTemporaryFolder, randomNumbers, shared } from "./models.fixture.ts";
import { checkTensors } from "./tensors.ts";
import { writeGgufModel } from "./write-model.ts";

/** dim 8, hidden 12, 2 layers, 2 heads, 1 for keys, 10 tokens, 4 positions; the n-th float is n. */
function smallFile(vocab: number): Uint8Array {
  const floats = 10 * 8 + 2 * (8 + 64 + 32 + 32 + 64 + 8 + 96 + 96 + 96) + 8 + 4 * 4 + (vocab < 0 ? 80 : 0);
  const bytes = new Uint8Array(28 + 4 * floats);
  new Int32Array(bytes.buffer, 0, 7).set([8, 12, 2, 2, 1, vocab, 4]);
  new Float32Array(bytes.buffer, 28).set(Float32Array.from({ length: floats }, (_, i) => i));
  return bytes;
}

test("weights lie where llama2.c puts them, query and key rows in halves", () => {
  inTemporaryFolder((folder) => {
    const path = join(folder, "small.bin");
    writeFileSync(path, smallFile(10));
    const found = openCheckpoint(path);
    checkTensors(found.config, (name) => (found.has(name) ? found.info(name).shape : undefined), path);
    assert.equal(found.config.tieWordEmbeddings, true);
    assert.equal(found.load("model.layers.1.input_layernorm.weight")[0], 88);
    // Layer 0's queries begin at 80 + 16; heads of four rows by pairs 0 2 | 1 3 become halves.
    const q = found.load("model.layers.0.self_attn.q_proj.weight");
    assert.deepEqual(
      [0, 8, 16, 24, 32].map((i) => q[i]),
      [96, 112, 104, 120, 128],
    );
    assert.deepEqual(
      [0, 8].map((i) => found.load("model.layers.0.self_attn.v_proj.weight")[i]),
      [288, 296],
    );
    assert.equal(found.tokenizer, null);
    found.close();
    writeFileSync(path, smallFile(-10));
    const untied = openCheckpoint(path);
    assert.equal(untied.load("lm_head.weight").length, 80);
    untied.close();
  });
});

test("a header that disagrees with the size is refused, mutations never do worse", () => {
  inTemporaryFolder((folder) => {
    const path = join(folder, "x.bin");
    const random = randomNumbers(5);
    for (let i = 0; i < 500; i++) {
      const bytes = smallFile(i % 2 === 0 ? 10 : -10);
      bytes[Math.floor(random() * 28)] = Math.floor(random() * 256);
      writeFileSync(path, bytes.subarray(0, i % 5 === 0 ? Math.floor(random() * bytes.length) : bytes.length));
      try {
        openCheckpoint(path).close();
      } catch (error) {
        assert.ok(error instanceof CheckpointError, String(error));
      }
    }
  });
});

test("stories260K opens with its vocabulary and crosses into GGUF unchanged", () => {
  const path = shared("data/weights/stories260K.bin");
  if (path === null) return;
  const found = openCheckpoint(path);
  assert.ok(found.tokenizer?.kind === "gguf");
  const { vocabulary } = found.tokenizer;
  const mine = tokenizerFromGguf(ggufVocabulary((key) => vocabulary.get(key)));
  const direct = tokenizerFromLlama2c(readFileSync(shared("data/weights/tok512.bin")!));
  const text = "Once upon a time, Lily saw a 中 bird.";
  assert.deepEqual(mine.encode(text, { addSpecial: true }), direct.encode(text, { addSpecial: true }));
  inTemporaryFolder((folder) => {
    const file = join(folder, "stories.gguf");
    writeGgufModel(file, found);
    const again = openCheckpoint(file);
    for (const name of found.tensorNames) assert.deepEqual(again.load(name), found.load(name), name);
    assert.ok(again.tokenizer?.kind === "gguf");
    assert.equal(again.tokenizer.vocabulary.get("tokenizer.ggml.model"), "llama");
    again.close();
  });
  found.close();
});
