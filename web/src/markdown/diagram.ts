// Diagrams are drawn by Mermaid in a sandboxed frame of an opaque origin: whatever the text does there, it reaches nothing.

import { preferences } from "../state/preferences.ts";
import { dictionaries, resolveLanguage } from "../words/index.ts";

/** Adds a button that shows the diagram of a code block and back. */
export function mountDiagram(block: HTMLElement, source: string): void {
  const words = dictionaries[resolveLanguage(preferences.get().language)];
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = words.showDiagram;
  block.querySelector(".code-head")?.append(button);
  const pre = block.querySelector("pre")!;
  let frame: HTMLIFrameElement | undefined;
  button.addEventListener("click", () => {
    if (frame) {
      frame.remove();
      frame = undefined;
      pre.hidden = false;
      button.textContent = words.showDiagram;
      return;
    }
    frame = document.createElement("iframe");
    frame.className = "diagram";
    frame.title = words.diagram;
    frame.setAttribute("sandbox", "allow-scripts");
    frame.src = "/app/diagram.html";
    const shown = frame;
    const listen = ({ source: from, data }: MessageEvent): void => {
      if (!shown.isConnected) {
        removeEventListener("message", listen);
        return;
      }
      if (from !== shown.contentWindow) return;
      if (data?.kind === "ready") {
        const dark = matchMedia("(prefers-color-scheme: dark)").matches;
        const { theme } = preferences.get();
        shown.contentWindow?.postMessage({ source, dark: theme === "dark" || (theme !== "light" && dark) }, "*");
      } else if (data?.kind === "drawn" && Number.isFinite(data.height))
        shown.style.height = `${Math.min(2000, Math.max(40, data.height))}px`;
      else if (data?.kind === "failed") {
        shown.remove();
        frame = undefined;
        pre.hidden = false;
        button.textContent = words.diagramFailed;
        button.disabled = true;
      }
    };
    addEventListener("message", listen);
    block.append(frame);
    pre.hidden = true;
    button.textContent = words.showSource;
  });
}
