// Judges a solution by exact arithmetic, without any model: which step is wrong, what should stand there, is the answer right.
import { checkSteps, understand, verify } from "weir";

const question = "3x+5=20";
const thinking = "3x=20-5\n20-5=14\nx=14/3";
const task = understand(question);
if (!task) throw new Error(`'${question}' is no exercise that the tutor's checker knows`);
for (const step of checkSteps(thinking, question))
  console.log(step.ok ? "✓" : "✗", step.text, step.explanation?.en ?? "");
for (const box of ["14/3", "5"]) {
  const { correct } = verify(task, { reasoningContent: thinking, content: `The answer is \\boxed{${box}}.` });
  console.log(`${box} is ${correct ? "right" : "wrong"}`);
}
