// Checks that the builders of index-reading instructions share: an index tensor that comes from outside must declare a range
// within what it indexes, so that the device can catch a wrong index before a kernel sees it.
import { type Dim, expectDtype, expectShape, maxDim, ProgramError, type Tensor } from "../program.ts";

/**
 * Throws a ProgramError unless `tensor` is i32 of `shape` and, where it is an input, declares a range within min..below−1.
 * A tensor computed by the program itself is trusted: its instruction guarantees the range.
 */
export function expectIndices(
  op: string,
  what: string,
  tensor: Tensor,
  shape: readonly Dim[],
  below: Dim,
  min = 0,
): void {
  expectDtype(op, what, tensor, "i32");
  expectShape(op, what, tensor, shape);
  const { range } = tensor.base;
  if (tensor.base.kind === "temp" || tensor.base.kind === "output") return;
  if (!range || range.min < min || range.max > maxDim(below)) {
    const given = range ? `${range.min}..${range.max - 1}` : "none";
    throw new ProgramError(
      `${op}: ${what} must be declared with a range within ${min}..${maxDim(below) - 1}, but ${tensor} has ${given}`,
    );
  }
}

/** The dimension as a number; throws a ProgramError where it is a register. */
export function fixedDim(op: string, what: string, d: Dim): number {
  if (typeof d !== "number") throw new ProgramError(`${op}: ${what} must be fixed when the program is built`);
  return d;
}
