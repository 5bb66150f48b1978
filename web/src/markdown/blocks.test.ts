// The block cutter: cutting as text arrives gives the same blocks as cutting the finished text, and keeps together what
// belongs together.
import assert from "node:assert/strict";
import { test } from "node:test";
import { BlockCutter, cutBlocks } from "./blocks.ts";

const sample = `# Title

A paragraph
over two lines.

- one
- two

  still two

- three
1. other

\`\`\`ts
const a = 1;

const b = 2;
\`\`\`

$$
x = 1

y = 2
$$

> quote

| a | b |
|---|---|
| 1 | 2 |

last`;

test("blocks join to the text and keep fences, formulas, lists and tables whole", () => {
  const blocks = cutBlocks(sample);
  assert.equal(blocks.join(""), sample);
  assert.ok(blocks.some((block) => block.startsWith("- one") && block.includes("- three")));
  assert.ok(blocks.some((block) => block.startsWith("```ts") && block.includes("const b")));
  assert.ok(blocks.some((block) => block.startsWith("$$") && block.includes("y = 2")));
  assert.ok(blocks.some((block) => block.startsWith("| a") && block.includes("| 1")));
  assert.ok(blocks.length >= 7, String(blocks.length));
});

test("cutting in pieces of any size gives the same blocks", () => {
  for (const step of [1, 2, 3, 7, 50]) {
    const cutter = new BlockCutter();
    const blocks: string[] = [];
    for (let end = step; ; end += step) {
      blocks.push(...cutter.push(sample.slice(0, end)));
      if (end >= sample.length) break;
    }
    assert.deepEqual([...blocks, cutter.tail], cutBlocks(sample), `step ${step}`);
  }
});

test("an unclosed fence and an unclosed formula stay one open block", () => {
  for (const opening of ["```", "~~~~js", "$$", "\\["]) {
    const cutter = new BlockCutter();
    assert.deepEqual(cutter.push(`${opening}\n\na\n\n# b\n\n`), []);
    assert.equal(cutter.tail, `${opening}\n\na\n\n# b\n\n`);
  }
});

test("link definitions keep the text in one piece", () => {
  assert.equal(cutBlocks("see [x]\n\n[x]: https://example.org\n").length, 1);
});
