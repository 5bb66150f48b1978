// Which tokens a compressed entry pools and which entries a row sees (DeepSeek-V4 report §2.3): pure index arithmetic over packed
// documents, done on the host for each batch.

export interface WindowIndices {
  /** Whole windows of all documents. */
  windows: number;
  /** [windows · slots]: the row of each slot, −1 for none. Overlapping windows list the window before first. */
  sources: Int32Array;
  /** [windows]: position of each window's first token within its document. */
  positions: Int32Array;
  /** [rows]: first window of the row's document, and how many of them the row sees. */
  first: Int32Array;
  count: Int32Array;
}

/**
 * Windows of `ratio` tokens over rows laid out as `positions` (within the document) and `starts` (first row of the document). An
 * entry is seen by the rows at or after its window's last token: window w by positions t with w < ⌊(t + 1) / ratio⌋.
 */
export function windowIndices(
  positions: ArrayLike<number>,
  starts: ArrayLike<number>,
  ratio: number,
  overlapping: boolean,
): WindowIndices {
  const rows = positions.length;
  const sources: number[] = [];
  const starting: number[] = [];
  const first = new Int32Array(rows);
  const count = new Int32Array(rows);
  let documentFirst = 0;
  for (let row = 0; row < rows; row++) {
    const position = positions[row];
    if (position === 0) documentFirst = starting.length;
    first[row] = documentFirst;
    count[row] = Math.floor((position + 1) / ratio);
    if ((position + 1) % ratio !== 0) continue;
    const begin = row - ratio + 1;
    if (overlapping)
      for (let i = 0; i < ratio; i++) sources.push(begin - ratio >= starts[row] ? begin - ratio + i : -1);
    for (let i = 0; i < ratio; i++) sources.push(begin + i);
    starting.push(position - ratio + 1);
  }
  // A document without a whole window may lie behind the last one; its rows see none, their first only has to be a valid row.
  for (let row = 0; row < rows; row++)
    if (count[row] === 0) first[row] = Math.min(first[row], Math.max(0, starting.length - 1));
  return {
    windows: starting.length,
    sources: Int32Array.from(sources),
    positions: Int32Array.from(starting),
    first,
    count,
  };
}
