/**
 * Rows of a table by index: embeddings of tokens, hidden states that carry loss.
 */
import shader from '../../shaders/layers/gather.wgsl';
import { kernels } from '../gpu/kernel.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';

const elements = {
  threads: (p: Readonly<Record<string, number>>) => (p.rows as number) * (p.cols as number),
};

export const gatherKernels = kernels(shader, { forward: elements, backward: elements });

/** An index and its inverse: for every row of the table, which places of the index read it, ascending. */
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
  const params = { rows: indices.length, cols: table.cols, scale, accumulate: 0 };
  gatherKernels.forward(gpu, { table, indices, y }, params);
  const backward = () => {
    const slot = tape.gradient(table);
    if (!slot) return;
    if (!offsets || !entries)
      throw new Error(`gather: ${table} needs a gradient, but the index has no inverse`);
    gatherKernels.backward(
      gpu,
      { dy: y.grad as Tensor, offsets, entries, dtable: slot.grad },
      { ...params, rows: table.rows, accumulate: slot.accumulate },
    );
  };
  tape.record({ inputs: [table], outputs: [y], backward });
  return y;
}
