/**
 * Runs a layer during generation with five kernels: queries, keys and values in one, which also applies rotary positions
 * and writes the cache; attention; the output projection with the residual; gate and up in one; down. Each group of
 * products has a second, float32 copy of its weights, with adapters and norm weights folded in. The results equal those of
 * the separate layers up to rounding.
 */
import type { PackedBatch } from '../data/packing.ts';
import type { Gpu } from '../gpu/device.ts';
import { add } from '../ops/add.ts';
import { attention } from '../ops/attention.ts';
import { cachedAttention } from '../ops/decode-attention.ts';
import { embedTokens } from '../ops/embed-tokens.ts';
import { type FoldedPart, fold, stackLength } from '../ops/fold.ts';
import { gather } from '../ops/gather.ts';
import {
  type HeadPlaces,
  type RowWeights,
  rowActivation,
  rowHeads,
  rowProduct,
  rowProductOnto,
  turnsInVectors,
} from '../ops/row-product.ts';
import { type LiveSequences, PLACE_COLUMNS, packPlaces } from '../ops/sample.ts';
import type { Tape } from '../tensor/tape.ts';
import { Tensor } from '../tensor/tensor.ts';
import { inLayer, type LayerNormName, type LinearName } from './architecture.ts';
import type { Decoder } from './decoder.ts';
import type { DecodingPass, PassOfRows, Upload } from './decoding-pass.ts';
import { linearsOf } from './weight-shapes.ts';

/** Maximum bytes of the folded weights: for a larger model, a second copy would cost more memory than the time it saves. */
const FOLDED_BYTES = 64 * 2 ** 20;
/** They must also fit into this fraction of the memory that the cap leaves besides the model, which is needed for sequences. */
const SHARE_OF_ROOM = 8;

interface Layer {
  heads: RowWeights;
  o: RowWeights;
  /** Gate and up, or only up. */
  inner: RowWeights;
  down: RowWeights;
}

export class FoldedPass implements DecodingPass {
  private readonly layers: readonly Layer[];
  private readonly held: Tensor[] = [];

