// Prints a program for a person to read: one line per instruction, with shapes and where temps lie.
import { type Plan, planMemory } from "./plan.ts";
import { type Program, showDim, type Tensor } from "./program.ts";

/** The listing that `weir inspect --program` shows. */
export function printProgram(program: Program, plan: Plan = planMemory(program)): string {
  const lines = [`program ${program.name}`];
  for (const register of program.registers) lines.push(`  register ${register.name} <= ${register.max}`);
  for (const tensor of program.tensors) {
    if (tensor.kind !== "temp" && !tensor.viewOf)
      lines.push(`  ${tensor.kind} ${tensor}${tensor.range ? ` in ${tensor.range.min}..${tensor.range.max - 1}` : ""}`);
  }
  const show = (tensor: Tensor | null): string => {
    if (!tensor) return "-";
    const offset = plan.offsets.get(tensor.base.id);
    return offset === undefined ? tensor.name : `${tensor.name}@${offset}[${tensor.shape.map(showDim).join(",")}]`;
  };
  program.instructions.forEach(({ op, inputs, outputs, ints, floats }, at) => {
    const attributes = [
      ...op.ints.map((name, i) => `${name}=${ints[i]}`),
      ...op.floats.map((name, i) => `${name}=${floats[i]}`),
    ];
    const barrier = plan.barrierBefore[at] ? "|" : " ";
    lines.push(
      `${String(at).padStart(5)} ${barrier} ${outputs.map(show).join(", ")} = ${op.name}(${[...inputs.map(show), ...attributes].join(", ")})`,
    );
  });
  lines.push(`  arena ${plan.arenaBytes} bytes`);
  return lines.join("\n");
}
