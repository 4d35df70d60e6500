/**
 * A packed batch on the device: ids, positions, spans and loss rows, with the inverse indices that the gradients of
 * gathers walk. Owns its buffers until disposed.
 */
import { invertIndex, type PackedBatch } from '../data/packing.ts';
import type { Gpu } from '../gpu/device.ts';
import type { GatherIndex } from '../ops/gather.ts';
import { Tensor } from '../tensor/tensor.ts';

export class DeviceBatch {
  readonly tokens: Tensor;
  readonly positions: Tensor;
  readonly spans: Tensor;
  readonly targets: Tensor;
  readonly sequenceOffsets: Tensor;
  /** The hidden states that carry loss. */
  readonly lossRows: GatherIndex;
  /** Rows of the embedding; with its inverse where the embedding trains. */
  readonly tokenIndex: GatherIndex;
  private readonly tensors: Tensor[] = [];

  /** `vocabulary`: the embedding's rows, where it trains and its gradient needs the inverse of the ids. */
  constructor(
    private readonly gpu: Gpu,
    packed: PackedBatch,
    vocabulary?: number,
  ) {
    const tokens = packed.ids.length;
    const upload = (data: Uint32Array, shape: number[], label: string) => {
      const tensor = Tensor.from(gpu, data, shape, label);
      this.tensors.push(tensor);
      return tensor;
    };
    const index = (indices: Tensor, values: Uint32Array, count: number): GatherIndex => {
      const { offsets, entries } = invertIndex(values, count);
      return {
        indices,
        offsets: upload(offsets, [count + 1], 'index offsets'),
        entries: upload(entries, [entries.length], 'index entries'),
      };
    };
    this.tokens = upload(packed.ids, [tokens], 'token ids');
    this.positions = upload(packed.positions, [tokens], 'positions');
    this.spans = upload(packed.spans, [tokens, 4], 'spans');
    this.targets = upload(packed.targets, [packed.targets.length], 'targets');
    this.sequenceOffsets = upload(
      packed.sequenceOffsets,
      [packed.sequenceOffsets.length],
      'sequence offsets',
    );
    const rows = upload(packed.rows, [packed.rows.length], 'loss rows');
    this.lossRows = index(rows, packed.rows, tokens);
    this.tokenIndex =
      vocabulary === undefined ? { indices: this.tokens } : index(this.tokens, packed.ids, vocabulary);
  }

  dispose(): void {
    for (const tensor of this.tensors) this.gpu.pool.release(tensor);
  }
}
