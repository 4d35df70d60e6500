/**
 * The decoder: embeddings, layers of attention and feed-forward, a final norm, and a head that is never applied to all
 * tokens at once. The configuration determines the computation; training and generation run the same layers with different
 * attention. Does not depend on files or losses.
 */
import type { Gpu } from '../gpu/device.ts';
import type { ModelConfig } from '../io/config.ts';
import { activate } from '../ops/activate.ts';
import { add } from '../ops/add.ts';
import { attention, type Heads } from '../ops/attention.ts';
import { splitColumns } from '../ops/columns.ts';
import type { FoldedPart } from '../ops/fold.ts';
import { gatedUnit } from '../ops/gated-unit.ts';
import { type GatherIndex, gather } from '../ops/gather.ts';
import { HALVES } from '../ops/halves.ts';
import { layerNorm } from '../ops/layer-norm.ts';
import { linear } from '../ops/linear.ts';
import { rmsNorm } from '../ops/rms-norm.ts';
import { rope } from '../ops/rope.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { type Architecture, inLayer, type LayerNormName, type LinearName } from './architecture.ts';
import type { DeviceBatch } from './batch.ts';
import type { LoraAdapter } from './lora.ts';
import { RotaryTables } from './rotary-tables.ts';
import type { LoadedWeights } from './upload-weights.ts';
import { linearShapes } from './weight-shapes.ts';

/** How the tokens of a pass attend to each other: packed spans in training, a cache in generation. */
export interface AttentionContext {
  /** (N) u32 */
  positions: Tensor;
  /** The highest position plus one. */
  length: number;
  /** The attention output of one layer, (N, heads · headDim), from rotated query and key, and value. */
  attend(tape: Tape, layer: number, query: Tensor, key: Tensor, value: Tensor): Tensor;
}

/** How a layer's activations are stored between its forward and backward pass. */
export type Kept = 'float32' | 'float16' | 'nothing';

type Layer = (tape: Tape, x: Tensor) => Tensor;
const THROUGH: Readonly<Record<Kept, (tape: Tape, layer: Layer, x: Tensor) => Tensor>> = {
  float32: (tape, layer, x) => tape.scope(() => layer(tape, x), [x]),
  float16: (tape, layer, x) => tape.scopePacked(HALVES, layer, x),
  nothing: (tape, layer, x) => tape.checkpoint(layer, x),
};

export class Decoder {
  /** Enabled and disabled adapters, in the order of addition. */
  readonly adapters: LoraAdapter[] = [];
  private readonly rotary: RotaryTables | undefined;
  private isDisposed = false;

  constructor(
    readonly gpu: Gpu,
    readonly config: ModelConfig,
    readonly architecture: Architecture,
    protected readonly weights: LoadedWeights,
  ) {
    this.rotary = architecture.positions ? undefined : new RotaryTables(gpu, config);
  }

  /** The weight of the head, (V, d): the embedding if the two are tied. */
  get head(): Tensor {
    const { tieWordEmbeddings } = this.config;
    return this.weight(tieWordEmbeddings ? this.architecture.embedding : this.architecture.head);
  }

  /** Factor of a hidden state's product with the head; `config.logitSoftCap` is applied afterwards. */
  get logitScale(): number {
    return 1 / (this.config.logitsScaling ?? 1);
  }

  /** Hidden states of a packed batch after the final norm, (N, d). */
  hidden(tape: Tape, batch: DeviceBatch, kept: Kept = 'float32'): Tensor {
    const context: AttentionContext = {
      positions: batch.positions,
      length: batch.length,
      attend: (scope, layer, q, k, v) => attention(scope, q, k, v, batch.spans, this.heads(layer)),
    };
    return this.layers(tape, this.embed(tape, batch.tokenIndex, batch.positionIndex), context, kept);
  }

  /** Runs embedded tokens (N, d) through all layers and the final norm. */
  layers(tape: Tape, embedded: Tensor, context: AttentionContext, kept: Kept = 'float32'): Tensor {
    let x = embedded;
    for (let i = 0; i < this.config.numHiddenLayers; i++)
      x = THROUGH[kept](tape, (scope, into) => this.layer(scope, into, i, context), x);
    const last = x;
    return tape.scope(() => this.norm(tape, last, this.architecture.finalNorm), [last]);
  }

  /** Token embeddings, (N, d), including learned positions if the model has them. */
  embed(tape: Tape, tokens: GatherIndex, positions: GatherIndex): Tensor {
    const { embedding, embeddingScale, positions: table } = this.architecture;
    const embedded = () => gather(tape, this.weight(embedding), tokens, embeddingScale?.(this.config));
    if (!table) return embedded();
    return tape.scope(() => add(tape, embedded(), gather(tape, this.weight(table), positions)));
  }

  /** The attention parameters of a layer. */
  heads(layer: number): Heads {
    const { numAttentionHeads: heads, numKeyValueHeads: kvHeads, headDim, queryScale: scale } = this.config;
    const { layers, attentionSoftCap: softCap } = this.config;
    return { heads, kvHeads, headDim, scale, window: layers[layer]?.window, softCap };
  }

