// Markdown to clean HTML: marked reads, raw HTML stays text, DOMPurify goes over what marked wrote. Mathematics, code colours
// and diagrams are left as marked places that upgrade.ts fills in later.
import DOMPurify, { type Config } from "dompurify";
import { Marked, type TokenizerAndRendererExtension, type Tokens } from "marked";

const escapes: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => escapes[character]);

const mathPlace = (tex: string, display: boolean): string =>
  `<span class="math${display ? " math-display" : ""}" data-tex="${escapeHtml(tex)}">${escapeHtml(tex)}</span>`;

interface MathToken extends Tokens.Generic {
  tex: string;
}

/** `$$…$$` and `\[…\]` as blocks. */
const mathBlock: TokenizerAndRendererExtension = {
  name: "mathBlock",
  level: "block",
  start: (source) => /\$\$|\\\[/.exec(source)?.index,
  tokenizer(source) {
    const match = /^ {0,3}(?:\$\$([\s\S]{1,10000}?)\$\$|\\\[([\s\S]{1,10000}?)\\\])[ \t]*(?:\n|$)/.exec(source);
    if (match) return { type: "mathBlock", raw: match[0], tex: (match[1] ?? match[2]).trim() };
    return undefined;
  },
  renderer: (token) => `<p>${mathPlace((token as MathToken).tex, true)}</p>`,
};

/** `$…$` where it cannot be money, `\(…\)`, and display mathematics inside a line. */
const mathInline: TokenizerAndRendererExtension = {
  name: "mathInline",
  level: "inline",
  start: (source) => /\$|\\\(|\\\[|\\boxed\{/.exec(source)?.index,
  tokenizer(source) {
    // R1's boxed result often stands without dollars.
    const boxed = /^\\boxed\{(?:[^{}\n]|\{[^{}\n]{0,200}\}){1,200}\}/.exec(source);
    if (boxed) return { type: "mathInline", raw: boxed[0], tex: boxed[0], display: false };
    const display = /^(?:\$\$([^$]{1,10000}?)\$\$|\\\[([\s\S]{1,10000}?)\\\])/.exec(source);
    if (display) return { type: "mathInline", raw: display[0], tex: display[1] ?? display[2], display: true };
    const inline = /^(?:\$((?!\s)(?:\\.|[^$\\\n]){1,2000}?)(?<!\s)\$(?!\d)|\\\(([\s\S]{1,2000}?)\\\))/.exec(source);
    if (inline) return { type: "mathInline", raw: inline[0], tex: inline[1] ?? inline[2], display: false };
    return undefined;
  },
  renderer: (token) => mathPlace((token as MathToken).tex, token.display === true),
};

/** Only what a person may follow without harm; everything else is shown as its text. */
const safeAddress = (href: string): boolean => /^(https?:|mailto:)/i.test(href.trim());

const marked = new Marked({
  gfm: true,
  breaks: false,
  extensions: [mathBlock, mathInline],
  renderer: {
    // Models do not get to write HTML.
    html: ({ text }) => escapeHtml(text),
    link({ href, tokens }) {
      const inner = this.parser.parseInline(tokens);
      if (!safeAddress(href)) return `<span>${inner}</span>`;
      return `<a href="${escapeHtml(href)}" target="_blank" rel="noopener noreferrer nofollow">${inner}</a>`;
    },
    // An image would be a request to another machine: its address is shown, and followed only by a click.
    image({ href, text }) {
      const label = escapeHtml(text || "image");
      if (!safeAddress(href)) return `<span class="image-text">${label}</span>`;
      return `<a class="image-text" href="${escapeHtml(href)}" target="_blank" rel="noopener noreferrer nofollow">${label}</a>`;
    },
    code({ text, lang }) {
      const name = /^[A-Za-z0-9+#._-]{1,30}/.exec(lang ?? "")?.[0].toLowerCase() ?? "";
      return `<div class="code" data-lang="${escapeHtml(name)}"><pre><code>${escapeHtml(text)}</code></pre></div>`;
    },
    checkbox: ({ checked }) =>
      `<span class="check" role="img" aria-label="${checked ? "✓" : "–"}">${checked ? "☑" : "☐"}</span> `,
    table(token) {
      const cell = (name: "th" | "td") => (one: Tokens.TableCell) =>
        `<${name}${one.align ? ` class="align-${one.align}"` : ""}>${this.parser.parseInline(one.tokens)}</${name}>`;
      const shown = token.rows.slice(0, mostRows);
      const rows = shown.map((row) => `<tr>${row.slice(0, mostColumns).map(cell("td")).join("")}</tr>`).join("");
      const head = token.header.slice(0, mostColumns).map(cell("th")).join("");
      const rest = token.rows.length > mostRows ? `<p class="table-rest">… +${token.rows.length - mostRows}</p>` : "";
      return `<div class="table" tabindex="0" role="region"><table><thead><tr>${head}</tr></thead><tbody>${rows}</tbody></table></div>${rest}`;
    },
  },
});

const mostRows = 500;
const mostColumns = 50;

const purify: Config = {
  ALLOWED_TAGS: [
    ..."a b blockquote br code del div em h1 h2 h3 h4 h5 h6 hr i li ol p pre s span strong sub sup".split(" "),
    ..."table tbody td th thead tr ul".split(" "),
  ],
  ALLOWED_ATTR: ["class", "href", "rel", "target", "start", "role", "tabindex", "aria-label", "data-lang", "data-tex"],
  ALLOW_DATA_ATTR: false,
  // Attributes that are no addresses, so that the rule for addresses below is not asked about them.
  ADD_URI_SAFE_ATTR: ["data-lang", "data-tex", "rel", "role", "start", "tabindex", "target"],
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:)/i,
  RETURN_DOM_FRAGMENT: true,
};

/** Nesting that makes parsers slow or deep: such a block is shown as it is. */
const hostileNesting =
  /(?:^|\n)(?:[ \t]*>){40}|\[{60}|!\[{40}|(?:\*_|_\*){60}|(?:\n[ \t]{60,}[-*+])|<{200}|`{2000}|\*{500}|_{500}/;

const plain = (source: string): DocumentFragment => {
  const fragment = document.createDocumentFragment();
  const block = document.createElement("pre");
  block.className = "plain";
  block.textContent = source;
  fragment.append(block);
  return fragment;
};

const cache = new Map<string, DocumentFragment>();
const cacheMost = 2000;

/** Renders one block; the caller owns the returned copy. Never throws. */
export function renderBlock(source: string, keep: boolean): DocumentFragment {
  const known = cache.get(source);
  if (known) return known.cloneNode(true) as DocumentFragment;
  let fragment: DocumentFragment;
  if (source.length > 100_000 || hostileNesting.test(source)) fragment = plain(source);
  else {
    try {
      fragment = DOMPurify.sanitize(marked.parse(source, { async: false }), purify) as unknown as DocumentFragment;
    } catch {
      fragment = plain(source);
    }
  }
  if (keep) {
    if (cache.size >= cacheMost) cache.delete(cache.keys().next().value!);
    cache.set(source, fragment.cloneNode(true) as DocumentFragment);
  }
  return fragment;
}
