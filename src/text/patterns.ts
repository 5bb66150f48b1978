// The published pre-tokenizers by their GGUF names, each as the sequence of splits its model was trained with, and the
// translation of a published pattern (Oniguruma as Hugging Face's library uses it) into a JavaScript regular expression.

import { TextError } from "./errors.ts";

const CJK_V3 = "[\\u4E00-\\u9FA5\\u3040-\\u309F\\u30A0-\\u30FF]+";
const WORDS_V3 =
  "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
const llama3 = (digits: string) =>
  `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;

/** The cased letters that DeepSeek-LLM's pattern lists one range after another. */
const CASED_LETTERS =
  "A-Za-z\\u00B5\\u00C0-\\u00D6\\u00D8-\\u00F6\\u00F8-\\u01BA\\u01BC-\\u01BF\\u01C4-\\u0293\\u0295-\\u02AF\\u0370-\\u0373\\u0376\\u0377\\u037B-\\u037D\\u037F\\u0386\\u0388-\\u038A\\u038C\\u038E-\\u03A1\\u03A3-\\u03F5\\u03F7-\\u0481\\u048A-\\u052F\\u0531-\\u0556\\u10A0-\\u10C5\\u13A0-\\u13F5\\u13F8-\\u13FD\\u1C90-\\u1CBA\\u1CBD-\\u1CBF\\u1D00-\\u1D2B\\u1D6B-\\u1D77\\u1D79-\\u1D9A\\u1E00-\\u1F15\\u1F18-\\u1F1D\\u1F20-\\u1F45\\u1F48-\\u1F4D\\u1F50-\\u1F57\\u1F59\\u1F5B\\u1F5D\\u1F5F-\\u1F7D\\u1F80-\\u1FB4\\u1FB6-\\u1FBC\\u1FBE\\u1FC2-\\u1FC4\\u1FC6-\\u1FCC\\u1FD0-\\u1FD3\\u1FD6-\\u1FDB\\u1FE0-\\u1FEC\\u1FF2-\\u1FF4\\u1FF6-\\u1FFC\\u2102\\u2107\\u210A-\\u2113\\u2115\\u2119-\\u211D\\u2124\\u2126\\u2128\\u212A-\\u212D\\u212F-\\u2134\\u2139\\u213C-\\u213F\\u2145-\\u2149\\u214E\\u2183\\u2184\\u2C00-\\u2C7B\\u2C7E-\\u2CE4\\u2CEB-\\u2CEE\\u2CF2\\u2CF3\\uA640-\\uA66D\\uA680-\\uA69B\\uA722-\\uA76F\\uA771-\\uA787\\uA78B-\\uA78E\\uAB70-\\uABBF\\uFB00-\\uFB06\\uFB13-\\uFB17\\uFF21-\\uFF3A\\uFF41-\\uFF5A\\u{10400}-\\u{1044F}\\u{104B0}-\\u{104D3}\\u{104D8}-\\u{104FB}\\u{10C80}-\\u{10CB2}\\u{10CC0}-\\u{10CF2}\\u{118A0}-\\u{118DF}\\u{1E900}-\\u{1E943}";
const CJK_LLM = "[\\u4E00-\\u9FA5\\u0800-\\u4E00\\uAC00-\\uD7FF]+";

/**
 * Splits applied one after the other, each isolating its matches in the pieces the earlier ones left
 * (reference: llama.cpp's vocabulary code, which names them so in `tokenizer.ggml.pre`).
 */
export const PATTERNS = {
  "deepseek-v3": ["\\p{N}{1,3}", CJK_V3, WORDS_V3],
  /** The V3 splits with every digit a token of its own, for vocabularies trained here. */
  "deepseek-v3-digits": ["\\p{N}", CJK_V3, WORDS_V3],
  "deepseek-llm": [
    "[\\r\\n]",
    `\\s?[${CASED_LETTERS}]+`,
    "\\s?[!-/:-~\\uFF01-\\uFF0F\\uFF1A-\\uFF5E\\u2018-\\u201F\\u3000-\\u3002]+",
    "\\s+$",
    CJK_LLM,
    "\\p{N}+",
  ],
  "deepseek-coder": ["[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", CJK_LLM, "\\p{N}"],
  "gpt-2": [GPT2],
  qwen2: [llama3("\\p{N}")],
  "llama-bpe": [llama3("\\p{N}{1,3}")],
} satisfies Record<string, string[]>;

export type PatternName = keyof typeof PATTERNS;

/** Other names under which GGUF files know the same pre-tokenizers. */
const ALIASES: Record<string, PatternName> = {
  deepseek3: "deepseek-v3",
  "deepseek-r1-qwen": "qwen2",
  llama3: "llama-bpe",
  "llama-v3": "llama-bpe",
  cl100k: "llama-bpe",
  gpt2: "gpt-2",
  default: "gpt-2",
};

/** The pre-tokenizer that a GGUF file calls `name`; an unknown name is an error, since guessing would give wrong ids. */
export function patternNamed(name: string): PatternName {
  if (Object.hasOwn(PATTERNS, name)) return name as PatternName;
  if (Object.hasOwn(ALIASES, name)) return ALIASES[name];
  throw new TextError(
    `tokenizer.ggml.pre is '${name}', a pre-tokenizer that is not known here; known are ${Object.keys(PATTERNS).join(", ")}`,
  );
}

const SCRIPTS = /^(Han|Hiragana|Katakana|Hangul|Latin|Cyrillic|Greek|Arabic|Hebrew|Thai|Devanagari)$/;

/**
 * Rewrites a published pattern for JavaScript's `u` mode: `\s` becomes Unicode white space (JavaScript's own also takes
 * U+FEFF and leaves out U+0085), `$` also ends a line, needless escapes go, `\p{Han}` is a script.
 */
export function compilePattern(source: string): RegExp {
  let out = "";
  let inClass = false;
  for (let i = 0; i < source.length; i++) {
    const char = source[i];
    if (char === "\\") {
      const next = source[++i] ?? "";
      const property = /^\{(\^?)(\w+)\}/.exec(source.slice(i + 1));
      if (next === "s") out += "\\p{White_Space}";
      else if (next === "S") out += "\\P{White_Space}";
      else if (next === "d") out += "\\p{Nd}";
      else if ((next === "p" || next === "P") && property) {
        const negative = (next === "P") !== (property[1] === "^");
        const name = SCRIPTS.test(property[2]) ? `Script=${property[2]}` : property[2];
        out += `\\${negative ? "P" : "p"}{${name}}`;
        i += property[0].length;
      } else if (/[A-Za-z0-9^$\\.*+?()[\]{}|/-]/.test(next)) out += next === "-" && !inClass ? "-" : `\\${next}`;
      else out += next;
    } else if (char === "[") {
      if (inClass) {
        throw new TextError(
          `the pre-tokenizer pattern ${JSON.stringify(source)} nests character classes, which is not supported`,
        );
      }
      out += "[";
      inClass = true;
    } else if (char === "]" && inClass) {
      out += "]";
      inClass = false;
    } else if (char === "$" && !inClass) out += "(?:$|(?=\\n))";
    else out += char;
  }
  try {
    return new RegExp(out, "gu");
  } catch (cause) {
    throw new TextError(`the pre-tokenizer pattern ${JSON.stringify(source)} does not compile here`, { cause });
  }
}
