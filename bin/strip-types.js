// Node strips the types of TypeScript files, but not below node_modules, which is where Weir's lie when it is installed as a
// dependency. There this module does it, for Weir's own files alone; it is imported before the first of them. Threads and child
// processes get it through NODE_OPTIONS, since hooks belong to one thread.
import { readFileSync } from "node:fs";
import * as nodeModule from "node:module";
import { fileURLToPath } from "node:url";

const root = new URL("..", import.meta.url).href;

if (root.includes("/node_modules/")) {
  nodeModule.registerHooks({
    load(url, context, nextLoad) {
      if (!url.startsWith(root) || !new URL(url).pathname.endsWith(".ts")) return nextLoad(url, context);
      return { format: "module", shortCircuit: true, source: strip(readFileSync(fileURLToPath(url), "utf8")) };
    },
  });
  const option = `--import=${import.meta.url}`;
  const given = process.env.NODE_OPTIONS ?? "";
  if (!given.includes(option)) process.env.NODE_OPTIONS = `${given} ${option}`.trim();
}

/** Stripping warns once that it is experimental, which is of no use to whoever runs Weir. */
function strip(source) {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return nodeModule.stripTypeScriptTypes(source);
  } finally {
    process.emitWarning = emitWarning;
  }
}
