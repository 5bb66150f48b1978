// Tool calls in a chat format's syntax: free text until the mark that begins them, then calls by the tools' names and schemas.
// Marks that the vocabulary has as control tokens are written as those tokens.
import { chatFormatNamed } from "../../text/chat/select.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import type { Grammar } from "../types.ts";
import { alt, EMPTY, type Expr, optional, type Rule, refuse, repeat, rule, seq } from "./expr.ts";
import { ANY_OBJECT, type Field, plainText, SchemaCompiler } from "./json.ts";

/** A byte, or 256 + the id of a control token. */
type Symbols = number[];

export function toolsGrammar(grammar: Grammar & { type: "tools" }, tokenizer: Tokenizer): Expr {
  let syntax: ReturnType<typeof chatFormatNamed>["tools"];
  try {
    syntax = chatFormatNamed(grammar.format).tools;
  } catch (error) {
    refuse((error as Error).message, "grammar.format");
  }
  if (!syntax) refuse(`the chat format ${grammar.format} has no tools`, "grammar.format");
  const { choice } = grammar;
  const tools = typeof choice === "object" ? grammar.tools.filter(({ name }) => name === choice.name) : grammar.tools;
  if (tools.length === 0)
    refuse(typeof choice === "object" ? `there is no tool named ${choice.name}` : "there are no tools", "tools");
  const marks = new Marks(tokenizer);
  const text = (mark: string): Expr => marks.expr(mark);
  let calls: Expr;
  if (syntax.kind === "json") {
    const { beforeName, beforeArguments, afterArguments, separator, end } = syntax;
    const call = alt(
      ...tools.map(({ name, parameters }, i) => {
        const schema = parameters === undefined ? ANY_OBJECT : objectSchema(parameters, `tools[${i}].parameters`);
        return seq(text(beforeName + name + beforeArguments), schema, text(afterArguments));
      }),
    );
    const one = rule("call", call);
    calls = seq(one, repeat(seq(text(separator), one), 0), text(end));
  } else {
    const { invoke, endInvoke, parameter, endParameter, end } = syntax;
    const value = marks.until(endParameter);
    const invocation = tools.map(({ name, parameters }, i) => {
      const fields = parameters === undefined ? [] : new SchemaCompiler(parameters, `tools[${i}].parameters`).fields();
      const written = fields.map((field) =>
        parameterOf(
          field,
          (as, content) =>
            seq(text(parameter[0] + field.name + parameter[1] + as + parameter[2]), content, text(endParameter)),
          value,
        ),
      );
      return seq(text(invoke[0] + name + invoke[1]), ...written, text(endInvoke));
    });
    calls = seq(repeat(alt(...invocation), 1), text(end));
  }
  const begin = marks.symbols(syntax.begin);
  if (choice !== "auto") return seq(marks.of(begin), calls);
  const mark = syntax.begin.trimStart();
  const symbols = marks.symbols(mark);
  const length = symbols[0] >= 256 ? 1 : marks.symbols(mark.slice(0, mark.indexOf(">") + 1) || mark).length;
  return marks.freeText(symbols.slice(0, length), seq(marks.of(symbols.slice(length)), calls));
}

/** Arguments are objects whatever else the schema lets through. */
function objectSchema(parameters: unknown, field: string): Expr {
  const empty = typeof parameters === "object" && parameters !== null && Object.keys(parameters).length === 0;
  if (empty) return ANY_OBJECT;
  const typed = typeof parameters === "object" && parameters !== null && "type" in parameters;
  return new SchemaCompiler(typed ? parameters : Object.assign({}, parameters, { type: "object" }), field).compile();
}

function parameterOf(field: Field, write: (as: string, content: Expr) => Expr, free: Expr): Expr {
  // Constrained text leaves out "<", with which the end mark begins.
  const raw = field.raw((ranges) => plainText(without(ranges, 60)), free);
  const rest = field.rest();
  const both = alt(...(raw ? [write("true", raw)] : []), ...(rest ? [write("false", rest)] : []));
  return field.required ? both : optional(both);
}

function without(ranges: readonly [number, number][], point: number): [number, number][] {
  return ranges.flatMap(([from, to]): [number, number][] =>
    point < from || point > to
      ? [[from, to]]
      : (
          [
            [from, point - 1],
            [point + 1, to],
          ] as [number, number][]
        ).filter(([a, b]) => a <= b),
  );
}

class Marks {
  private readonly control: { text: string; id: number }[];
  private readonly ends: Set<number>;

  constructor(tokenizer: Tokenizer) {
    this.ends = new Set(tokenizer.special.eot);
    this.control = tokenizer.addedTokens
      .filter(({ id }) => tokenizer.isControl(id))
      .map(({ content, id }) => ({ text: content, id }));
  }

  symbols(text: string): Symbols {
    const out: Symbols = [];
    for (let at = 0; at < text.length; ) {
      const found = this.control.find((token) => token.text !== "" && text.startsWith(token.text, at));
      if (found) {
        out.push(256 + found.id);
        at += found.text.length;
      } else {
        const character = String.fromCodePoint(text.codePointAt(at)!);
        out.push(...new TextEncoder().encode(character));
        at += character.length;
      }
    }
    return out;
  }

  of(symbols: Symbols): Expr {
    return seq(...symbols.map(one));
  }

  expr(text: string): Expr {
    return this.of(this.symbols(text));
  }

  /** Free text; where it comes to contain the mark, `then` follows it. Knuth, Morris and Pratt's automaton. */
  freeText(mark: Symbols, then: Expr): Expr {
    const others = this.control.filter(({ id }) => !this.ends.has(id)).map(({ id }) => 256 + id);
    return this.search(mark, others, EMPTY, then);
  }

  /** Text that does not contain the mark. */
  until(mark: string): Expr {
    return this.search(this.symbols(mark), [], EMPTY, undefined);
  }

  private search(mark: Symbols, controls: Symbols, end: Expr, then: Expr | undefined): Expr {
    const places: Rule[] = mark.map((_, i) => ({ name: `text ${i}`, body: undefined }));
    const matched = (text: Symbols): number => {
      for (let n = Math.min(mark.length, text.length); n > 0; n--) {
        if (mark.slice(0, n).every((symbol, i) => symbol === text[text.length - n + i])) return n;
      }
      return 0;
    };
    places.forEach((place, i) => {
      const to = new Map<number, number[]>();
      for (const symbol of [...Array(256).keys(), ...controls, mark[i]]) {
        const n = matched([...mark.slice(0, i), symbol]);
        const list = to.get(n) ?? [];
        if (!list.includes(symbol)) to.set(n, [...list, symbol]);
      }
      const steps = Array.from(to, ([n, symbols]) => {
        if (n === mark.length) return then ? seq(any(symbols), then) : alt();
        return seq(any(symbols), { t: "rule", rule: places[n] });
      });
      place.body = alt(end, ...steps);
    });
    return { t: "rule", rule: places[0] };
  }
}

function one(symbol: number): Expr {
  return any([symbol]);
}

function any(symbols: Symbols): Expr {
  const set = new Uint8Array(256);
  const out: Expr[] = [];
  for (const symbol of symbols) {
    if (symbol < 256) set[symbol] = 1;
    else out.push({ t: "token", id: symbol - 256 });
  }
  if (set.includes(1)) out.push({ t: "bytes", set });
  return alt(...out);
}
