// Serves the built page and its files with a Content-Security-Policy that lets nothing in from elsewhere and no inline script.
import { createHash } from "node:crypto";
import { readFileSync, realpathSync, statSync } from "node:fs";
import { extname, join, sep } from "node:path";
import { brotliCompressSync, constants } from "node:zlib";
import type { Context, Hono } from "hono";

const types: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
  ".woff2": "font/woff2",
  ".woff": "font/woff",
  ".ttf": "font/ttf",
  ".json": "application/json",
  ".webmanifest": "application/manifest+json",
  ".txt": "text/plain; charset=utf-8",
};

export const pagePolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "worker-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "font-src 'self'",
  "connect-src 'self'",
  "frame-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join("; ");

/** The diagram frame: an opaque origin with nothing to steal; Mermaid writes its styles into the picture. */
const diagramPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "font-src 'self'",
  "img-src data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'self'",
  "sandbox allow-scripts",
].join("; ");

interface Stored {
  bytes: Uint8Array<ArrayBuffer>;
  brotli: Uint8Array<ArrayBuffer> | undefined;
  etag: string;
  modified: number;
}

/** Mounts the page under /app/ and sends the root there. */
export function mountPage(app: Hono, webRoot: string): void {
  const cache = new Map<string, Stored>();

  const read = (path: string): Stored | undefined => {
    let file: string;
    let modified: number;
    try {
      file = realpathSync(join(webRoot, path));
      const stat = statSync(file);
      if (!stat.isFile() || !file.startsWith(realpathSync(webRoot) + sep)) return undefined;
      modified = stat.mtimeMs;
    } catch {
      return undefined;
    }
    const known = cache.get(file);
    if (known?.modified === modified) return known;
    const bytes = new Uint8Array(readFileSync(file));
    const text = /^(text|application|image\/svg)/.test(types[extname(file)] ?? "");
    const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } };
    const stored: Stored = {
      bytes,
      brotli: text ? new Uint8Array(brotliCompressSync(bytes, quality)) : undefined,
      etag: `"${createHash("sha256").update(bytes).digest("base64url").slice(0, 22)}"`,
      modified,
    };
    cache.set(file, stored);
    return stored;
  };

  const serve = (c: Context, path: string): Response | undefined => {
    const stored = read(path);
    if (!stored) return undefined;
    const type = types[extname(path)] ?? "application/octet-stream";
    const headers = new Headers({
      "content-type": type,
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      "cross-origin-opener-policy": "same-origin",
      etag: stored.etag,
      vary: "accept-encoding",
      "cache-control": path.startsWith("assets/") ? "public, max-age=31536000, immutable" : "no-cache",
    });
    if (path === "diagram.html") headers.set("content-security-policy", diagramPolicy);
    else if (type.startsWith("text/html")) {
      headers.set("content-security-policy", pagePolicy);
      headers.set("x-frame-options", "DENY");
      headers.set("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=()");
    }
    // The sandboxed diagram frame has an opaque origin; module scripts need leave to load there. The files are public.
    if (path.startsWith("assets/")) headers.set("access-control-allow-origin", "*");
    if (c.req.header("if-none-match") === stored.etag) return new Response(null, { status: 304, headers });
    const packed = stored.brotli !== undefined && /\bbr\b/.test(c.req.header("accept-encoding") ?? "");
    if (packed) headers.set("content-encoding", "br");
    return new Response(packed ? stored.brotli! : stored.bytes, { headers });
  };

  app.get("/", (c) => c.redirect("/app/"));
  app.get("/app", (c) => c.redirect("/app/"));
  app.get("/app/*", (c) => {
    const path = decodeURIComponent(new URL(c.req.url).pathname.slice("/app/".length));
    const found = serve(c, path === "" ? "index.html" : path);
    if (found) return found;
    // Addresses inside the application are the page's own; missing files are missing.
    if (!/^(?:assets|pdf-cmaps)\//.test(path) && extname(path) === "") {
      const page = serve(c, "index.html");
      if (page) return page;
      return c.text("The page is not built. Run: npm run build:web\n页面尚未构建。请运行：npm run build:web\n", 503);
    }
    return c.text("Not found.", 404);
  });
}
