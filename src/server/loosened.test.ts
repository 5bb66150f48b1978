// What is left out of a schema that a grammar cannot hold.
import assert from "node:assert/strict";
import { test } from "node:test";
import { loosened } from "./loosened.ts";

test("keywords that a grammar cannot hold are left out at every depth, the others stay", () => {
  const schema = {
    type: "object",
    properties: {
      not: { type: "string", pattern: "^a", not: { const: "ab" } },
      list: {
        type: "array",
        items: { anyOf: [{ type: "integer", multipleOf: 3 }, { $ref: "#/$defs/x" }] },
        uniqueItems: true,
      },
    },
    required: ["not"],
    additionalProperties: false,
    if: { required: ["list"] },
    $defs: { x: { type: "object", patternProperties: { "^y": {} }, additionalProperties: false } },
  };
  assert.deepEqual(loosened(schema), {
    type: "object",
    properties: {
      not: { type: "string" },
      list: { type: "array", items: { anyOf: [{ type: "integer" }, { $ref: "#/$defs/x" }] } },
    },
    required: ["not"],
    additionalProperties: false,
    $defs: { x: { type: "object" } },
  });
});
