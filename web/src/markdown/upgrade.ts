// Fills the places that Markdown left open: formulas with KaTeX, colours of code, diagrams. Each library is loaded when its
// first place is met, and nothing of it is needed to read the text.

import { preferences } from "../state/preferences.ts";
import { dictionaries, resolveLanguage } from "../words/index.ts";
import { colour } from "./code.ts";
import { mountDiagram } from "./diagram.ts";

type Katex = typeof import("katex").default;
let katex: Katex | undefined;
let katexLoading: Promise<Katex> | undefined;

function loadKatex(): Promise<Katex> {
  katexLoading ??= Promise.all([import("katex"), import("katex/dist/katex.css")]).then(([module]) => {
    katex = module.default;
    return katex;
  });
  return katexLoading;
}

// Fetched while nothing happens, and run once: the first formula takes ten times as long as the next ones, which would interrupt
// an answer that streams.
requestIdleCallback?.(
  () =>
    loadKatex().then((engine) => requestIdleCallback(() => formula(engine, "x^2 + \\frac{a}{b} = \\sqrt{c}", false))),
  { timeout: 5000 },
);

const formulas = new Map<string, DocumentFragment>();

/** KaTeX sizes its boxes by style attributes, which the page's policy refuses; the same declarations set by script are allowed. */
function formula(engine: Katex, tex: string, displayMode: boolean): DocumentFragment {
  const key = `${displayMode}${tex}`;
  let made = formulas.get(key);
  if (!made) {
    const html = engine.renderToString(tex, {
      displayMode,
      throwOnError: false,
      trust: false,
      strict: "ignore",
      maxSize: 20,
      maxExpand: 200,
      output: "htmlAndMathml",
    });
    const parsed = new DOMParser().parseFromString(html.replaceAll(' style="', ' data-style="'), "text/html");
    made = document.createDocumentFragment();
    made.append(...parsed.body.childNodes);
    if (formulas.size > 1000) formulas.delete(formulas.keys().next().value!);
    formulas.set(key, made);
  }
  const copy = made.cloneNode(true) as DocumentFragment;
  for (const element of copy.querySelectorAll<HTMLElement | SVGElement>("[data-style]")) {
    for (const declaration of (element.dataset.style ?? "").split(";")) {
      const colon = declaration.indexOf(":");
      if (colon > 0) element.style.setProperty(declaration.slice(0, colon).trim(), declaration.slice(colon + 1).trim());
    }
    delete element.dataset.style;
  }
  return copy;
}

/** Places of formulas not yet set, in the order of the page. */
const places: HTMLElement[] = [];
let setting = false;

/** Milliseconds of one frame that formulas may take. */
const budget = 6;

function setSome(engine: Katex): void {
  const until = performance.now() + budget;
  for (let place = places.shift(); place; place = places.shift()) {
    const { tex } = place.dataset;
    if (tex === undefined) continue;
    delete place.dataset.tex;
    try {
      place.replaceChildren(formula(engine, tex, place.classList.contains("math-display")));
    } catch {
      place.textContent = tex;
    }
    if (performance.now() > until && places.length > 0) {
      requestAnimationFrame(() => setSome(engine));
      return;
    }
  }
  setting = false;
}

function setFormulas(found: Iterable<HTMLElement>): void {
  places.push(...found);
  if (setting || places.length === 0) return;
  setting = true;
  if (katex) setSome(katex);
  else loadKatex().then(setSome);
}

/** Upgrades what is inside an element that is on the page. `finished`: diagrams and colours too. */
export function upgrade(root: HTMLElement, finished: boolean): void {
  setFormulas(root.querySelectorAll<HTMLElement>("[data-tex]"));
  for (const block of root.querySelectorAll<HTMLElement>(".code[data-lang]")) {
    if (!block.querySelector(".code-head")) addHead(block);
    const language = block.dataset.lang!;
    const code = block.querySelector("code");
    if (!code || block.dataset.done) continue;
    if (language === "mermaid") {
      if (finished) {
        block.dataset.done = "1";
        mountDiagram(block, code.textContent ?? "");
      }
    } else if (language !== "" && (code.textContent?.length ?? 0) < 50_000) {
      block.dataset.done = "1";
      colour(code, language);
    }
  }
  for (const region of root.querySelectorAll<HTMLElement>(".table")) region.ariaLabel ??= "table";
}

function addHead(block: HTMLElement): void {
  const words = dictionaries[resolveLanguage(preferences.get().language)];
  const head = document.createElement("div");
  head.className = "code-head";
  const name = document.createElement("span");
  name.textContent = block.dataset.lang || "text";
  const copy = document.createElement("button");
  copy.type = "button";
  copy.textContent = words.copy;
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(block.querySelector("code")?.textContent ?? "");
    copy.textContent = words.copied;
    setTimeout(() => {
      copy.textContent = words.copy;
    }, 1500);
  });
  head.append(name, copy);
  block.prepend(head);
  const pre = block.querySelector("pre");
  // Wide code scrolls, so the keyboard must reach it.
  if (pre) pre.tabIndex = 0;
}
