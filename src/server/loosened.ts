// Tools whose schemas say more than a grammar can hold: what remains of a schema when those keywords are left out. It lets
// through everything that the full schema does, so calls stay well formed and the client's own check decides about the rest.

/** The keywords that a grammar holds (engine/grammar/json.ts) and that only ever narrow; others are dropped. */
const kept = new Set([
  "type",
  "enum",
  "const",
  "required",
  "properties",
  "additionalProperties",
  "items",
  "anyOf",
  "$ref",
  "$defs",
  "definitions",
]);
/** Keywords whose value maps names to schemas. */
const maps = new Set(["properties", "$defs", "definitions"]);

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** A schema that accepts at least what `schema` accepts. */
export function loosened(schema: unknown): unknown {
  if (!isObject(schema)) return schema;
  // With pattern properties, "no other properties" would forbid those that match.
  const open = Object.hasOwn(schema, "patternProperties");
  const entries = Object.entries(schema).flatMap(([key, value]): [string, unknown][] => {
    if (!kept.has(key) || (open && key === "additionalProperties")) return [];
    if (maps.has(key) && isObject(value))
      return [[key, Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, loosened(inner)]))]];
    if (key === "anyOf" && Array.isArray(value)) return [[key, value.map(loosened)]];
    if (key === "items" && Array.isArray(value)) return [];
    if (key === "items" || key === "additionalProperties") return [[key, loosened(value)]];
    return [[key, value]];
  });
  return Object.fromEntries(entries);
}
