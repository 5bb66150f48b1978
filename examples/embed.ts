// Turns texts into vectors and finds the nearest to a question. The vectors are the model's own hidden states, averaged: good enough to
// tell kinds of exercise apart, no replacement for a model trained to embed.
import { openModel } from "weir";

const texts = ["12*34", "3x+5=20", "小明有12个苹果，吃了5个，还剩几个？"];
const question = process.argv[2] ?? "7x-2=19";
const model = await openModel("models/tutor");
const [asked, ...known] = await model.engine.embed([question, ...texts].map((text) => model.tokenizer.encode(text)));
const ranked = known
  .map((vector, i) => ({ text: texts[i], cosine: vector.reduce((sum, x, j) => sum + x * asked[j], 0) }))
  .sort((a, b) => b.cosine - a.cosine);
for (const { text, cosine } of ranked) console.log(cosine.toFixed(3), text);
await model.engine.close();
