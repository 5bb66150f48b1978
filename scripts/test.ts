// Runs the test suite with node:test: every *.test.ts under src/ and test/, or with --slow the *.slow.ts proofs.
// Further arguments name files to run instead.
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";

const args = process.argv.slice(2);
const slow = args.includes("--slow");
const named = args.filter((arg) => !arg.startsWith("--"));
const pattern = slow ? "**/*.slow.ts" : "**/*.test.ts";
const files =
  named.length > 0 ? named : ["src", "test", "scripts", "web"].flatMap((root) => globSync(`${root}/${pattern}`));
if (files.length === 0) {
  console.error(`no test file matches ${pattern}`);
  process.exit(1);
}
const flags = ["--test", `--test-concurrency=${slow ? 1 : 2}`, "--test-reporter=spec"];
const run = spawnSync(process.execPath, [...flags, ...files.sort()], { stdio: "inherit" });
process.exit(run.status ?? 1);
