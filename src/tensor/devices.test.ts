// Which device is chosen and why: by option, by environment, and in a copy of the package that has no native build or no compiler.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { chooseDevice, openDevice } from "./devices.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const bare = mkdtempSync(join(tmpdir(), "weir-bare-"));
after(() => rmSync(bare, { recursive: true, force: true }));
for (const part of ["bin", "src/cli", "src/tensor", "scripts", "kernels", "package.json"])
  cpSync(join(root, part), join(bare, part), { recursive: true });
symlinkSync(join(root, "node_modules"), join(bare, "node_modules"));

const node = (folder: string, args: string[], environment: Record<string, string> = {}) => {
  const run = spawnSync(process.execPath, args, {
    cwd: folder,
    encoding: "utf8",
    env: { ...process.env, WEIR_DEVICE: "", WEIR_THREADS: "", ...environment },
  });
  return { status: run.status, text: run.stdout + run.stderr };
};
const script = `
  import { chooseDevice } from "./src/tensor/devices.ts";
  import { fill } from "./src/tensor/ops/elementwise.ts";
  import { Program } from "./src/tensor/program.ts";
  const { device, reasons } = await chooseDevice();
  const program = new Program("p");
  program.output(fill(program, [3], 7), "out");
  const executable = device.compile(program);
  executable.run();
  console.log(device.name, device.threads, executable.buffer("out").view()[2], reasons.join("; "));`;
const choose = (folder: string, environment: Record<string, string> = {}) =>
  node(folder, ["--input-type=module", "-e", script], environment);

test("each device can be asked for by name and computes", async () => {
  for (const name of ["native", "wasm", "reference"] as const) {
    const { device, reasons } = await chooseDevice({ device: name, threads: 2 });
    assert.equal(device.name, name);
    assert.match(reasons.join(), /asked for/);
    device.close();
  }
  await assert.rejects(
    openDevice({ device: "abacus" as "wasm" }),
    /there is no device abacus \(asked for\); there are native/,
  );
  await assert.rejects(openDevice({ threads: 0 }), /threads must be a whole number from 1 to 256, not 0/);
});

test("WEIR_DEVICE and WEIR_THREADS decide where nobody asks", () => {
  assert.match(choose(root).text, /^native \d+ 7 native: the best/);
  for (const name of ["native", "wasm"])
    assert.match(
      choose(root, { WEIR_DEVICE: name, WEIR_THREADS: "3" }).text,
      new RegExp(`^${name} 3 7 ${name}: WEIR_DEVICE`),
    );
  assert.match(choose(root, { WEIR_DEVICE: "reference" }).text, /^reference 1 7/);
  assert.match(choose(root, { WEIR_DEVICE: "cuda" }).text, /there is no device cuda \(WEIR_DEVICE\)/);
  assert.match(
    choose(root, { WEIR_THREADS: "many" }).text,
    /WEIR_THREADS must be a whole number from 1 to 256, not many/,
  );
});

test("without a native build everything runs on WebAssembly, and asking for native is an error", () => {
  assert.match(choose(bare).text, /^wasm \d+ 7 native cannot be used: .*; wasm: the best/);
  assert.match(choose(bare, { WEIR_DEVICE: "native" }).text, /the native device \(WEIR_DEVICE\) cannot be used/);
  const doctor = node(bare, ["bin/weir.js", "doctor", "--quick"]);
  assert.equal(doctor.status, 0);
  assert.match(doctor.text, /native +not usable: .*npm run build/);
  assert.match(doctor.text, /device +WebAssembly/);
});

test("without the .wasm files the reference remains", () => {
  const folder = join(bare, "src/tensor/wasm");
  const kept = join(bare, "kept");
  cpSync(folder, kept, { recursive: true });
  rmSync(folder, { recursive: true });
  try {
    assert.match(choose(bare).text, /^reference 1 7 native cannot be used.*wasm cannot be used: .*reference: the best/);
  } finally {
    cpSync(kept, folder, { recursive: true });
  }
});

test("the build without a compiler: an error; in npm's install script a warning", () => {
  const none = { CC: "/nonexistent/cc" };
  const strict = node(bare, ["scripts/build-native.ts"], none);
  assert.equal(strict.status, 1);
  assert.match(strict.text, /no C compiler was found \(tried \/nonexistent\/cc\)/);
  const lenient = node(bare, ["bin/install.js"], none);
  assert.equal(lenient.status, 0);
  assert.match(lenient.text, /the WebAssembly build will be used instead/);
  assert.match(
    node(bare, ["bin/weir.js", "doctor", "--quick"], none).text,
    /compiler +none \(tried \/nonexistent\/cc\)/,
  );
});
