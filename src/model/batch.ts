/**
 * A packed batch on the device: ids, positions, spans, scored rows and columns, with the inverse indices for the gradients
 * of gathers. Owns its buffers until disposed.
 */
import { invertIndex, type PackedBatch } from '../data/packing.ts';
import type { Gpu } from '../gpu/device.ts';
import type { GatherIndex } from '../ops/gather.ts';
import { Tensor } from '../tensor/tensor.ts';

/** Number of rows of trained tables, whose gradients need the inverse of their index. */
export interface TableRows {
  vocabulary: number;
  /** Rows of learned positions. */
  positions?: number | undefined;
}

export class DeviceBatch {
  readonly tokens: Tensor;
  readonly positions: Tensor;
  /** One more than the highest position. */
  readonly length: number;
  readonly spans: Tensor;
  readonly targets: Tensor;
  readonly sequenceOffsets: Tensor;
  /** Additional columns that the loss reads, by name. */
  readonly columns: Readonly<Record<string, Tensor>>;
  /** Indices of the hidden states that are scored. */
  readonly lossRows: GatherIndex;
  /** Rows of the embedding; includes the inverse index if the embedding trains. */
  readonly tokenIndex: GatherIndex;
  /** Rows of the position embedding; includes the inverse index if it trains. */
  readonly positionIndex: GatherIndex;
  private readonly tensors: Tensor[] = [];

  /** `tables`: given if all weights train. */
  constructor(
    private readonly gpu: Gpu,
    packed: PackedBatch,
    tables?: TableRows,
  ) {
    const tokens = packed.ids.length;
    const upload = (data: Uint32Array | Float32Array, shape: number[], label: string) => {
      const tensor = Tensor.from(gpu, data, shape, label, 'batch');
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
    this.length = packed.positions.reduce((most, position) => Math.max(most, position + 1), 0);
    this.spans = upload(packed.spans, [tokens, 4], 'spans');
    this.targets = upload(packed.targets, [packed.targets.length], 'targets');
    this.sequenceOffsets = upload(
      packed.sequenceOffsets,
      [packed.sequenceOffsets.length],
      'sequence offsets',
    );
    const columns = Object.entries(packed.columns).map(([name, values]): [string, Tensor] => [
      name,
      upload(values, [values.length], `column ${name}`),
    ]);
    this.columns = Object.fromEntries(columns);
    const rows = upload(packed.rows, [packed.rows.length], 'loss rows');
    this.lossRows = index(rows, packed.rows, tokens);
    const table = (indices: Tensor, values: Uint32Array, rows: number | undefined) =>
      rows === undefined ? { indices } : index(indices, values, rows);
    this.tokenIndex = table(this.tokens, packed.ids, tables?.vocabulary);
    this.positionIndex = table(this.positions, packed.positions, tables?.positions);
  }

  dispose(): void {
    for (const tensor of this.tensors) this.gpu.pool.release(tensor);
  }
}
