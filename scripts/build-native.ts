// Builds the C kernels as a Node addon, build/native/weir-PLATFORM-ARCH.node, with whatever C compiler is there. Run by npm's install
// script (bin/install.js), which leaves the work to the WebAssembly build where there is no compiler. --force builds although
// nothing changed; --keep-going leaves out files that do not compile (their instructions are then missing), for work on kernels.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { compilerNames, findCompiler } from "../src/tensor/compiler.ts";
import { compileUnits, families, root, sourceHash, type Unit } from "./kernels.ts";

export const ISAS: Record<string, { name: string; flags: string[] }[]> = {
  x64: [
    { name: "base", flags: [] },
    { name: "avx2", flags: ["-mavx2", "-mfma", "-mf16c"] },
  ],
  arm64: [{ name: "neon", flags: [] }],
};

/** One unit per family and instruction set of `arch`. */
export const familyUnits = (arch: string): Unit[] =>
  families().flatMap((file) =>
    ISAS[arch].map(({ name, flags }) => ({ file, variant: name, flags: [...flags, `-DWEIR_ISA=${name}`] })),
  );

/** The folder that holds node_api.h, from the npm package. */
function headers(): string | undefined {
  try {
    const include = join(fileURLToPath(import.meta.resolve("node-api-headers")), "..", "include");
    return existsSync(join(include, "node_api.h")) ? include : undefined;
  } catch {
    return undefined;
  }
}

/** Builds what changed; returns the addon's path. `log` gets warnings and a line on what was done. Throws when it cannot. */
export async function buildNative(
  log: (line: string) => void,
  { force = false, keepGoing = false } = {},
): Promise<string> {
  if (!ISAS[process.arch]) throw new Error(`there are no native kernels for ${process.arch}`);
  const compiler = findCompiler();
  if (!compiler) throw new Error(`no C compiler was found (tried ${compilerNames().join(", ")})`);
  const include = headers();
  if (!include) throw new Error("the package node-api-headers is not installed");

  const folder = join(root, "build", "native");
  const target = join(folder, `weir-${process.platform}-${process.arch}.node`);
  const stamp = `${target}.stamp`;
  const wanted = `${sourceHash()} ${compiler.command.join(" ")} ${compiler.version}`;
  if (!force && existsSync(target) && existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return target;

  const begin = performance.now();
  const pic = process.platform === "win32" ? [] : ["-fPIC", "-fvisibility=hidden", "-pthread"];
  const hosts = ["runtime.c", "addon.c", "probe.c"].map((file) => ({ file, variant: "once", flags: ["-I", include] }));
  const units = [...hosts, ...familyUnits(process.arch)].map((unit) => ({ ...unit, flags: [...pic, ...unit.flags] }));
  const cache = join(folder, "objects");
  mkdirSync(cache, { recursive: true });
  const { command, version } = compiler;
  const { objects: made, compiled } = await compileUnits(command, version, units, cache, { log, force, keepGoing });

  const objects = made.filter((object) => object !== undefined);
  const temporary = `${target}.${process.pid}`;
  const shared =
    process.platform === "darwin"
      ? ["-bundle", "-undefined", "dynamic_lookup"]
      : ["-shared", "-pthread", "-Wl,-z,nodelete"];
  const link = spawnSync(command[0], [...command.slice(1), ...shared, "-o", temporary, ...objects], {
    encoding: "utf8",
  });
  if (link.status !== 0) throw new Error(`the addon does not link:\n${link.stderr}`);
  renameSync(temporary, target);
  writeFileSync(`${stamp}.${process.pid}`, objects.length === units.length ? wanted : "incomplete");
  renameSync(`${stamp}.${process.pid}`, stamp);
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  log(`built ${basename(target)} with ${version} (${compiled} of ${units.length} files compiled, ${seconds} s)`);
  return target;
}

const print = (line: string): void => console.log(line);

/** What npm's install script does: builds, or says why not. */
export async function buildIfPossible(): Promise<void> {
  try {
    await buildNative(print);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    console.warn(`weir: the native kernels were not built; the WebAssembly build will be used instead. ${message}`);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await buildNative(print, {
      force: process.argv.includes("--force"),
      keepGoing: process.argv.includes("--keep-going"),
    });
  } catch (error) {
    console.error(`build-native: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
  }
}
