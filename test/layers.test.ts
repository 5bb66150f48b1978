// Holds the import direction of docs/architecture.md: a folder imports only from folders below it.
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { test } from "node:test";

const layers: Record<string, string[]> = {
  tensor: [],
  text: [],
  checkpoint: ["text", "tensor"],
  model: ["text", "tensor", "checkpoint"],
  engine: ["model", "checkpoint", "text", "tensor"],
  train: ["engine", "model", "checkpoint", "text", "tensor"],
  recipes: ["train", "engine", "model", "checkpoint", "text", "tensor"],
  server: ["recipes", "train", "engine", "model", "checkpoint", "text", "tensor"],
  apps: ["server", "recipes", "train", "engine", "model", "checkpoint", "text", "tensor"],
  cli: ["apps", "server", "recipes", "train", "engine", "model", "checkpoint", "text", "tensor"],
};

/** The src/ folder that a file belongs to, undefined for the package's own entry src/index.ts. */
const layerOf = (file: string): string | undefined => /^src\/([^/]+)\//.exec(file)?.[1];

/** What tests share, and what only it imports. */
const TESTS_ONLY = /\.(test|slow|fixture)\.ts$|\/testing\/|^src\/tensor\/(testing|dump)\.ts$/;

function importsOf(file: string): string[] {
  const text = readFileSync(file, "utf8");
  const found = [
    ...text.matchAll(/(?:from|import)\s*\(?\s*["'](\.[^"']+)["']/g),
    ...text.matchAll(/new URL\(["'](\.[^"']+\.ts)["']/g),
  ];
  return found.map((match) => normalize(join(dirname(file), match[1])));
}

test("imports point down only", () => {
  const wrong: string[] = [];
  let seen = 0;
  for (const file of globSync("src/**/*.ts")) {
    const layer = layerOf(file);
    if (layer === undefined) continue;
    assert.ok(layer in layers, `${file} lies in a folder that is no layer`);
    if (file.endsWith(".test.ts")) continue;
    const forTests = TESTS_ONLY.test(file);
    for (const target of importsOf(file)) {
      const other = layerOf(target);
      seen++;
      if (!forTests && TESTS_ONLY.test(target)) wrong.push(`${file} -> ${target}`);
      if (other === undefined || (other !== layer && !layers[layer].includes(other)))
        wrong.push(`${file} -> ${target}`);
    }
  }
  assert.ok(seen > 0, "no import was read at all");
  assert.deepEqual(wrong, []);
});

/** What page and server share: shapes of what goes over HTTP, and pure functions over them. */
const SHARED = ["src/server/app/protocol.ts", "src/server/app/tree.ts"];

test("the page knows of the server only what they say to each other", () => {
  const outside = globSync("web/src/**/*.{ts,tsx}").flatMap((file) =>
    importsOf(file).flatMap((target) => (target.startsWith("web/") ? [] : [`${file} -> ${target}`])),
  );
  assert.ok(outside.length > 0, "no import was read at all");
  assert.deepEqual(
    outside.filter((line) => !SHARED.some((shared) => line.endsWith(` -> ${shared}`))),
    [],
  );
});
