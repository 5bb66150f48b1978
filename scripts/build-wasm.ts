// Builds the C kernels as WebAssembly, src/tensor/wasm/weir*.wasm, which are part of the repository so that nobody needs a compiler
// to run. Needs clang 19 and wasm-ld 19, so that the same source gives the same bytes everywhere. --check builds and compares instead
// of writing, for CI; --keep-going leaves out files that do not compile, for work on kernels.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { compileUnits, families, root, sourceHash } from "./kernels.ts";

/** The four builds: simd128 or relaxed SIMD (fused multiply-add), one thread or several over shared memory. */
export const VARIANTS = [
  { name: "weir", flags: [], threads: false },
  { name: "weir-relaxed", flags: ["-mrelaxed-simd"], threads: false },
  { name: "weir-threads", flags: ["-matomics"], threads: true },
  { name: "weir-relaxed-threads", flags: ["-mrelaxed-simd", "-matomics"], threads: true },
];

const FEATURES = ["-msimd128", "-mbulk-memory", "-mnontrapping-fptoint", "-msign-ext", "-mmutable-globals"];

function tool(names: string[]): { command: string; version: string } {
  for (const command of names) {
    const answer = spawnSync(command, ["--version"], { encoding: "utf8" });
    const version = answer.status === 0 ? answer.stdout.split("\n")[0] : "";
    if (/\b19\.\d/.test(version)) return { command, version };
  }
  throw new Error(`none of ${names.join(", ")} of version 19 was found; on Debian: apt-get install clang-19 lld-19`);
}

/** Builds every variant; returns the bytes by file name. */
export async function buildWasm(log: (line: string) => void, keepGoing = false): Promise<Map<string, Buffer>> {
  const clang = tool(["clang-19", "clang"]);
  const linker = tool(["wasm-ld-19", "wasm-ld"]);
  const folder = join(root, "build", "wasm");
  const cache = join(folder, "objects");
  mkdirSync(cache, { recursive: true });
  const files = [...families().filter((file) => file !== "probe_loops.c"), "runtime.c", "wasm.c"];
  const units = VARIANTS.flatMap(({ name, flags }) =>
    files.map((file) => ({
      file,
      variant: name,
      flags: [
        "-DWEIR_ISA=simd128",
        "-fvisibility=hidden",
        ...(file === "wasm.c" ? ["-fno-builtin"] : []),
        ...FEATURES,
        ...flags,
      ],
    })),
  );
  const compiler = [clang.command, "--target=wasm32-unknown-unknown"];
  const { objects } = await compileUnits(compiler, clang.version, units, cache, { log, keepGoing });
  const result = new Map<string, Buffer>();
  VARIANTS.forEach(({ name, threads }, i) => {
    const output = join(folder, `${name}.wasm.${process.pid}`);
    const parts = objects.slice(i * files.length, (i + 1) * files.length).filter((object) => object !== undefined);
    const shared = threads ? ["--shared-memory", "--export=__stack_pointer"] : [];
    const options = [
      "--no-entry",
      "--import-memory",
      "--max-memory=4294967296",
      "-z",
      "stack-size=1048576",
      "--strip-all",
      ...shared,
    ];
    const link = spawnSync(linker.command, [...options, "-o", output, ...parts], { encoding: "utf8" });
    if (link.status !== 0) throw new Error(`${name}.wasm does not link:\n${link.stderr}`);
    result.set(`${name}.wasm`, readFileSync(output));
    rmSync(output);
  });
  result.set("SOURCE", Buffer.from(objects.includes(undefined) ? "incomplete\n" : `${sourceHash()}\n`));
  return result;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    const folder = join(root, "src", "tensor", "wasm");
    mkdirSync(folder, { recursive: true });
    const built = await buildWasm((line) => console.log(line), process.argv.includes("--keep-going"));
    const stale: string[] = [];
    for (const [name, bytes] of built) {
      const path = join(folder, name);
      if (existsSync(path) && bytes.equals(readFileSync(path))) continue;
      stale.push(name);
      if (process.argv.includes("--check")) continue;
      writeFileSync(`${path}.${process.pid}`, bytes);
      renameSync(`${path}.${process.pid}`, path);
    }
    if (process.argv.includes("--check") && stale.length > 0) {
      console.error(
        `src/tensor/wasm: ${stale.join(", ")} is not what kernels/ gives; run npm run build:wasm and commit`,
      );
      process.exit(1);
    }
    for (const [name, bytes] of built)
      if (name.endsWith(".wasm"))
        console.log(`${stale.includes(name) ? "wrote" : "kept "} ${name} (${bytes.length} bytes)`);
  } catch (error) {
    console.error(`build-wasm: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
  }
}
