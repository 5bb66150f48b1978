// Serves the built chat page. The folder is listed once; a request can only name what was found there, so no path leads out.
import { existsSync, globSync, readFileSync, statSync } from "node:fs";
import { extname, join } from "node:path";
import type { Hono } from "hono";
import { ServerError } from "./errors.ts";
import type { Env } from "./http/context.ts";

const types: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".webmanifest": "application/manifest+json",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
  ".woff2": "font/woff2",
  ".woff": "font/woff",
  ".ttf": "font/ttf",
  ".wasm": "application/wasm",
  ".txt": "text/plain; charset=utf-8",
};

// Styles and workers are made at run time by the page's mathematics and diagrams; scripts come from here alone.
const policy =
  "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; " +
  "font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; frame-src 'self' blob: data:; frame-ancestors 'none'; base-uri 'none'";

export function mountPage(app: Hono<Env>, folder: string): void {
  if (!existsSync(join(folder, "index.html"))) return;
  const files = new Map<string, string>();
  for (const name of globSync("**/*", { cwd: folder })) {
    const path = join(folder, name);
    if (statSync(path).isFile()) files.set(`/${name.replaceAll("\\", "/")}`, path);
  }
  app.get("*", (context) => {
    const { path } = context.req;
    const wantsPage = (context.req.header("accept") ?? "").includes("text/html");
    const found = files.get(path) ?? (path === "/" || wantsPage ? files.get("/index.html") : undefined);
    if (found === undefined)
      throw new ServerError(404, "not_found", `There is no ${path.slice(0, 100)} on this server.`);
    const hashed = path.startsWith("/assets/");
    return context.body(new Uint8Array(readFileSync(found)), 200, {
      "content-type": types[extname(found)] ?? "application/octet-stream",
      "cache-control": hashed ? "public, max-age=31536000, immutable" : "no-cache",
      "content-security-policy": policy,
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
    });
  });
}
