// Finds the colours of code, away from the page's thread. Languages are loaded when first asked for.
import {
  createCssVariablesTheme,
  createHighlighterCore,
  type HighlighterCore,
  type LanguageRegistration,
} from "shiki/core";
import { createJavaScriptRegexEngine } from "shiki/engine/javascript";

/** Lines of [text, kind]; the kind is a class name's ending, empty for ordinary text. */
export type Coloured = [string, string][][];

const languages: Record<string, () => Promise<{ default: LanguageRegistration[] }>> = {
  bash: () => import("shiki/langs/bash.mjs"),
  c: () => import("shiki/langs/c.mjs"),
  cpp: () => import("shiki/langs/cpp.mjs"),
  csharp: () => import("shiki/langs/csharp.mjs"),
  css: () => import("shiki/langs/css.mjs"),
  diff: () => import("shiki/langs/diff.mjs"),
  go: () => import("shiki/langs/go.mjs"),
  html: () => import("shiki/langs/html.mjs"),
  java: () => import("shiki/langs/java.mjs"),
  javascript: () => import("shiki/langs/javascript.mjs"),
  json: () => import("shiki/langs/json.mjs"),
  jsx: () => import("shiki/langs/jsx.mjs"),
  kotlin: () => import("shiki/langs/kotlin.mjs"),
  latex: () => import("shiki/langs/latex.mjs"),
  lua: () => import("shiki/langs/lua.mjs"),
  markdown: () => import("shiki/langs/markdown.mjs"),
  php: () => import("shiki/langs/php.mjs"),
  python: () => import("shiki/langs/python.mjs"),
  ruby: () => import("shiki/langs/ruby.mjs"),
  rust: () => import("shiki/langs/rust.mjs"),
  sql: () => import("shiki/langs/sql.mjs"),
  swift: () => import("shiki/langs/swift.mjs"),
  toml: () => import("shiki/langs/toml.mjs"),
  tsx: () => import("shiki/langs/tsx.mjs"),
  typescript: () => import("shiki/langs/typescript.mjs"),
  xml: () => import("shiki/langs/xml.mjs"),
  yaml: () => import("shiki/langs/yaml.mjs"),
};

const aliases: Record<string, string> = {
  sh: "bash",
  shell: "bash",
  zsh: "bash",
  "c++": "cpp",
  "c#": "csharp",
  cs: "csharp",
  js: "javascript",
  mjs: "javascript",
  kt: "kotlin",
  tex: "latex",
  md: "markdown",
  py: "python",
  rb: "ruby",
  rs: "rust",
  ts: "typescript",
  yml: "yaml",
};

let highlighter: Promise<HighlighterCore> | undefined;

async function find(code: string, asked: string): Promise<Coloured | undefined> {
  const language = aliases[asked] ?? asked;
  if (!Object.hasOwn(languages, language)) return undefined;
  highlighter ??= createHighlighterCore({
    themes: [createCssVariablesTheme({ name: "weir", variablePrefix: "--" })],
    langs: [],
    engine: createJavaScriptRegexEngine({ forgiving: true }),
  });
  const core = await highlighter;
  if (!core.getLoadedLanguages().includes(language)) await core.loadLanguage(languages[language]);
  const { tokens } = core.codeToTokens(code, { lang: language, theme: "weir", tokenizeTimeLimit: 1000 });
  return tokens.map((line) =>
    line.map(({ content, color }) => [content, /^var\(--token-([a-z-]+)\)$/.exec(color ?? "")?.[1] ?? ""]),
  );
}

addEventListener("message", async ({ data: { id, code, language } }) => {
  const lines = await find(code, language).catch(() => undefined);
  postMessage({ id, lines });
});
