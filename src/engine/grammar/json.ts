// JSON Schema as an expression. Answers are written compactly, with at most one space or newline after each bracket, colon and comma and before a closing bracket,
// properties in the schema's order; every document the expression allows satisfies the schema, not always the other way round.
import {
  alt,
  characters,
  complement,
  EMPTY,
  type Expr,
  LAST_POINT,
  literal,
  NEVER,
  normalRanges,
  oneOf,
  optional,
  type Range,
  refuse,
  repeat,
  rule,
  seq,
} from "./expr.ts";
import { INTEGER, NUMBER, numbers } from "./numbers.ts";
import { type Encoding, regex } from "./regex.ts";

type Schema = Record<string, unknown>;

const GAP = optional(oneOf(" \n"));
const HEX = oneOf("0123456789abcdefABCDEF");
const SHORT: Record<number, string> = { 8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\" };
const PLAIN = complement([
  [0, 31],
  [34, 34],
  [92, 92],
]);

/** A character inside a JSON string, written in every way JSON has except unpaired surrogates (RFC 8259, 7). */
const CHARACTER = rule(
  "character",
  alt(
    characters(PLAIN),
    seq(
      literal("\\"),
      alt(
        oneOf('"\\/bfnrt'),
        seq(
          literal("u"),
          alt(seq(oneOf("0123456789abcefABCEF"), HEX, HEX, HEX), seq(oneOf("dD"), oneOf("01234567"), HEX, HEX)),
        ),
        seq(
          literal("u"),
          oneOf("dD"),
          oneOf("89abAB"),
          HEX,
          HEX,
          literal("\\u"),
          oneOf("dD"),
          oneOf("cdefCDEF"),
          HEX,
          HEX,
        ),
      ),
    ),
  ),
);
const STRING = rule("string", seq(literal('"'), repeat(CHARACTER, 0), literal('"')));
const ANY = rule("value");
const member = seq(STRING, literal(":"), GAP, ANY);
const list = (open: string, item: Expr, close: string): Expr =>
  seq(literal(open), GAP, optional(seq(item, repeat(seq(literal(","), GAP, item), 0), GAP)), literal(close));
export const ANY_OBJECT = rule("object", list("{", member, "}"));
const ANY_ARRAY = rule("array", list("[", ANY, "]"));
const BOOLEAN = alt(literal("true"), literal("false"));
ANY.rule.body = alt(ANY_OBJECT, ANY_ARRAY, STRING, NUMBER, BOOLEAN, literal("null"));

/** Characters in a pattern, as a JSON string writes them. */
const inJson: Encoding = (ranges) => {
  const plain: Range[] = [];
  const out: Expr[] = [];
  for (const [from, to] of normalRanges(ranges)) {
    for (let point = from; point <= Math.min(to, 92); point++) {
      const short = SHORT[point] ?? (point < 32 ? `\\u${point.toString(16).padStart(4, "0")}` : undefined);
      if (short) out.push(literal(short));
      else plain.push([point, point]);
    }
    if (to > 92) plain.push([Math.max(from, 93), to]);
  }
  return alt(characters(plain), ...out);
};
const inText: Encoding = (ranges) => characters(ranges);

// biome-ignore format: one pattern a line
const FORMATS: Record<string, string> = {
  date: "^[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))$",
  time: "^(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,6})?(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])$",
  uuid: "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
  ipv4: "^(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])(?:\\.(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])){3}$",
  email: "^[A-Za-z0-9_+-]{1,32}(?:\\.[A-Za-z0-9_+-]{1,32}){0,3}@[A-Za-z0-9]{1,32}(?:\\.[A-Za-z]{2,16}){1,3}$",
};
FORMATS["date-time"] = `${FORMATS.date.slice(0, -1)}T${FORMATS.time.slice(1)}`;

const TYPES = ["null", "boolean", "object", "array", "number", "string", "integer"];
// biome-ignore format: a list
const UNSUPPORTED = ["not", "if", "then", "else", "contains", "minContains", "maxContains", "patternProperties", "propertyNames",
  "dependentRequired", "dependentSchemas", "dependencies", "unevaluatedProperties", "unevaluatedItems", "$dynamicRef", "$recursiveRef"];
const COUNTS = ["minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"];
const BOUNDS = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"];
const DEEPEST = 128;
const MOST_BRANCHES = 2000;

const isObject = (value: unknown): value is Schema =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const typeOf = (value: unknown): string => (value === null ? "null" : Array.isArray(value) ? "array" : typeof value);
const own = (object: Schema, key: string): unknown => (Object.hasOwn(object, key) ? object[key] : undefined);

export interface Field {
  name: string;
  required: boolean;
  /** Strings as they are, without quotes; undefined where the field cannot be a string. */
  raw(text: Encoding, free: Expr): Expr | undefined;
  /** The other values, as JSON; undefined where there are none. */
  rest(): Expr | undefined;
}

/** Compiles one schema document. Errors name the place as a path from `field`. */
export class SchemaCompiler {
  private readonly document: unknown;
  private readonly field: string;
  private readonly rules = new Map<unknown, Expr & { t: "rule" }>();
  private branches = 0;

  constructor(document: unknown, field: string) {
    this.document = document;
    this.field = field;
  }

  compile(): Expr {
    return this.value(this.document, this.field, 0);
  }

  /** The document's properties for a syntax that writes each by itself. */
  fields(): Field[] {
    const [schema, ...others] = this.normal(this.document, this.field, 0).filter((one) => this.allows(one, "object"));
    if (!schema || others.length > 0)
      refuse("parameters must be one object schema in this model's call syntax", this.field);
    const properties = (schema.properties ?? {}) as Schema;
    const required = new Set((schema.required ?? []) as string[]);
    for (const name of required)
      if (!Object.hasOwn(properties, name))
        refuse(`required names ${JSON.stringify(name)}, which is no property`, `${this.field}.required`);
    return Object.entries(properties).map(([name, inner]) => {
      const path = `${this.field}.properties.${name}`;
      const forms = () => this.normal(inner, path, 1);
      return {
        name,
        required: required.has(name),
        raw: (text, free) => {
          const strings = forms().filter((one) => this.allows(one, "string"));
          return strings.length === 0 ? undefined : alt(...strings.map((one) => this.text(one, path, text, free)));
        },
        rest: () => {
          const others = TYPES.filter((type) => type !== "string" && type !== "integer");
          const parts = forms().flatMap((one) =>
            others.filter((type) => this.allows(one, type)).map((type) => this.ofType(one, type, path, 1)),
          );
          return parts.length === 0 ? undefined : alt(...parts);
        },
      };
    });
  }

  /** A schema's value, by way of a rule of its own so that schemas may contain themselves. */
  private value(schema: unknown, path: string, depth: number): Expr {
    if (schema === true) return ANY;
    if (schema === false) return NEVER;
    const known = this.rules.get(schema);
    if (known) return known;
    const own = rule(path);
    if (typeof schema === "object") this.rules.set(schema, own);
    own.rule.body = alt(...this.normal(schema, path, depth).flatMap((one) => this.forms(one, path, depth)));
    return own;
  }

  /** The schema's alternatives, free of $ref, allOf, anyOf and oneOf. */
  private normal(schema: unknown, path: string, depth: number): Schema[] {
    if (depth > DEEPEST) refuse(`it is nested more than ${DEEPEST} deep, or refers to itself without end`, path);
    if (schema === true) return [{}];
    if (schema === false) return [];
    if (!isObject(schema)) refuse(`a schema must be an object, true or false, not ${JSON.stringify(schema)}`, path);
    const { $ref, allOf, anyOf, oneOf: one, ...base } = schema;
    this.check(base, path);
    let out: Schema[] = [base];
    const cross = (others: Schema[]): void => {
      out = out.flatMap((a) => others.map((b) => this.merge(a, b, path)));
      this.branches += out.length;
      if (this.branches > MOST_BRANCHES) refuse(`it has more than ${MOST_BRANCHES} alternatives in all`, path);
    };
    if ($ref !== undefined) cross(this.normal(this.resolve($ref, path), path, depth + 1));
    const listed = (value: unknown, name: string): unknown[] => {
      if (!Array.isArray(value) || value.length === 0) refuse("it must be a list of schemas", `${path}.${name}`);
      return value;
    };
    if (allOf !== undefined) {
      listed(allOf, "allOf").forEach((part, i) => cross(this.normal(part, `${path}.allOf[${i}]`, depth + 1)));
    }
    if (anyOf !== undefined)
      cross(listed(anyOf, "anyOf").flatMap((part, i) => this.normal(part, `${path}.anyOf[${i}]`, depth + 1)));
    if (one !== undefined) {
      const parts = listed(one, "oneOf").map((part, i) => this.normal(part, `${path}.oneOf[${i}]`, depth + 1));
      parts.forEach((a, i) => {
        for (const b of parts.slice(i + 1).flat()) {
          if (!a.every((form) => this.disjoint(form, b)))
            refuse("two of its schemas may hold at once; write anyOf, or tell them apart by a const", `${path}.oneOf`);
        }
      });
      cross(parts.flat());
    }
    return out;
  }

  private check(schema: Schema, path: string): void {
    for (const key of UNSUPPORTED)
      if (Object.hasOwn(schema, key)) refuse("this keyword is not supported", `${path}.${key}`);
    const { type, properties, required, uniqueItems } = schema;
    for (const name of type === undefined ? [] : Array.isArray(type) ? type : [type])
      if (!TYPES.includes(name)) refuse(`there is no type ${JSON.stringify(name)}`, `${path}.type`);
    for (const key of COUNTS) {
      const value = own(schema, key);
      if (value !== undefined && !(Number.isInteger(value) && (value as number) >= 0))
        refuse(`${JSON.stringify(value)} is no count`, `${path}.${key}`);
    }
    for (const key of BOUNDS)
      if (own(schema, key) !== undefined && !Number.isFinite(schema[key]))
        refuse(`it must be a number`, `${path}.${key}`);
    if (properties !== undefined && !isObject(properties)) refuse("it must be an object", `${path}.properties`);
    if (required !== undefined && !(Array.isArray(required) && required.every((name) => typeof name === "string")))
      refuse("it must be a list of names", `${path}.required`);
    if (schema.enum !== undefined && !Array.isArray(schema.enum)) refuse("it must be a list", `${path}.enum`);
    if (schema.pattern !== undefined && typeof schema.pattern !== "string")
      refuse("it must be text", `${path}.pattern`);
    if (uniqueItems === true && !(typeof schema.maxItems === "number" && schema.maxItems <= 1))
      refuse("this keyword is not supported", `${path}.uniqueItems`);
  }

  private resolve(ref: unknown, path: string): unknown {
    if (typeof ref !== "string" || !/^#($|\/)/.test(ref))
      refuse(`${JSON.stringify(ref)} is not a place in this schema (#/$defs/NAME)`, `${path}.$ref`);
    let at: unknown = this.document;
    for (const part of ref.split("/").slice(1)) {
      let key = part;
      try {
        key = decodeURIComponent(part);
      } catch {
        refuse(`${ref} is not a well-formed reference`, `${path}.$ref`);
      }
      key = key.replaceAll("~1", "/").replaceAll("~0", "~");
      at = typeof at === "object" && at !== null && Object.hasOwn(at, key) ? (at as Schema)[key] : undefined;
      if (at === undefined) refuse(`${ref} is not in the schema`, `${path}.$ref`);
    }
    return at;
  }

  /** A schema satisfied exactly where both are. Neither has $ref or combinations at its top. */
  private merge(a: Schema, b: Schema, path: string): Schema {
    const out: Schema = { ...a };
    for (const [key, value] of Object.entries(b)) {
      if (!Object.hasOwn(a, key)) {
        out[key] = value;
        continue;
      }
      const mine = a[key];
      if (key === "type") {
        const others = [value].flat();
        out.type = [mine].flat().flatMap((name) => {
          if (others.includes(name)) return [name];
          if (name === "integer" && others.includes("number")) return ["integer"];
          return name === "number" && others.includes("integer") ? ["integer"] : [];
        });
      } else if (key === "required") out.required = [...new Set([...(mine as string[]), ...(value as string[])])];
      else if (key.startsWith("min") || key === "exclusiveMinimum")
        out[key] = Math.max(mine as number, value as number);
      else if (key.startsWith("max") || key === "exclusiveMaximum")
        out[key] = Math.min(mine as number, value as number);
      else if (key === "enum") {
        const others = new Set((value as unknown[]).map((one) => JSON.stringify(one)));
        out.enum = (mine as unknown[]).filter((one) => others.has(JSON.stringify(one)));
      } else if (key === "items") out.items = { allOf: [mine, value] };
      else if (
        key === "const" ||
        key === "pattern" ||
        key === "multipleOf" ||
        key === "prefixItems" ||
        key === "format"
      ) {
        if (JSON.stringify(mine) === JSON.stringify(value)) continue;
        if (key === "const") out.enum = [];
        else refuse(`two different values of ${key} hold at once, which is not supported`, path);
      }
    }
    const [left, right] = [a.properties ?? {}, b.properties ?? {}] as Schema[];
    if (a.properties ?? b.properties) {
      const merged: [string, unknown][] = [];
      for (const name of new Set([...Object.keys(left), ...Object.keys(right)])) {
        const one = own(left, name) ?? a.additionalProperties;
        const two = own(right, name) ?? b.additionalProperties;
        merged.push([name, one === undefined ? (two ?? true) : two === undefined ? one : { allOf: [one, two] }]);
      }
      out.properties = Object.fromEntries(merged);
    }
    if (a.additionalProperties !== undefined && b.additionalProperties !== undefined)
      out.additionalProperties = { allOf: [a.additionalProperties, b.additionalProperties] };
    if (a.additionalProperties === false || b.additionalProperties === false) out.additionalProperties = false;
    return out;
  }

  private constants(schema: Schema): unknown[] | undefined {
    if (Object.hasOwn(schema, "const")) {
      if (schema.enum === undefined) return [schema.const];
      return (schema.enum as unknown[]).filter((one) => JSON.stringify(one) === JSON.stringify(schema.const));
    }
    return schema.enum as unknown[] | undefined;
  }

  /** Whether no value can satisfy both; false where that is not certain. */
  private disjoint(a: Schema, b: Schema): boolean {
    const mine = this.constants(a);
    const others = this.constants(b);
    if (mine && others) {
      const texts = new Set(mine.map((one) => JSON.stringify(one)));
      if (others.every((one) => !texts.has(JSON.stringify(one)))) return true;
    }
    const common = TYPES.filter((type) => type !== "integer" && this.allows(a, type) && this.allows(b, type));
    if (common.length === 0) return true;
    if (common.length > 1 || common[0] !== "object") return false;
    const lacks = (one: Schema, other: Schema): boolean =>
      one.additionalProperties === false &&
      ((other.required ?? []) as string[]).some((name) => !Object.hasOwn((one.properties ?? {}) as Schema, name));
    if (lacks(a, b) || lacks(b, a)) return true;
    const names = ((a.required ?? []) as string[]).filter((name) => ((b.required ?? []) as string[]).includes(name));
    return names.some((name) => {
      const [x, y] = [own((a.properties ?? {}) as Schema, name), own((b.properties ?? {}) as Schema, name)];
      return (
        isObject(x) &&
        isObject(y) &&
        !("$ref" in x) &&
        !("$ref" in y) &&
        !("anyOf" in x) &&
        !("anyOf" in y) &&
        this.disjoint(x, y)
      );
    });
  }

  /** Whether values of a type (`number` for integers too) may satisfy it. */
  private allows(schema: Schema, type: string): boolean {
    const constants = this.constants(schema);
    if (constants && !constants.some((one) => typeOf(one) === type)) return false;
    if (schema.type === undefined) return true;
    const types = [schema.type].flat();
    return types.includes(type) || (type === "number" && types.includes("integer"));
  }

  private forms(schema: Schema, path: string, depth: number): Expr[] {
    return TYPES.filter((type) => type !== "integer" && this.allows(schema, type)).map((type) =>
      this.ofType(schema, type, path, depth),
    );
  }

  private ofType(schema: Schema, type: string, path: string, depth: number): Expr {
    const constants = this.constants(schema);
    if (constants) {
      const fitting = constants.filter((one) => typeOf(one) === type && this.holds(one, schema, path));
      return alt(...fitting.map((one) => literal(JSON.stringify(one))));
    }
    if (type === "null") return literal("null");
    if (type === "boolean") return BOOLEAN;
    if (type === "number") {
      const types = schema.type === undefined ? ["number"] : [schema.type].flat();
      const integer = !types.includes("number");
      if (!BOUNDS.some((key) => own(schema, key) !== undefined)) return integer ? INTEGER : NUMBER;
      return numbers(schema, integer, path);
    }
    if (type === "string")
      return seq(literal('"'), this.text(schema, path, inJson, repeat(CHARACTER, 0)), literal('"'));
    return type === "array" ? this.array(schema, path, depth) : this.object(schema, path, depth);
  }

  /** Whether a constant satisfies the keywords beside it. */
  private holds(value: unknown, schema: Schema, path: string): boolean {
    if (typeof value === "string") {
      const length = Array.from(value).length;
      if (length < ((schema.minLength as number) ?? 0)) return false;
      if (length > ((schema.maxLength as number) ?? Number.POSITIVE_INFINITY)) return false;
      if (schema.pattern === undefined) return true;
      try {
        return new RegExp(schema.pattern as string, "u").test(value);
      } catch {
        refuse(`${JSON.stringify(schema.pattern)} is no regular expression`, `${path}.pattern`);
      }
    }
    if (typeof value === "number") {
      const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = schema as Record<string, number>;
      const types = schema.type === undefined ? ["number"] : [schema.type].flat();
      return !(
        value < minimum ||
        value > maximum ||
        value <= exclusiveMinimum ||
        value >= exclusiveMaximum ||
        (multipleOf !== undefined && value % multipleOf !== 0) ||
        (!types.includes("number") && !Number.isInteger(value))
      );
    }
    if (typeof value === "object" && value !== null) {
      for (const key of ["properties", "required", "additionalProperties", "items", "prefixItems", ...COUNTS])
        if (schema[key] !== undefined)
          refuse(`${key} beside constants that are objects or lists is not supported`, path);
    }
    return true;
  }

  /** A string's characters. `free`: any text, as the encoding writes it. */
  private text(schema: Schema, path: string, encoding: Encoding, free: Expr): Expr {
    const constants = this.constants(schema);
    if (constants) {
      const fitting = constants.filter((one) => typeof one === "string" && this.holds(one, schema, path)) as string[];
      return alt(
        ...fitting.map((one) => (encoding === inJson ? literal(JSON.stringify(one).slice(1, -1)) : literal(one))),
      );
    }
    const { minLength = 0, maxLength = Number.POSITIVE_INFINITY } = schema as Record<string, number>;
    const pattern =
      schema.pattern ?? FORMATS[Object.hasOwn(FORMATS, String(schema.format)) ? String(schema.format) : ""];
    if (pattern !== undefined) {
      const { expr, min, max } = regex(pattern as string, encoding, true, `${path}.pattern`);
      if (min < minLength || max > maxLength)
        refuse(
          "lengths that the pattern does not imply are not supported beside it; put them into the pattern",
          `${path}.pattern`,
        );
      return expr;
    }
    if (minLength === 0 && maxLength === Number.POSITIVE_INFINITY) return free;
    return repeat(encoding === inJson ? CHARACTER : encoding([[0, LAST_POINT]]), minLength, maxLength);
  }

  private array(schema: Schema, path: string, depth: number): Expr {
    const prefix = (schema.prefixItems ?? []) as unknown[];
    if (!Array.isArray(prefix)) refuse("it must be a list", `${path}.prefixItems`);
    const { minItems = 0, maxItems = Number.POSITIVE_INFINITY } = schema as Record<string, number>;
    if (Array.isArray(schema.items)) refuse("a list here is the old form; write prefixItems", `${path}.items`);
    // After a prefix no more items are written unless the schema speaks of them.
    const closed = prefix.length > 0 && schema.items === undefined && minItems <= prefix.length;
    const items = closed ? NEVER : this.value(schema.items ?? true, `${path}.items`, depth + 1);
    const comma = seq(literal(","), GAP);
    const more = Math.max(0, maxItems - prefix.length);
    const least = Math.max(0, minItems - prefix.length);
    if (minItems > maxItems) return NEVER;
    // Built from the back: what may follow the first i items.
    let tail: Expr =
      prefix.length > 0
        ? repeat(seq(comma, items), least, more)
        : more === 0
          ? EMPTY
          : alt(
              ...(least === 0 ? [EMPTY] : []),
              seq(items, repeat(seq(comma, items), Math.max(0, least - 1), more - 1)),
            );
    for (let i = prefix.length - 1; i >= 0; i--) {
      const item = this.value(prefix[i], `${path}.prefixItems[${i}]`, depth + 1);
      const one = i < maxItems ? seq(i > 0 ? comma : EMPTY, item, rule("items", tail)) : NEVER;
      tail = alt(...(i >= minItems ? [EMPTY] : []), one);
    }
    return seq(literal("["), GAP, tail, GAP, literal("]"));
  }

  private object(schema: Schema, path: string, depth: number): Expr {
    const properties = (schema.properties ?? {}) as Schema;
    const required = new Set((schema.required ?? []) as string[]);
    const { minProperties = 0, maxProperties = Number.POSITIVE_INFINITY } = schema as Record<string, number>;
    const extra = schema.additionalProperties;
    const names = Object.keys(properties);
    // Required names without a schema of their own follow the additional ones.
    for (const name of required) if (!Object.hasOwn(properties, name)) names.push(name);
    const fields = names.map((name) => {
      const inner = Object.hasOwn(properties, name) ? properties[name] : (extra ?? true);
      const value = this.value(inner, `${path}.properties.${name}`, depth + 1);
      return { need: required.has(name), expr: seq(literal(`${JSON.stringify(name)}:`), GAP, value) };
    });
    // Where a schema names its properties and is silent about others, no others are written.
    let open = extra === undefined ? names.length === 0 : extra !== false;
    if (minProperties > 1 && minProperties > required.size) {
      // Additional names could repeat, so they do not count.
      if (names.length < minProperties) refuse("more properties are required than are named", `${path}.minProperties`);
      open = false;
    }
    const comma = seq(literal(","), GAP);
    const others = seq(
      this.otherName(names),
      literal(":"),
      GAP,
      open ? this.value(extra ?? true, `${path}.additionalProperties`, depth + 1) : NEVER,
    );
    const cap = Math.min(maxProperties, Number.isFinite(maxProperties) ? names.length + 1000 : names.length);
    const counted = Number.isFinite(maxProperties) || minProperties > required.size;
    // Rules by (next property, whether one is written, and their number where it matters).
    const known = new Map<string, Expr>();
    const from = (i: number, count: number): Expr => {
      const key = `${i},${counted ? count : Math.min(count, 1)}`;
      const found = known.get(key);
      if (found) return found;
      const made = rule(`${path} after ${i}`);
      known.set(key, made);
      const before = count > 0 ? comma : EMPTY;
      if (i < fields.length) {
        const { need, expr } = fields[i];
        const written = counted && count >= cap ? NEVER : seq(before, expr, from(i + 1, count + 1));
        made.rule.body = need ? written : alt(written, from(i + 1, count));
      } else {
        const room = maxProperties - count;
        const end = count >= minProperties ? [EMPTY] : [];
        const least = Math.max(0, minProperties - count - 1);
        const added = open && room > 0 ? [seq(before, others, repeat(seq(comma, others), least, room - 1))] : [];
        made.rule.body = alt(...end, ...added);
      }
      return made;
    };
    return seq(literal("{"), GAP, from(0, 0), GAP, literal("}"));
  }

  /** A name as a string without escapes that is none of the given. */
  private otherName(names: readonly string[]): Expr {
    const free = repeat(characters(PLAIN), 0);
    const after = (known: string[][]): Expr => {
      if (known.length === 0) return free;
      const firsts = new Set(known.flatMap((name) => name.slice(0, 1)));
      const points = Array.from(firsts, (character): Range => {
        const point = character.codePointAt(0)!;
        return [point, point];
      });
      const different = seq(characters(complement([...points, ...complement(PLAIN)])), free);
      const same = Array.from(firsts, (character) => {
        const point = character.codePointAt(0)!;
        const rest = known.filter((name) => name[0] === character).map((name) => name.slice(1));
        return seq(
          point < 32 || point === 34 || point === 92 ? NEVER : characters([[point, point]]),
          rule("name", after(rest)),
        );
      });
      return alt(...(known.some((name) => name.length === 0) ? [] : [EMPTY]), different, ...same);
    };
    return seq(literal('"'), after(names.map((name) => Array.from(name))), literal('"'));
  }
}

export const plainText = inText;
