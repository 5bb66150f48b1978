// What the builds of the C kernels share: which files there are, flags, and a cache of object files. build-native.ts and
// build-wasm.ts decide targets and link.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));
export const kernelFolder = join(root, "kernels");

export const FLAGS = [
  "-O3",
  "-std=c17",
  "-fno-math-errno",
  "-ffp-contract=off",
  "-fno-strict-aliasing",
  "-Wall",
  "-Wextra",
];

/** Files that are no family of kernels: compiled once, and only where they belong. */
const HOSTS = new Set(["runtime.c", "addon.c", "probe.c", "wasm.c"]);

/** The families of kernels, each compiled once per instruction set. */
export const families = (): string[] =>
  globSync("*.c", { cwd: kernelFolder })
    .filter((file) => !HOSTS.has(file))
    .sort();

/** One hash over everything in kernels/ that can change a build. */
export function sourceHash(): string {
  const hash = createHash("sha256").update(JSON.stringify(FLAGS));
  for (const file of globSync("*.{c,h,def,inc}", { cwd: kernelFolder }).sort())
    hash.update(file).update(readFileSync(join(kernelFolder, file)));
  return hash.digest("hex");
}

export interface Unit {
  /** File name in kernels/. */
  file: string;
  /** Part of the object's name: the instruction set or variant. */
  variant: string;
  flags: string[];
}

function compile(compiler: string[], flags: string[], source: string, object: string): Promise<string> {
  const [command, ...first] = compiler;
  const child = spawn(command, [...first, ...FLAGS, ...flags, "-c", source, "-o", object], {
    stdio: ["ignore", "ignore", "pipe"],
    cwd: kernelFolder,
  });
  let messages = "";
  child.stderr.on("data", (text) => (messages += text));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) =>
      code === 0 ? resolve(messages) : reject(new Error(`kernels/${source} does not compile:\n${messages}`)),
    );
  });
}

/**
 * Compiles the units whose object is not in `cache` yet, in parallel. Returns each unit's object and how many were compiled.
 * Compiler warnings go to `log`. With keepGoing a file that does not compile is logged and its object undefined.
 */
export async function compileUnits(
  compiler: string[],
  version: string,
  units: Unit[],
  cache: string,
  { log, force = false, keepGoing = false }: { log: (line: string) => void; force?: boolean; keepGoing?: boolean },
): Promise<{ objects: (string | undefined)[]; compiled: number }> {
  mkdirSync(cache, { recursive: true });
  const shared = createHash("sha256").update(JSON.stringify([compiler, version, FLAGS]));
  for (const file of globSync("*.{h,def,inc}", { cwd: kernelFolder }).sort())
    shared.update(readFileSync(join(kernelFolder, file)));
  const common = shared.digest("hex");
  const paths = units.map(({ file, variant, flags }) => {
    const hash = createHash("sha256")
      .update(common)
      .update(JSON.stringify(flags))
      .update(readFileSync(join(kernelFolder, file)));
    return join(cache, `${basename(file, ".c")}-${variant}-${hash.digest("hex").slice(0, 16)}.o`);
  });
  const size = ({ file }: Unit): number => statSync(join(kernelFolder, file)).size;
  const waiting = units
    .map((unit, i) => ({ unit, path: paths[i] }))
    .filter(({ path }) => force || !existsSync(path))
    .sort((a, b) => size(b.unit) - size(a.unit)); // the long ones first, so that all processors end together
  const compiled = waiting.length;
  const failed = new Set<string>();
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const { unit, path } = next;
      const temporary = `${path}.${process.pid}`;
      try {
        const messages = await compile(compiler, unit.flags, unit.file, temporary);
        if (messages) log(messages.trimEnd());
        renameSync(temporary, path);
      } catch (error) {
        if (!keepGoing) throw error;
        log((error as Error).message);
        failed.add(path);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.max(2, availableParallelism()) }, worker));
  const kept = new Set(paths.map((path) => basename(path)));
  for (const name of globSync("*.o", { cwd: cache })) {
    const old = join(cache, name); // young ones may belong to a build that runs beside this one
    if (!kept.has(name) && Date.now() - statSync(old).mtimeMs > 3600_000) rmSync(old, { force: true });
  }
  return { objects: paths.map((path) => (failed.has(path) ? undefined : path)), compiled };
}
