// The programs of examples/ as a reader would run them: each ends well and prints what its first lines promise.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const root = fileURLToPath(new URL("..", import.meta.url));

const EXPECTED: Record<string, RegExp> = {
  "ask.ts": /34\*12=408\n\n.*\\boxed\{408\}[\s\S]*finished by stop\nreceipt: weights [0-9a-f]{12}…, seed -?\d+\n$/,
  "check.ts": /^✓ 3x=20-5 *\n✗ 20-5=14 It should be 20-5=15, not 14\.\n[\s\S]*14\/3 is wrong\n5 is right\n$/,
  "embed.ts": /^0\.\d{3} 3x\+5=20\n(-?\d\.\d{3} .+\n){2}$/,
  "json.ts": /^\{ right: (true|false), steps: \[[ \d,-]*\] \}\n$/,
  "train.ts": /step 12: loss 0\.\d+\nI am Little Weir\.\n$/,
};

test("every example is run here", () => {
  assert.deepEqual(
    readdirSync(`${root}examples`)
      .filter((name) => name.endsWith(".ts"))
      .sort(),
    Object.keys(EXPECTED),
  );
});

for (const [name, expected] of Object.entries(EXPECTED)) {
  test(name, async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [`examples/${name}`], { cwd: root });
    assert.match(stdout, expected);
  });
}
