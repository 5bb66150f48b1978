// Whatever a model prefers, an answer under a grammar is a text of the grammar: random walks over allowed tokens, judged by
// JSON.parse and by a validator of the test's own; masks against feeding every token's bytes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { chatFormatNamed } from "../../text/chat/select.ts";
import { seeded, smallTokenizer } from "../../text/text.fixture.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import { EngineError, type Grammar } from "../types.ts";
import { Automaton } from "./automaton.ts";
import { compileGrammar } from "./compile.ts";
import { ANY_OBJECT } from "./json.ts";
import { Vocabulary } from "./vocabulary.ts";

/** Tokens of any bytes; the last id ends an answer, `controls` before it are control tokens. */
function tokenizerOf(pieces: string[], controls: string[] = []): Tokenizer {
  const bytes = [
    ...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)),
    ...pieces.map((piece) => new TextEncoder().encode(piece)),
  ];
  const first = bytes.length;
  const all = [...controls, "<end>"];
  return {
    vocabSize: first + all.length,
    special: { eos: first + controls.length, eot: [first + controls.length], addBos: false, addEos: false },
    bytesOf: (id: number) => bytes[id] ?? new TextEncoder().encode(all[id - first]),
    isControl: (id: number) => id >= first,
    addedTokens: all.map((content, i) => ({ id: first + i, content, control: true })),
    decode: (ids: number[]) => Buffer.concat(ids.map((id) => bytes[id] ?? Buffer.from(all[id - first]))).toString(),
  } as unknown as Tokenizer;
}

const PIECES = [
  '{"',
  '":',
  '",',
  '"}',
  "}}",
  "]",
  '": "',
  ', "',
  "true",
  "false",
  "null",
  "12",
  "0.",
  "e-",
  "\\u",
  "\\n",
  "na",
  "me",
  "中",
  "🦙",
  "  ",
  "\n",
  '"]',
  "[[",
  '\\"',
  "ab",
  "]}",
  "-1",
];
const tokenizer = tokenizerOf(PIECES);

function allowed(mask: ReturnType<typeof compileGrammar>, size: number): number[] {
  const bits = new Int32Array(Math.ceil(size / 32));
  assert.ok(mask.fill(bits));
  return Array.from({ length: size }, (_, id) => id).filter((id) => (bits[id >> 5] >> (id & 31)) & 1);
}

/** Tokens chosen at random; after `patience` of them whatever closes, ends or shortens is preferred. */
function walk(grammar: Grammar, random: () => number, using: Tokenizer = tokenizer, patience = 40): string {
  const mask = compileGrammar(grammar, using);
  const ids: number[] = [];
  while (!mask.finished) {
    const choices = allowed(mask, using.vocabSize);
    assert.ok(choices.length > 0, `nothing may follow ${JSON.stringify(using.decode(ids))}`);
    assert.ok(ids.length < 4000, `no end in sight: ${JSON.stringify(using.decode(ids).slice(0, 200))}`);
    const ends = choices.filter((id) => using.special.eot.includes(id));
    if (ends.length > 0 && (ids.length > patience || random() < 0.3)) break;
    const rest = choices.filter((id) => !ends.includes(id));
    // A string is closed before what may be text inside it is taken for a bracket.
    const starting = (marks: string): number[] =>
      ids.length > patience ? rest.filter((id) => marks.includes(String.fromCharCode(using.bytesOf(id)[0]))) : [];
    const quotes = starting('"');
    const closing = quotes.length > 0 ? quotes : starting("}]0");
    const from = closing.length > 0 && random() < 0.7 ? closing : rest;
    const id = from[Math.floor(random() * from.length)];
    ids.push(id);
    mask.accept(id);
  }
  return using.decode(ids);
}

// biome-ignore lint/suspicious/noExplicitAny: values of any shape, and a mask seen from inside
type Json = any;

