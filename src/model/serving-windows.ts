// V4's compressed entries when serving: where the entries of a sequence lie in its pages, which of this step's rows complete a
// window, and what is kept of tokens whose window is not complete yet. Index arithmetic only; families/deepseek-v4.ts computes.
import type { CompressedAttention, ModelConfig } from "../checkpoint/config.ts";
import type { Executable } from "../tensor/device.ts";
import { type Dim, dim, type Program, ProgramError, type Register, type Tensor } from "../tensor/program.ts";
import type { CompressionInputs } from "./context.ts";

/** Tokens that a sequence may take back after they ran (rejected drafts) without losing what their windows need. */
export const TAKE_BACK = 16;

/**
 * An entry belongs to the page of its window's last token: pages hold whole windows (`pageSize` entries each), or a window spans
 * `stride` pages and the last of them holds its entry.
 */
export interface ServingWindows extends CompressionInputs {
  ratio: number;
  /** Entries per page of `table`. */
  pageSize: number;
  stride: number;
  /** i32 [S, n]: the pages that hold entries; the page table itself where each page does. */
  table: Tensor;
  /** i32 [W]: the entry cache's row of each new entry. */
  slots: Tensor;
  /** i32 [T]: the last entry that a row sees, −1 for none. */
  last: Tensor;
  /** Rows of state per sequence, and i32 [T] the row of the state that keeps each token, −1 where later ones of the step need it. */
  ring: number;
  keep: Tensor;
}

interface Sizes {
  maxRows: number;
  maxSequences: number;
  maxPositions: number;
  pageSize: number;
  pages: number;
}

/** Declares the inputs of every compression rate of a V4 configuration. Throws a ProgramError for pages that do not fit the windows. */
export function servingWindows(
  program: Program,
  rows: Register,
  pageTable: Tensor,
  a: CompressedAttention,
  sizes: Sizes,
): Map<number, ServingWindows> {
  const { maxRows, maxSequences, maxPositions, pageSize, pages } = sizes;
  const found = new Map<number, ServingWindows>();
  for (const [ratio, slots] of [
    [a.sparseRate, 2 * a.sparseRate],
    [a.heavyRate, a.heavyRate],
  ]) {
    if (pageSize % ratio !== 0 && ratio % pageSize !== 0)
      throw new ProgramError(
        `pages of ${pageSize} tokens and windows of ${ratio}: one must be a multiple of the other`,
      );
    const perPage = Math.max(1, pageSize / ratio);
    const stride = Math.max(1, ratio / pageSize);
    const ring = slots + TAKE_BACK;
    const count = program.register(`W${ratio}`, Math.min(maxRows, Math.floor(maxRows / ratio) + maxSequences));
    const index = (name: string, shape: Dim[], min: number, max: number): Tensor =>
      program.input(`windows.${ratio}.${name}`, "i32", shape, { min, max });
    const tables = Math.max(1, Math.floor(maxPositions / pageSize / stride));
    found.set(ratio, {
      count,
      ratio,
      pageSize: perPage,
      stride,
      ring,
      table: stride === 1 ? pageTable : index("table", [maxSequences, tables], 0, pages),
      sources: index("sources", [dim(count), slots], -1 - maxSequences * ring, maxRows),
      positions: index("positions", [dim(count)], 0, maxPositions),
      slots: index("slots", [dim(count)], -1, pages * perPage),
      last: index("last", [dim(rows)], -1, tables * perPage),
      keep: index("keep", [dim(rows)], -1, maxSequences * ring),
    });
  }
  return found;
}

/** Rows of one sequence in a step: its tokens from … from + count − 1, whose pages are `pages`. */
export interface ServingChunk {
  /** Row of the page table. */
  slot: number;
  from: number;
  count: number;
  pages: readonly number[];
  /** Tokens whose pages were found in the cache: they and their entries are there already. */
  cached: number;
}

/** Writes the window indices of a step's chunks, which follow each other as rows; returns the registers. */
export function fillServingWindows(
  windows: ReadonlyMap<number, ServingWindows>,
  run: Executable,
  chunks: readonly ServingChunk[],
): Record<string, number> {
  const registers: Record<string, number> = {};
  for (const w of windows.values()) {
    const { ratio, ring, stride, pageSize } = w;
    const view = (tensor: Tensor): Int32Array => run.buffer(tensor).view() as Int32Array;
    const [sources, positions, slots, last, keep] = [w.sources, w.positions, w.slots, w.last, w.keep].map(view);
    const width = w.sources.shape[1] as number;
    let [count, row] = [0, 0];
    for (const chunk of chunks) {
      const { slot, from, pages } = chunk;
      const end = from + chunk.count;
      const state = (position: number): number => slot * ring + (position % ring);
      if (stride > 1) {
        const table = view(w.table);
        const columns = w.table.shape[1] as number;
        for (let entry = 0; (entry + 1) * ratio <= end; entry++)
          table[slot * columns + entry] = pages[(entry + 1) * stride - 1];
      }
      for (let position = from; position < end; position++) {
        const entry = Math.floor((position + 1) / ratio) - 1;
        last[row + position - from] = entry;
        keep[row + position - from] = end - position > ring ? -1 : state(position);
        if ((position + 1) % ratio !== 0 || position < chunk.cached) continue;
        for (let i = 0; i < width; i++) {
          const at = position - width + 1 + i;
          sources[count * width + i] = at >= from ? row + at - from : at < 0 ? -1 : -2 - state(at);
        }
        positions[count] = position - ratio + 1;
        slots[count] =
          stride > 1
            ? pages[(entry + 1) * stride - 1]
            : pages[Math.floor(entry / pageSize)] * pageSize + (entry % pageSize);
        count++;
      }
      row += chunk.count;
    }
    registers[w.count.name] = count;
  }
  return registers;
}

/**
 * Where a sequence goes on whose first `cached` tokens are in pages: at `cached`, or for V4 so much earlier that the tokens its next
 * entries pool are computed (their state is not in pages).
 */
export function resumeAt({ attention: a, layerTypes }: ModelConfig, cached: number): number {
  if (a.kind !== "compressed") return cached;
  const heavy = layerTypes.includes("heavily_compressed") ? Math.floor(cached / a.heavyRate) * a.heavyRate : cached;
  const sparse = layerTypes.includes("compressed_sparse")
    ? (Math.floor(cached / a.sparseRate) - 1) * a.sparseRate
    : cached;
  return Math.max(0, Math.min(heavy, sparse));
}
