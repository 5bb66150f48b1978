// Inside the sandboxed frame: draws one Mermaid diagram that the page sends, and reports its height.
import mermaid from "mermaid";

addEventListener("message", async ({ source, data }) => {
  if (source !== parent || typeof data?.source !== "string") return;
  try {
    mermaid.initialize({
      startOnLoad: false,
      securityLevel: "strict",
      htmlLabels: false,
      theme: data.dark ? "dark" : "neutral",
      maxTextSize: 50_000,
      maxEdges: 1000,
    });
    const { svg } = await mermaid.render("diagram", data.source);
    const picture = document.getElementById("picture")!;
    picture.innerHTML = svg;
    parent.postMessage({ kind: "drawn", height: picture.getBoundingClientRect().height }, "*");
  } catch {
    parent.postMessage({ kind: "failed" }, "*");
  }
});
parent.postMessage({ kind: "ready" }, "*");