/** JSON Schema as the test reads it. */
function valid(value: Json, schema: Json, root: Json): boolean {
  if (typeof schema === "boolean") return schema;
  const is = (type: string): boolean =>
    type === "integer"
      ? Number.isInteger(value)
      : type === "null"
        ? value === null
        : type === "array"
          ? Array.isArray(value)
          : type === "object"
            ? typeof value === "object" && value !== null && !Array.isArray(value)
            : typeof value === type;
  if (schema.$ref !== undefined) {
    const target = schema.$ref
      .split("/")
      .slice(1)
      .reduce((at: Json, key: string) => at[key.replace("~1", "/").replace("~0", "~")], root);
    if (!valid(value, target, root)) return false;
  }
  if (schema.type !== undefined && ![schema.type].flat().some(is)) return false;
  if (schema.enum && !schema.enum.some((one: unknown) => JSON.stringify(one) === JSON.stringify(value))) return false;
  if ("const" in schema && JSON.stringify(schema.const) !== JSON.stringify(value)) return false;
  if (schema.allOf && !schema.allOf.every((one: Json) => valid(value, one, root))) return false;
  if (schema.anyOf && !schema.anyOf.some((one: Json) => valid(value, one, root))) return false;
  if (schema.oneOf && schema.oneOf.filter((one: Json) => valid(value, one, root)).length !== 1) return false;
  if (typeof value === "number") {
    if (value < schema.minimum || value > schema.maximum) return false;
    if (value <= schema.exclusiveMinimum || value >= schema.exclusiveMaximum) return false;
    if (schema.multipleOf && value % schema.multipleOf !== 0) return false;
  }
  if (typeof value === "string") {
    const { length } = Array.from(value);
    if (length < schema.minLength || length > schema.maxLength) return false;
    if (schema.pattern && !new RegExp(schema.pattern, "u").test(value)) return false;
  }
  if (Array.isArray(value)) {
    if (value.length < schema.minItems || value.length > schema.maxItems) return false;
    const prefix = schema.prefixItems ?? [];
    if (!value.every((one, i) => valid(one, prefix[i] ?? schema.items ?? true, root))) return false;
  } else if (typeof value === "object" && value !== null) {
    const keys = Object.keys(value);
    if (keys.length < schema.minProperties || keys.length > schema.maxProperties) return false;
    if ((schema.required ?? []).some((key: string) => !Object.hasOwn(value, key))) return false;
    for (const key of keys) {
      const inner =
        schema.properties && Object.hasOwn(schema.properties, key)
          ? schema.properties[key]
          : (schema.additionalProperties ?? true);
      if (!valid(value[key], inner, root)) return false;
    }
  }
  return true;
}

