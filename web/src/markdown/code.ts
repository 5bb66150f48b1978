// Colours code on the page with what the worker finds; the text itself is never replaced by anything but itself.
import type { Coloured } from "./code-worker.ts";

let worker: Worker | undefined;
let next = 0;
const waiting = new Map<number, (lines: Coloured | undefined) => void>();

function ask(code: string, language: string): Promise<Coloured | undefined> {
  if (!worker) {
    worker = new Worker(new URL("./code-worker.ts", import.meta.url), { type: "module" });
    worker.addEventListener("message", ({ data }) => {
      waiting.get(data.id)?.(data.lines);
      waiting.delete(data.id);
    });
  }
  const id = ++next;
  worker.postMessage({ id, code, language });
  return new Promise((resolve) => waiting.set(id, resolve));
}

export async function colour(element: HTMLElement, language: string): Promise<void> {
  const code = element.textContent ?? "";
  const lines = await ask(code, language);
  if (!lines || !element.isConnected) return;
  const made = document.createDocumentFragment();
  lines.forEach((line, index) => {
    if (index > 0) made.append("\n");
    for (const [text, kind] of line) {
      if (kind === "") made.append(text);
      else {
        const span = document.createElement("span");
        span.className = `code-${kind}`;
        span.textContent = text;
        made.append(span);
      }
    }
  });
  element.replaceChildren(made);
}
