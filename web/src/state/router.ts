// Addresses of the page: /app/, /app/c/ID, /app/settings and so on, on the browser's own history.
import { Store, useStore } from "./store.ts";

const root = "/app/";

const read = (): string => location.pathname.slice(root.length).replace(/\/$/, "");

const path = new Store(read());
addEventListener("popstate", () => path.set(read()));

export function go(to: string, options: { replace?: boolean } = {}): void {
  if (read() !== to) history[options.replace ? "replaceState" : "pushState"](null, "", root + to);
  path.set(to);
}

/** The path after /app/, without slashes at its ends. */
export const usePath = (): string => useStore(path);
export const currentPath = (): string => path.get();
