// Builds the page into web/dist; `weir serve` serves it under /app/. `vite web` develops it against a server on port 8080.
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

/** The character tables of pdf.js, under the names it asks for. */
function pdfTables(): Plugin {
  const folder = join(dirname(createRequire(import.meta.url).resolve("pdfjs-dist/package.json")), "cmaps");
  return {
    name: "pdf-tables",
    generateBundle() {
      for (const name of readdirSync(folder))
        this.emitFile({ type: "asset", fileName: `pdf-cmaps/${name}`, source: readFileSync(join(folder, name)) });
    },
  };
}

export default defineConfig({
  root: import.meta.dirname,
  base: "/app/",
  plugins: [react(), pdfTables()],
  worker: { format: "es" },
  build: {
    target: "es2024",
    // Inlined files would be data: addresses, which the page's policy refuses for scripts and fonts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      input: { index: `${import.meta.dirname}/index.html`, diagram: `${import.meta.dirname}/diagram.html` },
    },
    chunkSizeWarningLimit: 2000,
  },
  server: { proxy: { "/app/api": "http://127.0.0.1:8080" } },
});
