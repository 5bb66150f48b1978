// Opens the tutor and asks it something: the thinking and the answer as they come, then what is needed to compute the same answer
// again. `node examples/ask.ts "3x+5=20"`; any other model directory or GGUF file opens the same way.
import { converse, openModel } from "weir";

const question = process.argv[2] ?? "12*34";
const model = await openModel("models/tutor");
let thinking = false;
const reply = await converse(
  model,
  { messages: [{ role: "user", content: question }] },
  { maxTokens: 300, sampling: { temperature: 0 } },
  (delta) => {
    if (delta.type !== "reasoning" && delta.type !== "content") return;
    if (thinking && delta.type === "content") process.stdout.write("\n\n");
    thinking = delta.type === "reasoning";
    process.stdout.write(delta.text);
  },
);
const { promptTokens, completionTokens, decodeMs } = reply.usage;
console.log(
  `\n${promptTokens} + ${completionTokens} tokens, ${Math.round(decodeMs)} ms, finished by ${reply.finishReason}`,
);
console.log(`receipt: weights ${reply.receipt.weightsHash.slice(0, 12)}…, seed ${reply.receipt.seed}`);
await model.engine.close();
