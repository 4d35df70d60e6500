/**
 * Gathers rows of a table by index: token embeddings, hidden states that are scored.
 */
import shader from '../../shaders/layers/gather.wgsl';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { partsOf } from './parts.ts';
import { bound, formatOf, inBlocksOfRows, weightKernels } from './weights.ts';

export const gatherKernels = weightKernels(shader, 'one', {
  forward: { threads: (p) => p.rows * p.cols },
  backward: { threads: (p) => p.count * p.cols },
});

/** An index and its inverse: for every row of the table, the positions in the index that read it, ascending. */
export interface GatherIndex {
  /** (R) u32 */
  indices: Tensor;
  /** (T + 1) u32; needed only where the table needs a gradient. */
  offsets?: Tensor;
  /** (R) u32 */
  entries?: Tensor;
}

/** table (T, d), index (R) → y (R, d), scaled. */
export function gather(
  tape: Tape,
  table: Tensor,
  { indices, offsets, entries }: GatherIndex,
  scale = 1,
): Tensor {
  const { gpu } = tape;
  const y = tape.empty([indices.length, table.cols], 'gathered rows');
  const params = { rows: indices.length, cols: table.cols, scale };
  inBlocksOfRows(gpu, table, (block, start) => {
    const ofBlock = { ...params, start, count: block.rows, accumulate: 0, skipped: 0, most: 0 };
    gatherKernels[formatOf(table)].forward(gpu, { weights: bound(block), indices, y }, ofBlock);
  });
  const backward = () => {
    const slot = tape.gradient(table);
    if (!slot) return;
    if (!offsets || !entries)
      throw new Error(`gather: ${table} needs a gradient, but the index has no inverse`);
    const dy = y.grad!;
    const { accumulate } = slot;
    inBlocksOfRows(gpu, slot.grad, (dtable, start) => {
      // All entries may read the same row.
      for (const { first, count } of partsOf(gpu, entries.length)) {
        const readers = { skipped: first, most: count, accumulate: first > 0 ? 1 : accumulate };
        const ofBlock = { ...params, start, count: dtable.rows, ...readers };
        gatherKernels.f32.backward(gpu, { dy, offsets, entries, dtable }, ofBlock);
      }
    });
  };
  tape.record({ inputs: [table], outputs: [y], reads: [], backward });
  return y;
}
