// Token embedding: rows of a table by id, and the gradient that adds into those rows.

import { unpackedDtype } from "../dtype.ts";
import { defineOp } from "../op.ts";
import { expectDtype, expectRank, ProgramError, type Tensor } from "../program.ts";
import { weightRow } from "./blocks.ts";
import { floats } from "./elementwise.ts";

const EMBEDDING = defineOp({
  name: "embedding",
  ints: [],
  floats: [],
  reference: ({ inputs, outputs }) => {
    const [table, ids] = inputs;
    const y = floats(outputs[0]);
    const width = outputs[0].shape[1];
    (ids.data as Int32Array).forEach((id, row) => y.set(weightRow(table, id), row * width));
  },
  backward: ({ inputs, gradOf, accumulator }) => {
    const dy = gradOf(0);
    if (dy) (inputs[0] as Tensor).program.emit(EMBEDDING_DW, [dy, inputs[1]], [accumulator(0)]);
  },
});

const EMBEDDING_DW = defineOp({
  name: "embedding_dw",
  ints: [],
  floats: [],
  inout: [0],
  reference: ({ inputs, outputs }) => {
    const [dy, dw] = [floats(inputs[0]), floats(outputs[0])];
    const width = outputs[0].shape[1];
    (inputs[1].data as Int32Array).forEach((id, row) => {
      for (let i = 0; i < width; i++) dw[id * width + i] += dy[row * width + i];
    });
  },
});

/** Rows table[ids] as f32 [T, D]; table [V, D] of any type of weights, packed or not (gradients: f32). Give `ids` the range 0..V when it is an input. */
export function embedding(table: Tensor, ids: Tensor): Tensor {
  expectRank("embedding", "table", table, 2);
  if (["i32", "i8"].includes(unpackedDtype(table.dtype)))
    throw new ProgramError(`embedding: table must hold weights, but ${table} was given`);
  expectDtype("embedding", "ids", ids, "i32");
  expectRank("embedding", "ids", ids, 1);
  if (ids.kind === "input" && (ids.range === undefined || ids.range.max > (table.shape[0] as number))) {
    throw new ProgramError(
      `embedding: ${ids} must be declared with a range within 0..${table.shape[0]}, so that bad ids are caught`,
    );
  }
  const y = table.program.temp("f32", [ids.shape[0], table.shape[1]]);
  table.program.emit(EMBEDDING, [table, ids], [y]);
  return y;
}
