// Starts the chat application on a free port with a scripted engine, and a headless Chromium that looks at it. Builds the page
// when web/dist is missing or older than its source.
import { execFileSync } from "node:child_process";
import { existsSync, globSync, statSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { createAdaptorServer } from "@hono/node-server";
import { Hono } from "hono";
import { type Browser, chromium } from "playwright-core";
import type { AppDeps } from "../../src/server/app/deps.ts";
import { mountApp } from "../../src/server/app/index.ts";
import { createTutor } from "../../src/server/app/tutor.ts";
import { hostApp } from "../../src/server/app-host.ts";
import { parseConfig } from "../../src/server/config.ts";
import { createServer } from "../../src/server/index.ts";
import { listen } from "../../src/server/listen.ts";
import { loadEngine } from "../../src/server/load.ts";
import { openDatabase } from "../../src/server/store/sqlite.ts";
import { type Scripted, scripted } from "./scripted.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

export function buildPage(): void {
  const built = `${root}web/dist/index.html`;
  const sources = ["web/src/**/*", "web/*.html", "web/*.ts", "web/public/*"].flatMap((pattern) =>
    globSync(pattern, { cwd: root }),
  );
  const newest = Math.max(...sources.map((file) => statSync(root + file).mtimeMs));
  if (existsSync(built) && statSync(built).mtimeMs >= newest) return;
  execFileSync(process.execPath, [`${root}node_modules/vite/bin/vite.js`, "build", "web", "--logLevel", "error"], {
    cwd: root,
    stdio: "inherit",
  });
}

/** Chromium from WEIR_CHROMIUM, or where Debian and its relatives put it. */
export async function launch(): Promise<Browser> {
  const places = [
    process.env.WEIR_CHROMIUM,
    "/usr/bin/chromium",
    "/usr/bin/chromium-browser",
    "/usr/bin/google-chrome",
  ];
  const executablePath = places.find((path) => path !== undefined && existsSync(path));
  if (executablePath === undefined)
    throw new Error("Chromium is missing. Install it (apt-get install chromium) or name it in WEIR_CHROMIUM.");
  return chromium.launch({ executablePath, args: ["--no-sandbox"] });
}

export interface Running {
  engine: Scripted;
  url: string;
  close(): Promise<void>;
}

export async function serve(options: Partial<AppDeps> = {}, port = 0): Promise<Running> {
  const engine = scripted(options);
  const app = new Hono();
  const mounted = mountApp(app, engine.deps);
  const server = createAdaptorServer({ fetch: app.fetch });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    engine,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/app/`,
    close: async () => {
      await mounted.close();
      if ("closeAllConnections" in server) server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The whole server over a real tutor model, as `weir start` has it. */
export async function serveModel(path: string): Promise<{ url: string; close(): Promise<void> }> {
  const server = createServer({
    config: parseConfig({ port: 0, models: { tutor: { path, preload: true } }, log: { level: "silent" } }),
    loadEngine,
    database: openDatabase(":memory:"),
    mount: hostApp({
      webRoot: `${root}web/dist`,
      accounts: false,
      tutor: createTutor(),
      tutors: ["tutor"],
      print: () => {},
    }),
  });
  const listening = await listen(server);
  await server.models.preload();
  return { url: `${listening.url}/app/`, close: () => listening.drain() };
}
