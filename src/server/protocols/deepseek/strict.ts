// DeepSeek's rules for strict tools (API guide "tool calls"): what a schema may hold so that every call can be enforced.
import { invalid } from "../../errors.ts";

const types = new Set(["object", "string", "number", "integer", "boolean", "array", "null"]);
const formats = new Set(["email", "hostname", "ipv4", "ipv6", "uuid"]);
const forbidden: Record<string, string[]> = {
  string: ["minLength", "maxLength"],
  array: ["minItems", "maxItems"],
};

/** Throws, naming the place, for a schema that DeepSeek's strict mode does not take. */
export function checkStrictSchema(schema: unknown, field: string): void {
  if (typeof schema !== "object" || schema === null || Array.isArray(schema))
    throw invalid(field, "Strict mode: a schema must be an object.");
  const node = schema as Record<string, unknown>;
  for (const group of ["$defs", "$def", "definitions", "properties"]) {
    const inner = node[group];
    if (inner === undefined) continue;
    if (typeof inner !== "object" || inner === null)
      throw invalid(`${field}.${group}`, "Strict mode: this must be an object.");
    for (const [name, child] of Object.entries(inner)) checkStrictSchema(child, `${field}.${group}.${name}`);
  }
  if (Array.isArray(node.anyOf))
    for (const [at, child] of node.anyOf.entries()) checkStrictSchema(child, `${field}.anyOf[${at}]`);
  if (node.items !== undefined) checkStrictSchema(node.items, `${field}.items`);
  if (typeof node.type !== "string") {
    if (node.anyOf === undefined && node.$ref === undefined && node.enum === undefined)
      throw invalid(`${field}.type`, "Strict mode: every schema needs a type, anyOf, enum or $ref.");
    return;
  }
  if (!types.has(node.type))
    throw invalid(`${field}.type`, `Strict mode: the type '${node.type.slice(0, 50)}' is not supported.`);
  for (const keyword of forbidden[node.type] ?? [])
    if (keyword in node) throw invalid(`${field}.${keyword}`, `Strict mode: ${keyword} is not supported.`);
  if (node.type === "string" && typeof node.format === "string" && !formats.has(node.format))
    throw invalid(`${field}.format`, `Strict mode: the formats are ${[...formats].join(", ")}.`);
  if (node.type !== "object") return;
  const names = Object.keys((node.properties as object | undefined) ?? {});
  const required = Array.isArray(node.required) ? node.required : [];
  const missing = names.find((name) => !required.includes(name));
  if (missing !== undefined)
    throw invalid(`${field}.required`, `Strict mode: every property must be required; '${missing}' is not.`);
  if (node.additionalProperties !== false)
    throw invalid(`${field}.additionalProperties`, "Strict mode: additionalProperties must be false.");
}
