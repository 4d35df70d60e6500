/**
 * Generation with the decoder's own layers, one operation at a time, as in training: supports any model, and is the
 * reference for testing the folded pass.
 */
import type { PackedBatch } from '../data/packing.ts';
import type { Gpu } from '../gpu/device.ts';
import { attention } from '../ops/attention.ts';
import { decodeAttention } from '../ops/decode-attention.ts';
import { feed } from '../ops/feed.ts';
import { product } from '../ops/product.ts';
import type { LiveSequences } from '../ops/sample.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { Decoder } from './decoder.ts';
import type { DecodingPass, PassOfRows, Upload } from './decoding-pass.ts';

export class LayeredPass implements DecodingPass {
  readonly bytes = 0;

  constructor(private readonly model: Decoder) {}

  prompts(
    tape: Tape,
    packed: PackedBatch,
    { cache, length }: PassOfRows,
    from: number,
    upload: Upload,
  ): Tensor {
    const { model } = this;
    const tokens = packed.ids.length;
    const spans = upload(packed.spans, [tokens, 4], 'spans', 'batch');
    const positions = upload(packed.positions, [tokens], 'positions', 'batch');
    const ids = upload(packed.ids, [tokens], 'token ids', 'batch');
    const embedded = model.embed(tape, { indices: ids }, { indices: positions });
    return model.layers(tape, embedded, {
      positions,
      length,
      attend: (scope, layer, query, key, value) => {
        cache.storePrompts(layer, from, key, value);
        return attention(scope, query, key, value, spans, model.heads(layer));
      },
    });
  }

  step(tape: Tape, live: LiveSequences, step: number, { cache, length }: PassOfRows): Tensor {
    const { model } = this;
    const { ids, positions } = feed(tape, live, { step, vocabulary: model.config.vocabSize });
    return model.layers(tape, model.embed(tape, { indices: ids }, { indices: positions }), {
      positions,
      length,
      attend: (scope, layer, query, key, value) => {
        const options = { ...model.heads(layer), step, longest: length };
        return decodeAttention(scope, query, key, value, cache.layer(layer), live.places, options);
      },
    });
  }

  head(gpu: Gpu, hidden: Tensor, logits: Tensor): void {
    const { config, head, logitScale: scale } = this.model;
    const size = { m: hidden.rows, n: config.vocabSize, k: config.hiddenSize, cStride: logits.cols };
    product(gpu, 'nt', hidden, head, logits, size, { scale });
  }

  dispose(): void {}
}
