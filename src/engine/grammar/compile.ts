// From a request's grammar to the mask that holds an answer to it. Compiled grammars and each vocabulary's tree are kept, so that
// later answers under the same grammar begin with its masks ready.
import type { Tokenizer } from "../../text/tokenizer.ts";
import type { TokenMask } from "../sequence.ts";
import { EngineError, type Grammar } from "../types.ts";
import { Automaton } from "./automaton.ts";
import { ebnf } from "./ebnf.ts";
import { type Expr, refuse } from "./expr.ts";
import { ANY_OBJECT, plainText, SchemaCompiler } from "./json.ts";
import { regex } from "./regex.ts";
import { toolsGrammar } from "./tools.ts";
import { GrammarMask, Vocabulary } from "./vocabulary.ts";

const MOST_KEPT = 32;
const MOST_TEXT = 1 << 20;

interface Kept {
  vocabulary: Vocabulary;
  automata: Map<string, Automaton>;
}

const kept = new WeakMap<Tokenizer, Kept>();

function expression(grammar: Grammar, tokenizer: Tokenizer): Expr {
  switch (grammar.type) {
    case "json_object":
      return ANY_OBJECT;
    case "json_schema":
      return new SchemaCompiler(grammar.schema, "schema").compile();
    case "regex":
      return regex(grammar.pattern, plainText, false, "grammar.pattern").expr;
    case "ebnf":
      return ebnf(grammar.text);
    case "tools":
      return toolsGrammar(grammar, tokenizer);
  }
}

/**
 * The mask of one answer. Its tokens spell only texts of the grammar, and every text it lets begin can be finished; end tokens are
 * allowed exactly where the text is whole. @throws EngineError `unsatisfiable_grammar`, its field being the place at fault, for
 * what no text satisfies and for keywords that are not supported.
 */
export function compileGrammar(grammar: Grammar, tokenizer: Tokenizer): TokenMask {
  let own = kept.get(tokenizer);
  if (!own) kept.set(tokenizer, (own = { vocabulary: new Vocabulary(tokenizer), automata: new Map() }));
  const { vocabulary, automata } = own;
  const key = JSON.stringify(grammar);
  if (key.length > MOST_TEXT) refuse(`it has ${key.length} characters; at most ${MOST_TEXT} are taken`);
  let automaton = automata.get(key);
  if (automaton) automata.delete(key);
  else automaton = automatonOf(grammar, tokenizer, vocabulary);
  // The most recently used stand last.
  automata.set(key, automaton);
  if (automata.size > MOST_KEPT) automata.delete(automata.keys().next().value!);
  return new GrammarMask(automaton, vocabulary);
}

function automatonOf(grammar: Grammar, tokenizer: Tokenizer, vocabulary: Vocabulary): Automaton {
  try {
    return new Automaton(expression(grammar, tokenizer), vocabulary.alphabet);
  } catch (error) {
    if (error instanceof EngineError) throw error;
    // Deep nesting that no other limit caught.
    if (error instanceof RangeError) return refuse("it is nested too deeply");
    throw error;
  }
}
