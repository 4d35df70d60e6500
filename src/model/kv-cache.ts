/**
 * Keys and values of all layers during generation: rows for prompts, packed and without padding, each prompt once regardless of
 * the number of its sequences; and rows for the sequences' own tokens. One buffer per layer for keys
 * and one for values, allocated from the pool. The caller assigns the rows.
 */
import type { Gpu } from '../gpu/device.ts';
import type { ModelConfig } from '../io/config.ts';
import type { LayerCache } from '../ops/decode-attention.ts';
import { Tensor } from '../tensor/tensor.ts';

/** Of the offset of a binding, in bytes. */
const BINDING_ALIGNMENT = 256;

export class KvCache {
  /** Keys and values of layer 0, of layer 1, … */
  private readonly tensors: Tensor[] = [];

  /** `rows`: tokens of all prompts and own rows of all sequences. Throws `MemoryCapError` and then leaves nothing allocated. */
  constructor(
    private readonly gpu: Gpu,
    config: ModelConfig,
    rows: number,
  ) {
    const width = config.numKeyValueHeads * config.headDim;
    try {
      for (let i = 0; i < 2 * config.numHiddenLayers; i++) {
        const view = gpu.pool.allocate(rows * width * 4, 'key-value cache', { kind: 'caches' });
        this.tensors.push(new Tensor(view, [rows, width], 'f32', 'key-value cache'));
      }
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  layer(index: number): LayerCache {
    return { keys: this.tensors[2 * index], values: this.tensors[2 * index + 1] };
  }

  /** The rows of prompts that are computed together begin at a multiple of this, because they are bound. */
  static alignment({ numKeyValueHeads, headDim }: ModelConfig): number {
    const bytes = numKeyValueHeads * headDim * 4;
    let rows = 1;
    while ((rows * bytes) % BINDING_ALIGNMENT > 0) rows *= 2;
    return rows;
  }

  /** Copies the keys and values of prompts, (N, kvHeads · headDim), into the rows from `from` on. */
  storePrompts(index: number, from: number, keys: Tensor, values: Tensor): void {
    const cache = this.layer(index);
    this.gpu.recorder.copy(keys, cache.keys.rowsFrom(from, keys.rows), keys.length * 4);
    this.gpu.recorder.copy(values, cache.values.rowsFrom(from, values.rows), values.length * 4);
  }

  dispose(): void {
    for (const tensor of this.tensors.splice(0)) this.gpu.pool.release(tensor);
  }
}
