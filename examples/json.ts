// Holds an answer to a JSON Schema: the engine lets the model write nothing that would leave it. The shipped tutor was never trained
// on JSON, so what it writes is senseless, and still always valid.
import { converse, openModel } from "weir";

const schema = {
  type: "object",
  properties: { right: { type: "boolean" }, steps: { type: "array", items: { type: "integer" }, maxItems: 3 } },
  required: ["right", "steps"],
  additionalProperties: false,
};
const model = await openModel("models/tutor");
const { content } = await converse(
  model,
  { messages: [{ role: "user", content: "12*34" }], thinking: "off" },
  { grammar: { type: "json_schema", schema }, maxTokens: 100, sampling: { seed: 7 } },
);
console.log(JSON.parse(content));
await model.engine.close();
