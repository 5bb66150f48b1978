// Grammars in the GBNF notation: `name ::= "text" other [a-z]+ ( a | b )? x{2,4}`, comments after #, the answer is `root`.
import { alt, type Expr, literal, optional, type Rule, refuse, repeat, seq } from "./expr.ts";
import { plainText } from "./json.ts";
import { regex } from "./regex.ts";

const TOKEN =
  /\s*(?:#[^\n]*\s*)*(?:([A-Za-z_][\w-]*)(\s*::=)?|("(?:[^"\\\n]|\\.)*")|(\[(?:[^\]\\]|\\.)*\])|(\{\d+(?:,\d*)?\})|([|()*+?.]))/y;
const FIELD = "grammar.text";
const DEEPEST = 100;

interface Token {
  kind: "name" | "rule" | "text" | "class" | "count" | "mark";
  value: string;
}

export function ebnf(text: string): Expr {
  const tokens: Token[] = [];
  const end = text.replace(/(?:\s|#[^\n]*(?:\n|$))+$/, "").length;
  const kinds = ["name", "rule", "text", "class", "count", "mark"] as const;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < end) {
    const at = TOKEN.lastIndex;
    const found = TOKEN.exec(text);
    if (!found) refuse(`not understood: ${JSON.stringify(text.slice(at, at + 24))}`, FIELD);
    const value = found[1] ?? found[3] ?? found[4] ?? found[5] ?? found[6];
    const which = found[1] ? (found[2] ? 1 : 0) : [3, 4, 5, 6].findIndex((i) => found[i] !== undefined) + 2;
    tokens.push({ kind: kinds[which], value });
  }
  const rules = new Map<string, Rule>();
  const ruleOf = (name: string): Rule => {
    const known = rules.get(name) ?? { name, body: undefined };
    rules.set(name, known);
    return known;
  };
  let at = 0;
  const eat = (mark: string): boolean => {
    if (tokens[at]?.kind !== "mark" || tokens[at].value !== mark) return false;
    at++;
    return true;
  };
  const atom = (depth: number): Expr => {
    const { kind, value } = tokens[at++];
    if (kind === "name") return { t: "rule", rule: ruleOf(value) };
    if (kind === "text") return literal(unescaped(value.slice(1, -1)));
    if (kind === "class") return regex(value, plainText, false, FIELD).expr;
    if (value === ".") return plainText([[0, 0x10ffff]]);
    if (value !== "(") refuse(`'${value}' stands where a part should`, FIELD);
    const inner = choices(depth + 1);
    if (!eat(")")) refuse("a ')' is missing", FIELD);
    return inner;
  };
  const quantified = (depth: number): Expr => {
    let item = atom(depth);
    for (;;) {
      if (eat("*")) item = repeat(item, 0);
      else if (eat("+")) item = repeat(item, 1);
      else if (eat("?")) item = optional(item);
      else if (tokens[at]?.kind === "count") {
        const [min, max] = tokens[at++].value.slice(1, -1).split(",");
        item = repeat(item, Number(min), max === undefined ? Number(min) : max === "" ? undefined : Number(max));
      } else return item;
    }
  };
  const choices = (depth: number): Expr => {
    if (depth > DEEPEST) refuse("groups are nested too deeply", FIELD);
    const out: Expr[] = [];
    do {
      const items: Expr[] = [];
      while (
        at < tokens.length &&
        tokens[at].kind !== "rule" &&
        !["|", ")"].includes(tokens[at].kind === "mark" ? tokens[at].value : "")
      )
        items.push(quantified(depth));
      out.push(seq(...items));
    } while (eat("|"));
    return alt(...out);
  };
  while (at < tokens.length) {
    const { kind, value } = tokens[at++];
    if (kind !== "rule") refuse(`a rule (NAME ::= …) should begin at ${JSON.stringify(value)}`, FIELD);
    const made = ruleOf(value);
    if (made.body) refuse(`the rule ${value} is defined twice`, FIELD);
    made.body = choices(0);
  }
  const root = rules.get("root");
  if (!root?.body) refuse("there is no rule named root", FIELD);
  return { t: "rule", rule: root };
}

function unescaped(text: string): string {
  const simple: Record<string, string> = { n: "\n", r: "\r", t: "\t" };
  return text.replace(/\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|(.))/g, (_, byte, point, other) =>
    byte || point ? String.fromCharCode(Number.parseInt(byte ?? point, 16)) : (simple[other] ?? other),
  );
}
