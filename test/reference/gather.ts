/** Rows of a table by index: token embeddings, and the hidden states that the loss is computed from. */
import type { Reals } from './arrays.ts';

/** y (ids.length, cols) with y[n] = table[ids[n]]; table is (anything, cols). */
export function gather(table: Reals, ids: Reals, cols: number): Float64Array {
  const y = new Float64Array(ids.length * cols);
  for (let n = 0; n < ids.length; n++) {
    for (let i = 0; i < cols; i++) y[n * cols + i] = table[ids[n] * cols + i];
  }
  return y;
}

/** dtable (tableRows, cols): rows named several times add up, rows never named stay zero. */
export function gatherBackward(dy: Reals, ids: Reals, tableRows: number, cols: number): Float64Array {
  const dtable = new Float64Array(tableRows * cols);
  for (let n = 0; n < ids.length; n++) {
    for (let i = 0; i < cols; i++) dtable[ids[n] * cols + i] += dy[n * cols + i];
  }
  return dtable;
}