  constructor(
    private readonly model: Decoder,
    private readonly gpu: Gpu,
  ) {
    const { linears } = model.architecture;
    const heads: LinearName[] = linears.qkv ? ['qkv'] : ['q', 'k', 'v'];
    const inner: LinearName[] = linears.gateUp ? ['gateUp'] : linears.gate ? ['gate', 'up'] : ['up'];
    try {
      this.layers = model.config.layers.map((_, i) => ({
        heads: this.stack(i, heads, 'attention'),
        o: this.stack(i, ['o']),
        inner: this.stack(i, inner, 'mlp'),
        down: this.stack(i, ['down']),
      }));
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /** Whether it supports the model within its byte limit. Depends only on the model, its adapters and the memory cap. */
  static serves(model: Decoder): boolean {
    const { architecture, config, gpu, head } = model;
    const { norm, norms, positions, embedding } = architecture;
    const isPlain = norm !== 'layer' && !positions && !norms.query && !norms.key;
    const { hiddenSize, intermediateSize, headDim, layers } = config;
    const pairs = layers.map(({ rotary }) => (rotary ? (rotary.dimensions ?? headDim) / 2 : 0));
    const isInVectors =
      pairs.every((count) => turnsInVectors(headDim, count)) &&
      hiddenSize % 4 === 0 &&
      intermediateSize % 4 === 0;
    const largest = Math.max(head.size, model.weight(embedding).size);
    // Requested variants are those of the separate layers' kernels.
    if (gpu.variants.asked.length > 0) return false;
    if (!isPlain || !isInVectors || largest > gpu.limits.maxStorageBufferBindingSize) return false;
    const room = (gpu.pool.cap - model.bytesHeld(1)) / SHARE_OF_ROOM;
    return FoldedPass.bytesOf(model) <= Math.min(FOLDED_BYTES, room, gpu.limits.maxStorageBufferBindingSize);
  }

  /** Bytes of the folded weights, without biases. */
  private static bytesOf({ architecture, config }: Decoder): number {
    const linears = [...linearsOf(architecture, config).values()];
    return linears.reduce((sum, shape) => sum + 4 * shape.in * shape.out, 0);
  }

  get bytes(): number {
    return this.held.reduce((sum, { size }) => sum + this.gpu.pool.bytesFor(size), 0);
  }

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
    const ids = upload(packed.ids, [tokens], 'token ids', 'batch');
    // To the kernel, a prompt's token is the second one of a sequence, in a cache row of its own after those before it.
    const ofTokens = [...packed.positions].map((promptEnd, i) => {
      const own = from + i;
      return { prompt: 0, promptEnd, own, ownEnd: own + 1, start: 0, slot: 0, sequence: 0, first: 0 };
    });
    const places = upload(packPlaces(ofTokens), [tokens, PLACE_COLUMNS], 'places of tokens', 'batch');
    const { embedding, embeddingScale } = model.architecture;
    const x = gather(tape, model.weight(embedding), { indices: ids }, embeddingScale?.(model.config));
    return this.run(tape, x, length, (scope, layer, project) => {
      const ofLayer = cache.layer(layer);
      const query = project({ cache: ofLayer, places, step: 1 });
      const [keys, values] = [ofLayer.keys, ofLayer.values].map((all) => all.rowsFrom(from, tokens)) as [
        Tensor,
        Tensor,
      ];
      return attention(scope, query, keys, values, spans, model.heads(layer));
    });
  }

  step(tape: Tape, live: LiveSequences, step: number, { cache, length }: PassOfRows): Tensor {
    const { model } = this;
    const { embedding, embeddingScale } = model.architecture;
    const scale = embeddingScale?.(model.config);
    const x = embedTokens(tape, model.weight(embedding), live, { step, scale });
    return this.run(tape, x, length, (scope, layer, project) => {
      const ofLayer = cache.layer(layer);
      const query = project({ cache: ofLayer, places: live.places, step });
      const options = { ...model.heads(layer), step, longest: length };
      return cachedAttention(scope, query, ofLayer, live.places, options);
    });
  }

  head(gpu: Gpu, hidden: Tensor, logits: Tensor): void {
    const { head, logitScale: scale } = this.model;
    rowProduct(gpu, hidden, { weights: head, n: head.rows, k: head.cols }, logits, { scale });
  }

  dispose(): void {
    for (const tensor of this.held.splice(0)) this.gpu.pool.release(tensor);
  }

  /** Runs embedded tokens through all layers and the final norm; `attend` receives the query projection of its layer. */
  private run(
    tape: Tape,
    embedded: Tensor,
    length: number,
    attend: (tape: Tape, layer: number, project: (to: Omit<HeadPlaces, 'turns'>) => Tensor) => Tensor,
  ): Tensor {
    const { model } = this;
    const { config, architecture } = model;
    let x = embedded;
    for (const [i, layer] of this.layers.entries()) {
      const normEps = (name: LayerNormName) => (architecture.norms[name] ? config.normEps : undefined);
      const into = x;
      x = tape.scope(() => {
        const attended = attend(tape, i, (to) =>
          rowHeads(
            tape,
            into,
            layer.heads,
            model.heads(i),
            { ...to, turns: model.turns(i, length) },
            {
              normEps: normEps('attention'),
            },
          ),
        );
        const middle = this.rejoin(tape, into, attended, layer.o, i, 'attentionOut');
        const isGated = architecture.linears.up === undefined || architecture.linears.gate !== undefined;
        const options = { normEps: normEps('mlp') };
        const inner = rowActivation(tape, middle, layer.inner, config.activation, isGated, options);
        return this.rejoin(tape, middle, inner, layer.down, i, 'mlpOut');
      }, [into]);
    }
    const last = x;
    return tape.scope(() => model.norm(tape, last, architecture.finalNorm), [last]);
  }

  /** The output of a block, added to the residual. */
  private rejoin(
    tape: Tape,
    residual: Tensor,
    h: Tensor,
    stack: RowWeights,
    layer: number,
    out: LayerNormName,
  ): Tensor {
    const module = this.model.architecture.norms[out];
    if (!module)
      return rowProductOnto(tape, h, stack, residual, { scale: this.model.config.residualMultiplier });
    const y = tape.empty(residual.shape, 'block output');
    rowProduct(tape.gpu, h, stack, y);
    return add(tape, residual, this.model.norm(tape, y, inLayer(module, layer)));
  }

  private stack(layer: number, names: readonly LinearName[], before?: LayerNormName): RowWeights {
    const { model, gpu } = this;
    const { linears, norms, norm } = model.architecture;
    const parts: FoldedPart[] = names.map((name) => model.part(inLayer(linears[name]!, layer)));
    const module = before && norms[before];
    const gain = module
      ? { weight: model.weight(inLayer(module, layer)), offset: norm === 'rms-offset' }
      : undefined;
    const label = `folded ${names.join(', ')}`;
    const length = stackLength(parts);
    const view = gpu.pool.allocate(4 * length, label, { kind: 'weights' });
    const tensor = new Tensor({ ...view, size: 4 * length }, [length], 'f32', label);
    this.held.push(tensor);
    fold(gpu, parts, gain, tensor);
    const n = parts.reduce((sum, { weight }) => sum + weight.rows, 0);
    const k = parts[0].weight.cols;
    return { weights: tensor, n, k, biased: parts.some(({ bias }) => bias !== undefined) };
  }
}
