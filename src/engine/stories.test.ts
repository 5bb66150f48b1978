// A trained model of somebody else's through the whole way to text: stories260K (llama2.c) with its own 512-token vocabulary.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { shared } from "../checkpoint/models.fixture.ts";
import { tokenizerFromLlama2c } from "../text/sentencepiece.ts";
import { openModel } from "./open.ts";

const weights = shared("data/weights/stories260K.bin");
const vocabulary = shared("data/weights/tok512.bin");

/** How the greedy story begins. */
const STORY =
  "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball. " +
  "She wanted to play with it, but it was too high.";

if (weights !== null && vocabulary !== null)
  test("stories260K tells its story", async () => {
    const own = tokenizerFromLlama2c(readFileSync(vocabulary));
    const tell = async (path: string, device: "native" | "wasm"): Promise<string> => {
      const { engine, tokenizer } = await openModel(path, { device, context: 256 });
      const prompt = tokenizer.encode("Once upon a time", { addSpecial: true });
      assert.deepEqual(prompt, own.encode("Once upon a time", { addSpecial: true }));
      let told = "";
      for await (const event of engine.submit({ prompt, maxTokens: 140, sampling: { temperature: 0 } }))
        if (event.type === "token") told += event.text;
      await engine.close();
      return `Once upon a time${told}`;
    };
    const story = await tell(weights, "native");
    assert.ok(story.startsWith(STORY), story);
    assert.equal(await tell(weights, "wasm"), story);
  });
