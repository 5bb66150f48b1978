// Builds the C kernels as a Node addon, build/native/weir-PLATFORM-ARCH.node, with whatever C compiler is there. Run by npm's install
// script with --if-possible: without a compiler it says so and leaves the work to the WebAssembly build. --force builds although
// nothing changed; --keep-going leaves out files that do not compile (their instructions are then missing), for work on kernels.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const kernels = join(root, "kernels");

/** Files compiled once; every other kernels/*.c is a family of kernels, compiled once per instruction set. */
const RUNTIME = new Set(["runtime.c", "addon.c", "probe.c"]);
const NOT_NATIVE = new Set(["wasm.c"]);
export const FLAGS = [
  "-O3",
  "-std=c17",
  "-fno-math-errno",
  "-ffp-contract=off",
  "-fno-strict-aliasing",
  "-Wall",
  "-Wextra",
];

export const ISAS: Record<string, { name: string; flags: string[] }[]> = {
  x64: [
    { name: "base", flags: [] },
    { name: "avx2", flags: ["-mavx2", "-mfma", "-mf16c"] },
  ],
  arm64: [{ name: "neon", flags: [] }],
};

export const addonPath = (): string => join(root, "build", "native", `weir-${process.platform}-${process.arch}.node`);

/** The first compiler that answers, CC before all. */
function findCompiler(): string | undefined {
  const asked = process.env.CC;
  for (const name of asked ? [asked] : ["cc", "clang", "gcc", "clang-19"]) {
    const [command, ...args] = name.split(" ");
    if (spawnSync(command, [...args, "--version"], { stdio: "ignore" }).status === 0) return name;
  }
  return undefined;
}

/** Directories that may hold node_api.h: the npm package, in this package or the one that installed it. */
function headers(): string | undefined {
  try {
    const entry = fileURLToPath(import.meta.resolve("node-api-headers"));
    const include = join(entry, "..", "include");
    return existsSync(join(include, "node_api.h")) ? include : undefined;
  } catch {
    return undefined;
  }
}

interface Unit {
  source: string;
  object: string;
  flags: string[];
}

function compile(compiler: string, unit: Unit): Promise<string> {
  const [command, ...first] = compiler.split(" ");
  const child = spawn(command, [...first, ...unit.flags, "-c", unit.source, "-o", unit.object], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let messages = "";
  child.stderr.on("data", (text) => (messages += text));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) =>
      code === 0 ? resolve(messages) : reject(new Error(`${basename(unit.source)} does not compile:\n${messages}`)),
    );
  });
}

/** Compiles what changed and links. Returns the addon's path; `log` gets warnings and a line on what was done. */
export async function buildNative(
  log: (line: string) => void,
  { force = false, keepGoing = false } = {},
): Promise<string> {
  const isas = ISAS[process.arch];
  if (!isas) throw new Error(`there are no native kernels for ${process.arch}`);
  const compiler = findCompiler();
  if (!compiler) throw new Error("no C compiler was found (tried CC, cc, clang, gcc)");
  const include = headers();
  if (!include) throw new Error("the package node-api-headers is not installed");

  const version = spawnSync(compiler.split(" ")[0], ["--version"], { encoding: "utf8" }).stdout.split("\n")[0];
  const shared = createHash("sha256");
  shared.update(JSON.stringify([compiler, version, FLAGS, isas]));
  for (const file of globSync("*.{h,def,inc}", { cwd: kernels }).sort())
    shared.update(readFileSync(join(kernels, file)));
  const common = shared.digest("hex");

  const target = addonPath();
  const objects = join(root, "build", "native", "objects");
  mkdirSync(objects, { recursive: true });
  const pic = process.platform === "win32" ? [] : ["-fPIC", "-fvisibility=hidden", "-pthread"];
  const units: Unit[] = [];
  for (const file of globSync("*.c", { cwd: kernels }).sort()) {
    if (NOT_NATIVE.has(file)) continue;
    const source = join(kernels, file);
    const variants = RUNTIME.has(file) ? [{ name: "", flags: ["-I", include] }] : isas;
    for (const { name, flags } of variants) {
      const all = [...FLAGS, ...pic, ...flags, ...(name ? [`-DWEIR_ISA=${name}`] : [])];
      const hash = createHash("sha256").update(common).update(JSON.stringify(all)).update(readFileSync(source));
      const object = join(objects, `${file.slice(0, -2)}-${name || "once"}-${hash.digest("hex").slice(0, 16)}.o`);
      units.push({ source, object, flags: all });
    }
  }
  const stamp = `${target}.stamp`;
  const wanted = units.map((unit) => basename(unit.object)).join("\n");
  if (!force && existsSync(target) && existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return target;

  const begin = performance.now();
  const waiting = units.filter((unit) => force || !existsSync(unit.object));
  const count = waiting.length;
  const worker = async (): Promise<void> => {
    for (let unit = waiting.shift(); unit; unit = waiting.shift()) {
      const temporary = `${unit.object}.${process.pid}`;
      try {
        const messages = await compile(compiler, { ...unit, object: temporary });
        if (messages) log(messages.trimEnd());
        renameSync(temporary, unit.object);
      } catch (error) {
        if (!keepGoing) throw error;
        log((error as Error).message);
        units.splice(units.indexOf(unit), 1);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.max(2, availableParallelism()) }, worker));

  const temporary = `${target}.${process.pid}`;
  const [command, ...first] = compiler.split(" ");
  const dynamic =
    process.platform === "darwin"
      ? ["-bundle", "-undefined", "dynamic_lookup"]
      : ["-shared", "-pthread", "-Wl,-z,nodelete"];
  const link = spawnSync(command, [...first, ...dynamic, "-o", temporary, ...units.map((unit) => unit.object)], {
    encoding: "utf8",
  });
  if (link.status !== 0) throw new Error(`the addon does not link:\n${link.stderr}`);
  renameSync(temporary, target);
  writeFileSync(`${stamp}.${process.pid}`, units.map((unit) => basename(unit.object)).join("\n"));
  renameSync(`${stamp}.${process.pid}`, stamp);
  const kept = new Set(units.map((unit) => basename(unit.object)));
  for (const name of globSync("*.o", { cwd: objects })) {
    const old = join(objects, name); // young ones may belong to a build that runs beside this one
    if (!kept.has(name) && Date.now() - statSync(old).mtimeMs > 3600_000) rmSync(old, { force: true });
  }
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  log(`built ${basename(target)} with ${version} (${count} of ${units.length} files compiled, ${seconds} s)`);
  return target;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const optional = process.argv.includes("--if-possible");
  try {
    await buildNative((line) => console.log(line), {
      force: process.argv.includes("--force"),
      keepGoing: process.argv.includes("--keep-going"),
    });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (!optional) {
      console.error(`build-native: ${message}`);
      process.exit(1);
    }
    console.warn(`weir: the native kernels were not built; the WebAssembly build will be used instead. ${message}`);
  }
}
