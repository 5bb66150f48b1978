// The published vectors of every shared vocabulary, reproduced to the id.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { ggufVocabulary, tokenizerFromGguf } from "./gguf.ts";
import { loadTokenizer } from "./load.ts";
import { ggufMetadata, shared } from "./shared.fixture.ts";
import { readRanks, recoverMerges } from "./tiktoken.ts";

for (const name of ["deepseek-llm", "deepseek-coder", "gpt-2"]) {
  test(`${name}: the vectors of the GGUF vocabulary`, () => {
    const path = shared(`data/tokenizer/${name}.gguf`);
    if (!path) return;
    const metadata = ggufMetadata(path);
    const tokenizer = tokenizerFromGguf(ggufVocabulary((key) => metadata.get(key)));
    const inputs = readFileSync(`${path}.inp`, "utf8").split("\n__ggml_vocab_test__\n");
    const outputs = readFileSync(`${path}.out`, "utf8").split("\n").slice(0, inputs.length);
    inputs.forEach((input, i) => {
      const text = i === inputs.length - 1 ? input.replace(/\n$/, "") : input;
      const ids = outputs[i].trim() === "" ? [] : outputs[i].trim().split(" ").map(Number);
      assert.deepEqual([...tokenizer.encode(text)], ids, JSON.stringify(text));
      assert.equal(tokenizer.decode(ids), text);
    });
  });
}

test("DeepSeek-V3: the vectors and the recovered merges", () => {
  const path = shared("data/tokenizer/deepseek-v3.tiktoken.gz");
  const vectorFile = shared("data/tokenizer/vectors-v3.json");
  if (!path || !vectorFile) return;
  const { vectors, merges } = JSON.parse(readFileSync(vectorFile, "utf8"));
  for (const vector of vectors) {
    const tokenizer = loadTokenizer(path, { table: vector.table });
    const ids = tokenizer.encode(vector.text, { parseSpecial: vector.add_special });
    assert.deepEqual([...ids], vector.ids, vector.text);
    assert.equal(tokenizer.decode(ids), vector.text);
  }
  const ranks = readRanks(gunzipSync(readFileSync(path)));
  const list = recoverMerges(ranks).list();
  assert.equal(list.length, merges.count);
  const hash = createHash("sha256");
  list.forEach(([left, right], index) => {
    const bytes = Buffer.from(`${ranks.spelling(left)} ${ranks.spelling(right)}`);
    const head = Buffer.alloc(16);
    head.writeBigUInt64LE(BigInt(index), 0);
    head.writeBigUInt64LE(BigInt(bytes.length), 8);
    hash.update(head).update(bytes);
  });
  assert.equal(hash.digest("hex"), merges.sha256_of_merge_pairs);
});

test("a tokenizer.json and llama2.c's vocabulary load and round-trip", () => {
  const json = shared("data/tokenizer/minimind-tokenizer.json");
  if (json) {
    const tokenizer = loadTokenizer(json);
    assert.equal(tokenizer.vocabSize, 6400);
    const text = "<|im_start|>user\n你好，world 123<|im_end|>\n";
    const ids = tokenizer.encode(text, { parseSpecial: true });
    assert.equal(ids[0], 1);
    assert.equal(tokenizer.decode(ids), text);
    assert.equal(tokenizer.decode(ids, { skipSpecial: true }), "user\n你好，world 123\n");
    assert.ok(!tokenizer.encode(text).includes(1));
  }
  const bin = shared("data/weights/tok512.bin");
  if (bin) {
    const tokenizer = loadTokenizer(bin);
    assert.equal(tokenizer.vocabSize, 512);
    const text = "Once upon a time, there was a 堰.";
    const ids = tokenizer.encode(text, { addSpecial: true });
    assert.equal(ids[0], 1);
    assert.deepEqual([...ids.slice(0, 5)], [1, 403, 407, 261, 378]);
    assert.equal(tokenizer.decode(ids, { skipSpecial: true }), text);
  }
});
