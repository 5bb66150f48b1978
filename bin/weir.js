#!/usr/bin/env node
// Entry of the `weir` command. Plain JavaScript, so that even an old Node can run it and hand over to the
// Node 24 that npm installed beside this package; everything else lives in src/cli.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import * as nodeModule from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const [major, minor] = process.versions.node.split(".").map(Number);
if (major > 22 || (major === 22 && minor >= 18)) {
  // Reading TypeScript costs more than all the rest of a start; what has been read once is kept. NODE_COMPILE_CACHE overrules.
  nodeModule.enableCompileCache(
    process.env.NODE_COMPILE_CACHE ?? join(process.env.WEIR_HOME ?? join(homedir(), ".weir"), "compiled"),
  );
  await import("./strip-types.js");
  // `weir … | head`: who closes the pipe has seen enough.
  for (const stream of [process.stdout, process.stderr])
    stream.on("error", (error) => process.exit(error.code === "EPIPE" ? 0 : 1));
  const { main } = await import("../src/cli/main.ts");
  process.exitCode = await main(process.argv.slice(2));
} else {
  const bundled = fileURLToPath(new URL("../node_modules/node/bin/node", import.meta.url));
  if (!existsSync(bundled)) {
    console.error(
      `weir needs Node 22.18 or newer; this is ${process.version}. Install a newer Node, or run "npm ci" here.`,
    );
    process.exit(1);
  }
  const run = spawnSync(bundled, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: "inherit" });
  process.exit(run.status ?? 1);
}
