// Builds the page into web/dist; `weir serve` serves it under /app/. `vite web` develops it against a server on port 8080.
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  root: import.meta.dirname,
  base: "/app/",
  plugins: [react()],
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
