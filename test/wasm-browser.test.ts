// The WebAssembly device in a real browser: bundled by Vite as a page would be, run in Chromium with and without cross-origin isolation
// (threads or not), on the page's main thread and in a worker. Computes the same as in Node.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { type Browser, chromium } from "playwright-core";
import { build } from "vite";

const root = fileURLToPath(new URL("..", import.meta.url));
const executablePath = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((path) =>
  existsSync(path),
);

const CALCULATION = `
  import { openDevice } from "${root}src/tensor/devices.ts";
  import { add, dot, scale } from "${root}src/tensor/ops/elementwise.ts";
  import { dim, Program } from "${root}src/tensor/program.ts";
  export async function calculate(threads) {
    const program = new Program("page");
    const T = program.register("T", 5000);
    const x = program.input("x", "f32", [dim(T), 7]);
    let y = x;
    for (let i = 0; i < 20; i++) y = scale(add(y, x), 0.75);
    program.output(dot(y, y), "out");
    const device = await openDevice({ threads });
    const executable = device.compile(program);
    executable.buffer("x").view().forEach((_, i, view) => (view[i] = Math.fround(Math.sin(i))));
    executable.run({ T: 5000 });
    const once = executable.buffer("out").view()[0];
    await executable.runAsync({ T: 5000 });
    const again = executable.buffer("out").view()[0];
    let error = "";
    try { executable.run({ T: 5001 }); } catch (caught) { error = caught.code; }
    const result = { name: device.name, threads: device.threads, once, again, error };
    device.close();
    return result;
  }`;

test("the WebAssembly device in Chromium", async (t) => {
  assert.ok(executablePath, "Chromium is not installed; apt-get install chromium");
  mkdirSync(join(root, "build"), { recursive: true });
  const folder = mkdtempSync(join(root, "build", "browser-"));
  let server: Server | undefined;
  let browser: Browser | undefined;
  try {
    writeFileSync(join(folder, "calculate.js"), CALCULATION);
    const here = await import(join(folder, "calculate.js"));
    process.env.WEIR_DEVICE = "wasm";
    const wanted = (await here.calculate(2)) as { once: number };
    assert.ok(wanted.once > 1000);
    writeFileSync(
      join(folder, "worker.js"),
      `import { calculate } from "./calculate.js"; onmessage = async ({ data }) => postMessage(await calculate(data));`,
    );
    writeFileSync(
      join(folder, "main.js"),
      `import { calculate } from "./calculate.js";
       window.calculate = calculate;
       window.inWorker = (threads) => new Promise((resolve, reject) => {
         const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
         worker.onmessage = ({ data }) => resolve(data);
         worker.onerror = ({ message }) => reject(new Error(message));
         worker.postMessage(threads);
       });`,
    );
    writeFileSync(join(folder, "index.html"), `<!doctype html><script type="module" src="./main.js"></script>`);
    const output = join(folder, "dist");
    await build({
      root: folder,
      configFile: false,
      logLevel: "error",
      build: { outDir: output, target: "esnext", assetsInlineLimit: 0 },
      worker: { format: "es" },
    });
    const types: Record<string, string> = {
      ".html": "text/html",
      ".js": "text/javascript",
      ".wasm": "application/wasm",
    };
    server = createServer(async (request, response) => {
      const { pathname } = new URL(request.url ?? "/", "http://localhost");
      const isolated = !request.headers.cookie?.includes("plain");
      try {
        const bytes = await readFile(join(output, pathname === "/" ? "index.html" : pathname));
        response.setHeader("content-type", types[extname(pathname)] ?? "text/html");
        if (isolated) {
          response.setHeader("cross-origin-opener-policy", "same-origin");
          response.setHeader("cross-origin-embedder-policy", "require-corp");
        }
        response.end(bytes);
      } catch {
        response.writeHead(404).end();
      }
    });
    await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
    for (const isolated of [true, false]) {
      const context = await browser.newContext();
      if (!isolated) await context.addCookies([{ name: "plain", value: "1", url }]);
      const page = await context.newPage();
      page.on("pageerror", (error) => console.log("page:", error.message));
      await page.goto(url);
      for (const place of ["calculate", "inWorker"]) {
        await t.test(
          `${isolated ? "isolated" : "plain"} page, ${place === "inWorker" ? "worker" : "main thread"}`,
          async () => {
            const result = (await page.evaluate(`${place}(3)`)) as Record<string, unknown>;
            assert.deepEqual([result.name, result.threads], ["wasm", isolated ? 3 : 1]);
            assert.equal(result.error, "size_out_of_range");
            assert.deepEqual([result.once, result.again], [wanted.once, wanted.once]);
          },
        );
      }
      await context.close();
    }
  } finally {
    await browser?.close();
    server?.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
