// Runs the instruction tests' cases through kernels/testing/driver.c: `asan` (AddressSanitizer and UBSan), `tsan` (ThreadSanitizer),
// `arm64` (cross-compiled, under qemu-aarch64). Each mode also runs kernels/testing/simd.c. The cases are written by the tests in
// src/tensor/ops themselves (WEIR_DUMP), so whatever is tested there is tested here; --reuse takes those of the last time.
import { spawnSync } from "node:child_process";
import { globSync, mkdirSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, join } from "node:path";
import { familyUnits } from "./build-native.ts";
import { compileUnits, kernelFolder, root } from "./kernels.ts";

interface Mode {
  compiler: string[];
  arch: string;
  flags: string[];
  link: string[];
  /** Put before the program's path. */
  run: string[];
  environment: Record<string, string>;
}

const sanitize = (names: string): string[] => ["-g", `-fsanitize=${names}`, "-fno-sanitize-recover=all"];
const MODES: Record<string, Mode> = {
  asan: {
    compiler: ["gcc"],
    arch: process.arch,
    flags: sanitize("address,undefined"),
    link: sanitize("address,undefined"),
    run: [],
    environment: { ASAN_OPTIONS: "detect_leaks=1:abort_on_error=0", UBSAN_OPTIONS: "print_stacktrace=1" },
  },
  tsan: {
    compiler: ["gcc"],
    arch: process.arch,
    flags: sanitize("thread"),
    link: sanitize("thread"),
    // Address randomisation beyond what older runtimes of the sanitizer can map makes them give up at once.
    run: ["setarch", "-R"],
    environment: { TSAN_OPTIONS: "halt_on_error=1" },
  },
  arm64: {
    compiler: ["aarch64-linux-gnu-gcc"],
    arch: "arm64",
    flags: [],
    link: ["-static"],
    run: ["qemu-aarch64"],
    environment: {},
  },
};

function must(command: string[], environment: Record<string, string> = {}): void {
  const run = spawnSync(command[0], command.slice(1), { stdio: "inherit", env: { ...process.env, ...environment } });
  if (run.status === 0) return;
  const why = run.error?.message ?? (run.signal ? `was ended by ${run.signal}` : `ended with ${run.status}`);
  throw new Error(`${basename(command[0])} ${command.length > 8 ? "…" : command.slice(1).join(" ")} ${why}`);
}

/** Has the tests write their cases; returns the files. */
function writeCases(folder: string, reuse: boolean): string[] {
  if (!reuse) rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const tests = reuse ? [] : globSync("src/tensor/ops/*.test.ts", { cwd: root });
  if (!reuse)
    must([process.execPath, "--test", "--test-reporter=dot", ...tests.map((file) => join(root, file))], {
      WEIR_DUMP: folder,
    });
  const cases = globSync("*.case", { cwd: folder }).sort();
  if (cases.length === 0) throw new Error("the tests wrote no case");
  return cases.map((file) => join(folder, file));
}

async function drive(name: string, mode: Mode, cases: string[]): Promise<void> {
  const folder = join(root, "build", `drive-${name}`);
  mkdirSync(folder, { recursive: true });
  const version = spawnSync(mode.compiler[0], ["--version"], { encoding: "utf8" }).stdout;
  if (!version) throw new Error(`${mode.compiler[0]} is not installed`);
  const units = [
    ...familyUnits(mode.arch),
    { file: "runtime.c", variant: "once", flags: [] },
    { file: "testing/driver.c", variant: "once", flags: [] },
  ].map((unit) => ({ ...unit, flags: [...unit.flags, "-pthread", ...mode.flags] }));
  const { objects } = await compileUnits(mode.compiler, version.split("\n")[0], units, join(folder, "objects"), {
    log: (line) => console.log(line),
  });
  const program = join(folder, "driver");
  must([...mode.compiler, "-pthread", ...mode.link, "-o", program, ...(objects as string[]), "-lm"]);
  for (const { variant, flags } of familyUnits(mode.arch).filter(({ file }) => file === "elementwise.c")) {
    const simd = join(folder, `simd-${variant}`);
    const source = join(kernelFolder, "testing", "simd.c");
    must([
      ...mode.compiler,
      "-std=gnu17",
      "-O2",
      "-ffp-contract=off",
      ...flags,
      ...mode.flags,
      ...mode.link,
      "-o",
      simd,
      source,
      "-lm",
    ]);
    must([...mode.run, simd], mode.environment);
  }
  console.log(`${name}: ${cases.length} cases`);
  must([...mode.run, program, ...cases], mode.environment);
}

const names = process.argv.slice(2).filter((name) => name !== "--reuse");
const wrong = names.find((name) => !(name in MODES));
if (names.length === 0 || wrong !== undefined) {
  console.error(`usage: node scripts/drive.ts ${Object.keys(MODES).join("|")}…`);
  process.exit(2);
}
try {
  const begin = performance.now();
  const cases = writeCases(join(root, "build", "cases"), process.argv.includes("--reuse"));
  console.log(`\n${cases.length} cases written (${availableParallelism()} processors)`);
  for (const name of names) await drive(name, MODES[name], cases);
  console.log(`all well after ${((performance.now() - begin) / 1000).toFixed(0)} s`);
} catch (error) {
  console.error(`drive: ${(error as Error).message}`);
  process.exit(1);
}
