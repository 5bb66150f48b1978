// The paged cache when serving: this step's rows are written to their slots, then every row attends to its sequence up to its own
// position.
import {
  type CacheDtype,
  cacheColumns,
  cacheWrite,
  type PagedOptions,
  pagedAttention,
} from "../../tensor/ops/cache.ts";
import type { Tensor } from "../../tensor/program.ts";
import type { CacheInputs, ModelContext } from "../context.ts";

/** The state that keeps one row of `width` values per cached token, named for the layer and what it holds. */
function cacheState(
  ctx: ModelContext,
  name: string,
  width: number,
  dtype: CacheDtype = (ctx.cache as CacheInputs).dtype,
): Tensor {
  const { pages, pageSize } = ctx.cache as CacheInputs;
  return ctx.program.state(`cache.${name}`, dtype, [pages * pageSize, cacheColumns(dtype, width)]);
}

const flat = (ctx: ModelContext, rows: Tensor): Tensor =>
  rows.shape.length === 2 ? rows : rows.reshape(...ctx.shape((rows.shape[1] as number) * (rows.shape[2] as number)));

/** Writes the rows (one part, or two side by side) to this step's slots of the named cache and returns the cache. */
export function remember(ctx: ModelContext, name: string, ...parts: [Tensor] | [Tensor, Tensor]): Tensor {
  const rows = parts.map((part) => flat(ctx, part)) as [Tensor] | [Tensor, Tensor];
  const width = rows.reduce((sum, part) => sum + (part.shape[1] as number), 0);
  const cache = cacheState(ctx, name, width);
  return cacheWrite(rows, cache, (ctx.cache as CacheInputs).slots);
}

/** Each row of q over the cached rows of its sequence up to its position. */
export function attendCache(
  ctx: ModelContext,
  q: { q: Tensor; qTail?: Tensor; keys: Tensor; values?: Tensor; selected?: Tensor },
  options: Omit<PagedOptions, "pageSize">,
): Tensor {
  const { pageSize, pageTable, sequences } = ctx.cache as CacheInputs;
  return pagedAttention({ ...q, pageTable, rowSeq: sequences, rowPos: ctx.inputs.positions }, { ...options, pageSize })
    .out;
}