const object = (properties: object, required = Object.keys(properties), more: object = {}) => ({
  type: "object",
  properties,
  required,
  additionalProperties: false,
  ...more,
});
const leaves: unknown[] = [
  { type: "string" },
  { type: "integer" },
  { type: "number" },
  { type: "boolean" },
  { type: "null" },
  {},
  true,
  { type: ["string", "null"] },
  { type: ["integer", "boolean", "array"] },
  { enum: ["a", "ab", "中文", 'q"\\\n', 1, 1.5, null, { k: [1] }] },
  { const: "🦙" },
  { const: { a: { b: [] } } },
  { type: "string", minLength: 3, maxLength: 5 },
  { type: "string", maxLength: 0 },
  { type: "string", minLength: 2 },
  { type: "string", pattern: "^[a-z]{2,4}-\\d+$" },
  { type: "string", pattern: "[!-~]{2}|中$" },
  { type: "string", pattern: '^["\\\\\\n中-国]{1,4}$' },
  { type: "string", pattern: "^(?:a|b)*[^\\w\\s]$" },
  { type: "string", pattern: "^.{3}$", minLength: 1, maxLength: 9 },
  { type: "string", format: "date", maxLength: 10 },
  { type: "string", format: "uuid" },
  { type: "string", format: "date-time" },
  { type: "integer", minimum: 0, maximum: 0 },
  { type: "integer", minimum: -5, maximum: 17 },
  { type: "integer", minimum: 95, maximum: 1203 },
  { type: "integer", exclusiveMinimum: -1, exclusiveMaximum: 2 },
  { type: "integer", minimum: 9007199254740991 },
  { type: "integer", maximum: -9007199254740991 },
  { type: "integer", minimum: -2147483648, maximum: 2147483647 },
  { type: "number", minimum: 0, maximum: 1 },
  { type: "number", exclusiveMinimum: 0, exclusiveMaximum: 0.001 },
  { type: "number", minimum: -1.5, maximum: 2.25 },
  { type: "number", minimum: 1e20 },
  { type: "number", maximum: -0.5 },
  { type: "number", exclusiveMinimum: 5 },
  { type: "integer", minimum: 0.5, maximum: 3.5 },
  { type: "number", minimum: 1e300, maximum: 1.7e308 },
  { type: "integer", multipleOf: 7 },
  { type: "integer", multipleOf: 25, minimum: -100, maximum: 100 },
  { enum: [1, 5, 10, "x"], minimum: 4 },
  { enum: ["a", "bbb"], minLength: 2 },
];
const shapes: ((leaf: Json) => unknown)[] = [
  (leaf) => leaf,
  (leaf) => object({ a: leaf, 'b"中': leaf }, ["a"]),
  (leaf) => ({ type: "array", items: leaf, minItems: 1, maxItems: 3 }),
  (leaf) => ({
    anyOf: [object({ x: leaf }), { type: "array", prefixItems: [leaf, { type: "boolean" }], minItems: 1 }],
  }),
  (leaf) => ({
    $defs: { leaf, "odd/~": { $ref: "#/$defs/leaf" } },
    ...object({ v: { $ref: "#/$defs/odd~1~0" }, w: { type: "array", items: { $ref: "#/$defs/leaf" } } }),
  }),
];
const others: unknown[] = [
  {
    $defs: {
      node: object(
        {
          v: { type: "integer" },
          left: { anyOf: [{ $ref: "#/$defs/node" }, { type: "null" }] },
          next: { $ref: "#/$defs/node" },
        },
        ["v", "left"],
      ),
    },
    $ref: "#/$defs/node",
  },
  { ...object({ children: { type: "array", items: { $ref: "#" } } }) },
  {
    allOf: [
      { type: "object", properties: { a: { type: "integer" } }, required: ["a"] },
      { properties: { b: { type: "string" }, a: { minimum: 3 } }, required: ["b"] },
    ],
  },
  {
    oneOf: [
      object({ kind: { const: "a" }, n: { type: "integer" } }),
      object({ kind: { const: "b" }, s: { type: "string" } }),
    ],
  },
  { oneOf: [{ type: "string" }, { type: "integer" }] },
  { type: "object", additionalProperties: { type: "integer" } },
  {
    type: "object",
    properties: { a: { type: "string" }, ab: { type: "null" }, "": { type: "null" } },
    additionalProperties: { type: "integer" },
  },
  {
    type: "object",
    properties: { a: { type: "string" } },
    additionalProperties: { type: "integer" },
    maxProperties: 3,
  },
  { type: "object", additionalProperties: true, minProperties: 1 },
  object({ a: {}, b: {}, c: {} }, ["b"], { minProperties: 2, maxProperties: 2 }),
  { type: "object", required: ["z"] },
  {
    type: "object",
    properties: { a: { type: "integer" }, b: { type: "integer" } },
    anyOf: [{ required: ["a"] }, { required: ["b"] }],
  },
  {
    type: "array",
    items: { type: "array", items: { type: "array", maxItems: 2 }, minItems: 2 },
    minItems: 2,
    maxItems: 2,
  },
  {
    type: "array",
    prefixItems: [{ type: "integer" }, { type: "string" }],
    items: { type: "null" },
    minItems: 3,
    maxItems: 5,
  },
];
const schemas = [...leaves.flatMap((leaf) => shapes.map((shape) => shape(leaf))), ...others];

