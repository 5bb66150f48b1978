// weir tokenizer train and weir tokenize, run as commands.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

function weir(args: string[], input: string): { status: number | null; out: string; error: string } {
  const bin = fileURLToPath(new URL("../bin/weir.js", import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [bin, ...args], { input, encoding: "utf8" });
  return { status, out: stdout, error: stderr };
}

test("a vocabulary is trained, and text becomes ids and text again", () => {
  const directory = mkdtempSync(join(tmpdir(), "weir-tokenize-"));
  try {
    const text = join(directory, "text.jsonl");
    writeFileSync(text, `${JSON.stringify({ text: "the weir 都江堰 the weir 都江堰" })}\n`.repeat(3));
    const out = join(directory, "model");
    const trained = weir(["tokenizer", "train", "--vocab-size", "290", "--single-digits", "--out", out, text], "");
    assert.equal(trained.status, 0, trained.error);

    const words = " the weir <｜User｜> 都江堰 123\n";
    const plain = weir(["tokenize", "--tokenizer", out], words);
    assert.equal(plain.status, 0, plain.error);
    const ids = JSON.parse(plain.out) as number[];
    assert.ok(!ids.includes(3));
    assert.equal(weir(["tokenize", "--tokenizer", join(out, "tokenizer.json"), "--decode"], plain.out).out, words);
    const special = weir(["tokenize", "--tokenizer", out, "--special"], words);
    assert.equal((JSON.parse(special.out) as number[]).filter((id) => id === 3).length, 1);
    assert.equal(weir(["tokenize", "--tokenizer", out, "--decode"], special.out).out, words);

    const mistakes: [string[], string, RegExp][] = [
      [["tokenize"], "", /--tokenizer PATH is missing/],
      [["tokenize", "--tokenizer", out, "--decode"], "x", /JSON array of ids/],
      [["tokenizer", "train", "--out", out, "--vocab-size", "9x", text], "", /'9x'/],
      [["tokenizer", "bake"], "", /'bake'/],
    ];
    for (const [args, input, message] of mistakes) {
      const { status, error } = weir(args, input);
      assert.equal(status, 2);
      assert.match(error, message);
    }
    assert.equal(weir(["tokenize", "--tokenizer", join(out, "none")], "").status, 1);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("a GGUF file's vocabulary", () => {
  const path = fileURLToPath(new URL("../../shared/data/tokenizer/deepseek-coder.gguf", import.meta.url));
  if (!existsSync(path)) {
    console.log("# ../shared/data is not here: reading a GGUF vocabulary by command is not proven in this run");
    return;
  }
  assert.equal(weir(["tokenize", "--tokenizer", path], "Hello world").out, "[17535,1835]\n");
});
