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

/** What was found lately: a finished answer is shown anew, and its code need not be looked at again. */
const found = new Map<string, Promise<Coloured | undefined>>();

function coloured(code: string, language: string): Promise<Coloured | undefined> {
  const key = `${language}\n${code}`;
  let lines = found.get(key);
  if (!lines) {
    lines = ask(code, language);
    found.set(key, lines);
    if (found.size > 200) found.delete(found.keys().next().value!);
  }
  return lines;
}

export async function colour(element: HTMLElement, language: string): Promise<void> {
  const lines = await coloured(element.textContent ?? "", language);
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