test(`${schemas.length} schemas: random walks give only valid documents`, () => {
  assert.ok(schemas.length >= 200);
  schemas.forEach((schema, i) => {
    const random = seeded(i);
    for (let n = 0; n < 3; n++) {
      const text = walk({ type: "json_schema", schema }, random, n === 2 ? smallTokenizer() : tokenizer, 10 * n);
      let value: unknown;
      try {
        value = JSON.parse(text);
      } catch {
        assert.fail(`${JSON.stringify(schema)} gave what is no JSON: ${text}`);
      }
      assert.ok(valid(value, schema, schema), `${JSON.stringify(schema)} gave ${text}`);
      assert.doesNotMatch(text, /[ \n]{3}(?=[^"]*$)/);
    }
  });
});

test("JSON objects of any content", () => {
  for (let i = 0; i < 60; i++) {
    const value = JSON.parse(walk({ type: "json_object" }, seeded(i)));
    assert.ok(typeof value === "object" && value !== null && !Array.isArray(value));
  }
});

/** Whether a text is let through and whole. */
function takes(grammar: Grammar, text: string, using: Tokenizer = tokenizer): boolean {
  const mask = compileGrammar(grammar, using);
  for (const byte of new TextEncoder().encode(text)) {
    if (!allowed(mask, using.vocabSize).includes(byte)) return false;
    mask.accept(byte);
  }
  return allowed(mask, using.vocabSize).includes(using.special.eot[0]);
}

test("ordinary documents are let through", () => {
  const schema = {
    type: "object",
    properties: {
      a: { type: "number", minimum: 0, maximum: 10 },
      s: { type: "string" },
      l: { type: "array", items: { enum: [1, 2] } },
    },
    required: ["a"],
  };
  for (const text of [
    '{"a":1}',
    '{"a": 9.5, "s": "中\\u4e2d\\ud83e\\udd99🦙"}',
    '{"a":0,"l":[]}',
    '{"a":0, "l":[1, 2,1]}',
    '{\n"a":10}',
  ])
    assert.ok(takes({ type: "json_schema", schema }, text), text);
  for (const text of [
    '{"a":11}',
    '{"a":1,}',
    '{"s":""}',
    '{"a":01}',
    '{"a":0,"l":[3]}',
    '{"a":0,"s":"\\ud83e"}',
    '{"a":0}}',
    '{"a":0',
  ])
    assert.ok(!takes({ type: "json_schema", schema }, text), text);
  for (const n of ["0", "-0", "10", "-1.5e+10", "1E5", "0.001"])
    assert.ok(takes({ type: "json_schema", schema: { type: "number" } }, n), n);
  for (const n of ["01", ".5", "5.", "+1", "1e", "--1"])
    assert.ok(!takes({ type: "json_schema", schema: { type: "number" } }, n), n);
});

test("integers between bounds are exactly those", () => {
  const random = seeded(3);
  for (let i = 0; i < 40; i++) {
    const [minimum, maximum] = [Math.floor(random() * 300 - 150), Math.floor(random() * 300 - 150)].sort(
      (a, b) => a - b,
    );
    for (let n = -160; n <= 160; n += 1 + Math.floor(random() * 5))
      assert.equal(
        takes({ type: "json_schema", schema: { type: "integer", minimum, maximum } }, String(n)),
        n >= minimum && n <= maximum,
        `${n} in ${minimum}..${maximum}`,
      );
  }
});

test("patterns: the same texts as RegExp's", () => {
  const random = seeded(5);
  const patterns = [
    "a(b|c)*d?",
    "[^a-c]+",
    "\\w{2,3}\\d",
    "(?:ab|a)(?:c|bcd)",
    "a.b",
    "x?y+z*",
    "(a|ab)(c|)",
    "[\\]a-]+",
    "",
    "\\u4e2d|\\x61{2}",
    "a{0}b{2,}",
  ];
  for (const pattern of patterns) {
    const whole = new RegExp(`^(?:${pattern})$`, "u");
    let matched = 0;
    for (let i = 0; i < 80; i++) {
      const text =
        i % 2
          ? walk({ type: "regex", pattern }, random, tokenizer, 5)
          : Array.from({ length: Math.floor(random() * 5) }, () => "abcdxyz1-]中\n"[Math.floor(random() * 12)]).join(
              "",
            );
      assert.equal(takes({ type: "regex", pattern }, text), whole.test(text), `${pattern} on ${JSON.stringify(text)}`);
      matched += Number(whole.test(text));
    }
    assert.ok(matched >= 40);
  }
});

test("EBNF: recursion, classes, counts, comments", () => {
  const text =
    '# sums\nroot ::= term ("+" term)*\nterm ::= "(" root ")" | num # nested\nnum ::= [0-9]{1,3} | "x"? "\\n"';
  for (const good of ["1", "1+22", "(1+(2))+333", "\n", "x\n"]) assert.ok(takes({ type: "ebnf", text }, good), good);
  for (const bad of ["", "1+", "1234", "(1", "x"]) assert.ok(!takes({ type: "ebnf", text }, bad), bad);
});

test("masks are what feeding every token's bytes gives", () => {
  const grammars: Grammar[] = [
    { type: "json_object" },
    {
      type: "json_schema",
      schema: object({
        name: { type: "string", pattern: "^[a中]+$" },
        n: { type: "integer", minimum: -12, maximum: 120 },
      }),
    },
    { type: "regex", pattern: "(ab|a)*(true|12)+" },
  ];
  grammars.forEach((grammar, g) => {
    const random = seeded(g);
    for (let round = 0; round < 8; round++) {
      const mask = compileGrammar(grammar, tokenizer);
      const taken: number[] = [];
      for (let step = 0; step < 25 && !mask.finished; step++) {
        const choices = allowed(mask, tokenizer.vocabSize);
        for (let id = 0; id < tokenizer.vocabSize - 1; id++) {
          const again = compileGrammar(grammar, tokenizer) as Json;
          for (const before of taken) again.accept(before);
          let state = again.state;
          for (const byte of tokenizer.bytesOf(id)) state = state && again.automaton.step(state, byte);
          assert.equal(choices.includes(id), state !== null, `token ${id} after ${tokenizer.decode(taken)}`);
        }
        const rest = choices.filter((id) => id < tokenizer.vocabSize - 1);
        taken.push(rest[Math.floor(random() * rest.length)]);
        mask.accept(taken.at(-1)!);
      }
    }
  });
});

test("what cannot be satisfied or is not supported is refused with its place", () => {
  const schema = (one: unknown): Grammar => ({ type: "json_schema", schema: one });
  const cases: [Grammar, RegExp][] = [
    [schema(false), /finite text/],
    [schema({ type: "integer", minimum: 3, maximum: 2 }), /finite text/],
    [schema({ enum: [] }), /finite text/],
    [schema({ $defs: { a: object({ a: { $ref: "#/$defs/a" } }) }, $ref: "#/$defs/a" }), /finite text/],
    [schema({ $ref: "#/$defs/none" }), /schema\.\$ref: .*not in the schema/],
    [schema({ $ref: "#" }), /refers to itself/],
    [schema(object({ a: { not: {} } })), /schema\.properties\.a\.not/],
    [schema(object({ a: { type: "text" } })), /schema\.properties\.a\.type/],
    [schema({ oneOf: [{ type: "integer" }, { type: "number" }] }), /schema\.oneOf/],
    [schema({ type: "string", pattern: "(?=a)" }), /schema\.pattern/],
    [schema({ type: "string", minLength: 5, maxLength: 2 }), /finite text/],
    [schema({ type: "string", maxLength: 1e9 }), /too large/],
    [schema(JSON.parse(`${'{"items":'.repeat(3000)}{}${"}".repeat(3000)}`)), /nested/],
    [schema(7), /must be an object/],
    [{ type: "regex", pattern: "(a" }, /grammar\.pattern/],
    [{ type: "regex", pattern: `${"(".repeat(5000)}a` }, /nested/],
    [{ type: "ebnf", text: 'root ::= root "a" | "b"' }, /begins with itself/],
    [{ type: "ebnf", text: 'start ::= "a"' }, /root/],
    [{ type: "ebnf", text: "root ::= other" }, /other is not defined/],
    [{ type: "tools", format: "none", tools: [{ name: "f" }], choice: "auto" }, /grammar\.format/],
    [{ type: "tools", format: "deepseek-v3", tools: [{ name: "f" }], choice: { name: "g" } }, /no tool named g/],
  ];
  for (const [grammar, message] of cases) {
    assert.throws(
      () => compileGrammar(grammar, tokenizer),
      (error) => error instanceof EngineError && error.code === "unsatisfiable_grammar" && message.test(error.message),
      JSON.stringify(grammar).slice(0, 200),
    );
  }
});

const TOOLS = [
  {
    name: "weather",
    parameters: object({ city: { type: "string", maxLength: 8 }, days: { type: "integer", minimum: 1, maximum: 7 } }, [
      "city",
    ]),
  },
  {
    name: "now",
    parameters: object({
      zone: { enum: ["UTC", "CST"] },
      deep: object({ a: { type: "array", items: { type: "boolean" } } }),
    }),
  },
];
const MARKS = [
  "<｜tool▁calls▁begin｜>",
  "<｜tool▁call▁begin｜>",
  "<｜tool▁sep｜>",
  "<｜tool▁call▁end｜>",
  "<｜tool▁calls▁end｜>",
  "｜DSML｜",
  "<think>",
];

for (const name of ["deepseek-v3", "deepseek-v3.1", "deepseek-v3.2", "deepseek-v4"]) {
  for (const controls of [[], MARKS]) {
    test(`${name}: calls by name and schema, marks as ${controls.length > 0 ? "tokens" : "text"}`, () => {
      const using = tokenizerOf(PIECES, controls);
      const format = chatFormatNamed(name);
      const schemaOf = new Map(TOOLS.map((tool) => [tool.name, tool.parameters]));
      for (let i = 0; i < 12; i++) {
        const choice = i % 2 ? "required" : { name: "now" };
        const text = walk({ type: "tools", format: name, tools: TOOLS, choice }, seeded(i), using, 60);
        const parser = format.parser({ startsInThinking: false });
        const calls = new Map<number, { name: string; arguments: string }>();
        let content = "";
        for (const delta of [...parser.push(text), ...parser.end()]) {
          if (delta.type === "content") content += delta.text;
          else if (delta.type === "tool-call-start") calls.set(delta.index, { name: delta.name, arguments: "" });
          else if (delta.type === "tool-call-arguments") calls.get(delta.index)!.arguments += delta.text;
        }
        assert.ok(calls.size > 0, text);
        assert.equal(content.trim(), "", text);
        for (const call of calls.values()) {
          if (i % 2 === 0) assert.equal(call.name, "now");
          const schema = schemaOf.get(call.name);
          assert.ok(schema && valid(JSON.parse(call.arguments), schema, schema), text);
        }
      }
    });
  }
}

test("tools by choice: free text may end anywhere, a begun call must be finished", () => {
  const using = tokenizerOf(PIECES, MARKS);
  const mask = compileGrammar({ type: "tools", format: "deepseek-v3.1", tools: TOOLS, choice: "auto" }, using);
  const end = using.special.eot[0];
  const begin = 256 + PIECES.length;
  for (const byte of Buffer.from("Let me <see")) mask.accept(byte);
  let choices = allowed(mask, using.vocabSize);
  assert.ok(choices.includes(end) && choices.includes(begin) && choices.includes(65));
  mask.accept(begin);
  choices = allowed(mask, using.vocabSize);
  assert.deepEqual(choices, [begin + 1]);
});

test("a mask over 32,000 tokens", () => {
  const random = seeded(1);
  const letters = 'etaoinshrdlu ETAOIN0123456789,.:"{}[]中国\n';
  const pieces = Array.from({ length: 32_000 - 257 }, () =>
    Array.from({ length: 1 + Math.floor(random() * 7) }, () => letters[Math.floor(random() * letters.length)]).join(""),
  );
  const large = tokenizerOf(pieces);
  const started = performance.now();
  const vocabulary = new Vocabulary(large);
  const built = performance.now();
  const automaton = new Automaton(ANY_OBJECT, vocabulary.alphabet);
  let state = automaton.start;
  const times: number[] = [];
  for (const byte of Buffer.from('{"name":"some text","list":[1,2,{"a":null}],"n":-12.5e3}')) {
    const before = performance.now();
    vocabulary.maskOf(automaton, state);
    times.push(performance.now() - before);
    state = automaton.step(state, byte)!;
  }
  assert.ok(state.accepts && state.ends);
  times.sort((a, b) => a - b);
  console.log(
    `tree of 32,000 tokens ${(built - started).toFixed(0)} ms; mask of a state first met: median ${times[times.length >> 1].toFixed(2)} ms, most ${times.at(-1)!.toFixed(2)} ms`,
  );
});