  /** The current state of a linear layer: its weights and the enabled adapters. */
  part(module: string): FoldedPart {
    const adapters = this.adapters.flatMap((adapter) => adapter.lowRank(module));
    return { weight: this.weight(module), bias: this.bias(module), adapters };
  }

  /**
   * Cosines and sines of a layer's positions, for sequences of up to `length` tokens; undefined for a layer without
   * positions.
   */
  turns(layer: number, length: number): Tensor | undefined {
    return this.rotary?.ofLayer(layer, length);
  }

  /** Bytes on the device of weights, adapters and position tables, for sequences of up to `length` tokens. */
  bytesHeld(length: number): number {
    const { store, tensors } = this.weights;
    const views = [
      ...(store?.views ?? tensors.values()),
      ...this.adapters.flatMap((adapter) => adapter.views),
    ];
    const sizes = [...views.map(({ size }) => size), ...(this.rotary?.sizesFor(length) ?? [])];
    return sizes.reduce((sum, size) => sum + this.gpu.pool.bytesFor(size), 0);
  }

  /** Frees everything. Later calls have no effect. */
  dispose(): void {
    if (this.isDisposed) return;
    this.isDisposed = true;
    for (const adapter of this.adapters.splice(0)) adapter.dispose();
    if (this.weights.store) this.weights.store.dispose();
    else for (const tensor of this.weights.tensors.values()) this.gpu.pool.release(tensor);
    this.rotary?.dispose();
  }

  private layer(tape: Tape, x: Tensor, i: number, { positions, length, attend }: AttentionContext): Tensor {
    const { config } = this;
    const { linears, norms } = this.architecture;
    const norm = (h: Tensor, name: LayerNormName) => {
      const module = norms[name];
      return module ? this.norm(tape, h, inLayer(module, i)) : h;
    };
    const project = (h: Tensor, name: LinearName, residual?: Tensor) =>
      this.project(tape, h, inLayer(linears[name]!, i), residual);
    // The output of a block, added to the residual in the same pass unless a norm comes in between.
    const rejoin = (residual: Tensor, h: Tensor, name: LinearName, out: LayerNormName) =>
      norms[out] ? add(tape, residual, norm(project(h, name), out)) : project(h, name, residual);
    const turns = this.turns(i, length);
    const turn = (h: Tensor) => (turns ? rope(tape, h, positions, turns, config.headDim) : h);

    const h = norm(x, 'attention');
    const fused = linears.qkv ? this.splitHeads(tape, project(h, 'qkv')) : undefined;
    const query = turn(norm(fused?.query ?? project(h, 'q'), 'query'));
    const key = turn(norm(fused?.key ?? project(h, 'k'), 'key'));
    const attended = attend(tape, i, query, key, fused?.value ?? project(h, 'v'));
    const afterAttention = rejoin(x, attended, 'o', 'attentionOut');

    const g = norm(afterAttention, 'mlp');
    return rejoin(
      afterAttention,
      this.feedForward(tape, (name) => project(g, name)),
      'down',
      'mlpOut',
    );
  }

  /** The input of `down`, (N, intermediate size), from the preceding layers. */
  private feedForward(tape: Tape, project: (name: LinearName) => Tensor): Tensor {
    const { gate, gateUp } = this.architecture.linears;
    const { activation, intermediateSize: width } = this.config;
    if (gateUp) {
      const [opening, up] = splitColumns(tape, project('gateUp'), [width, width]) as [Tensor, Tensor];
      return gatedUnit(tape, opening, up, activation);
    }
    return gate
      ? gatedUnit(tape, project('gate'), project('up'), activation)
      : activate(tape, project('up'), activation);
  }

  norm(tape: Tape, x: Tensor, module: string): Tensor {
    const { norm } = this.architecture;
    const { normEps: eps } = this.config;
    return norm === 'layer'
      ? layerNorm(tape, x, this.weight(module), this.bias(module)!, eps)
      : rmsNorm(tape, x, this.weight(module), { eps, offset: norm === 'rms-offset' });
  }

  /** Splits (N, qkv) into queries, keys and values. */
  private splitHeads(tape: Tape, x: Tensor): { query: Tensor; key: Tensor; value: Tensor } {
    const { q, k, v } = linearShapes(this.config);
    const [query, key, value] = splitColumns(tape, x, [q[0], k[0], v[0]]) as [Tensor, Tensor, Tensor];
    return { query, key, value };
  }

  private project(tape: Tape, x: Tensor, module: string, residual?: Tensor): Tensor {
    const { weight, bias, adapters } = this.part(module);
    const scale = residual && this.config.residualMultiplier;
    return linear(tape, x, weight, { adapters, bias, residual, scale });
  }

  private bias(module: string): Tensor | undefined {
    return this.weights.tensors.get(`${module}.bias`);
  }

  weight(module: string): Tensor {
    return this.weights.tensors.get(`${module}.weight`)!;
  }
}
