/**
 * Cosines and sines of a model's rotary positions on the device: one table per set of frequencies, shared by layers, as
 * long as the longest sequence so far. A model's own limit may be a hundred times that.
 */
import type { Gpu } from '../gpu/device.ts';
import type { ModelConfig } from '../io/config.ts';
import { ropeTable } from '../ops/rope.ts';
import { Tensor } from '../tensor/tensor.ts';
import { rotaryFrequencies } from './rotary.ts';

/** Initial length of a table, which grows by doubling. */
const FEWEST_POSITIONS = 256;

export class RotaryTables {
  private readonly tables = new Map<string, Tensor>();

  constructor(
    private readonly gpu: Gpu,
    private readonly config: ModelConfig,
  ) {
    for (let layer = 0; layer < config.numHiddenLayers; layer++) this.ofLayer(layer, 1);
  }

  /**
   * (P, pairs, 2) of a layer, P at least `length`; the caller enforces the model's limit. Undefined for a layer without
   * positions.
   */
  ofLayer(layer: number, length: number): Tensor | undefined {
    const rotary = this.config.layers[layer]?.rotary;
    if (!rotary) return undefined;
    const key = JSON.stringify(rotary);
    const known = this.tables.get(key);
    if (known && known.shape[0] >= length) return known;
    // Recorded work that uses the old table still runs before its buffer is reused.
    if (known) this.gpu.pool.release(known);
    const { headDim } = this.config;
    const positions = this.positionsFor(length);
    const frequencies = rotaryFrequencies(headDim, rotary);
    const values = ropeTable(positions, frequencies, rotary.attentionFactor);
    const table = Tensor.from(this.gpu, values, [positions, frequencies.length, 2], 'rope turns', 'caches');
    this.tables.set(key, table);
    return table;
  }

  /** Bytes of each table for sequences of up to `length` tokens. */
  sizesFor(length: number): number[] {
    return Array.from(this.tables.values(), ({ shape }) => this.positionsFor(length) * shape[1] * 8);
  }

  dispose(): void {
    for (const table of this.tables.values()) this.gpu.pool.release(table);
    this.tables.clear();
  }

  private positionsFor(length: number): number {
    const doubled = 2 ** Math.ceil(Math.log2(Math.max(length, FEWEST_POSITIONS)));
    return Math.max(length, Math.min(doubled, this.config.maxPositionEmbeddings));
  }
}
