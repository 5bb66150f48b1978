// Weir as npm installs it into somebody's project: packed, unpacked below node_modules, where Node strips no types, and run there
// without the network: the command, npm's install script, and a program that imports the package.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import * as face from "../src/index.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const project = mkdtempSync(join(tmpdir(), "weir-installed-"));
const home = join(project, "node_modules", "weir");
after(() => rmSync(project, { recursive: true, force: true }));

/** Runs a command in the project as a user would: without this process's NODE_OPTIONS. */
function run(command: string, args: string[], env: Record<string, string> = {}) {
  const { NODE_OPTIONS: _, ...own } = process.env;
  const done = spawnSync(command, args, {
    cwd: project,
    encoding: "utf8",
    env: { ...own, WEIR_HOME: join(project, "home"), ...env },
  });
  return { status: done.status, out: done.stdout, text: `${done.stdout}${done.stderr}` };
}

test("npm packs what is needed", () => {
  const packed = run("npm", ["pack", root, "--ignore-scripts", "--silent", "--offline", "--pack-destination", project]);
  assert.equal(packed.status, 0, packed.text);
  mkdirSync(home, { recursive: true });
  const archive = readdirSync(project).find((name) => name.endsWith(".tgz")) as string;
  assert.equal(run("tar", ["xzf", archive, "-C", home, "--strip-components=1"]).status, 0);
  assert.ok(existsSync(join(home, "src/cli/main.ts")) && existsSync(join(home, "kernels")));
  const files = readdirSync(home, { recursive: true, encoding: "utf8" });
  assert.deepEqual(
    files.filter((name) => /\.(test|slow|fixture)\.ts$|(^|\/)testing(\/|\.ts$)/.test(name)),
    [],
    "what only tests use stays at home",
  );
  const { dependencies } = JSON.parse(readFileSync(join(home, "package.json"), "utf8"));
  for (const name of Object.keys(dependencies)) {
    const link = join(project, "node_modules", name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(root, "node_modules", name), link);
  }
});

test("the command starts, and its threads do", () => {
  const weir = (...args: string[]) => run(process.execPath, [join(home, "bin/weir.js"), ...args]);
  const help = weir("--help");
  assert.equal(help.status, 0, help.text);
  assert.match(help.text, /Usage: weir COMMAND/);
  assert.doesNotMatch(help.text, /Experimental/);
  const doctor = run(process.execPath, [join(home, "bin/weir.js"), "doctor"], { WEIR_THREADS: "2" });
  assert.equal(doctor.status, 0, doctor.text);
  // Nothing was built here; the WebAssembly device starts a second thread, whose entry is TypeScript too.
  assert.match(doctor.text, /device +WebAssembly/);
});

test("npm's install script runs there and does not fail an installation without a compiler", () => {
  const { scripts } = JSON.parse(readFileSync(join(home, "package.json"), "utf8"));
  const [command, file] = scripts.install.split(" ");
  assert.equal(command, "node");
  const done = run(process.execPath, [join(home, file)], { CC: "/nonexistent/cc" });
  assert.equal(done.status, 0, done.text);
  assert.match(done.text, /the WebAssembly build will be used instead/);
});

test("a program imports the package, every public name of it, and runs an engine in a thread", () => {
  writeFileSync(
    join(project, "program.mjs"),
    `import * as weir from "weir";
const engine = await weir.WorkerEngine.open("node_modules/weir/models/tutor");
let tokens = 0;
const grammar = { type: "regex", pattern: "[0-9]{3}" };
for await (const event of engine.submit({ prompt: [0, 3, 20], maxTokens: 3, grammar })) if (event.type === "token") tokens++;
await engine.close();
console.log(JSON.stringify({ tokens, names: Object.keys(weir).sort() }));
`,
  );
  const done = run(process.execPath, ["program.mjs"]);
  assert.equal(done.status, 0, done.text);
  assert.deepEqual(JSON.parse(done.out), { tokens: 3, names: Object.keys(face).sort() });
});
