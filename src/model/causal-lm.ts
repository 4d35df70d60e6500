/**
 * The decoder: embeddings, layers of attention and feed-forward, a last norm, and a head that never meets all tokens at
 * once. Reads from its configuration what to compute; training and generation run the same layers and differ in how
 * they attend. Knows nothing of objectives.
 */
import type { Gpu } from '../gpu/device.ts';
import type { ModelConfig } from '../io/config.ts';
import { InputError, listed, quote } from '../io/errors.ts';
import { toFloat32Bytes } from '../io/float.ts';
import { ContentHash, contentHash } from '../io/hash.ts';
import { type Adapter, checkAdapterFits } from '../io/peft.ts';
import type { TensorToWrite } from '../io/safetensors.ts';
import { openSource, type Source, type SourceOptions } from '../io/sources.ts';
import { resolveTargetModules } from '../io/target-modules.ts';
import { activate } from '../ops/activate.ts';
import { add } from '../ops/add.ts';
import { attention, type Heads } from '../ops/attention.ts';
import { splitColumns } from '../ops/columns.ts';
import { gatedUnit } from '../ops/gated-unit.ts';
import { type GatherIndex, gather } from '../ops/gather.ts';
import { layerNorm } from '../ops/layer-norm.ts';
import { linear } from '../ops/linear.ts';
import { rmsNorm } from '../ops/rms-norm.ts';
import { rope } from '../ops/rope.ts';
import type { WeightDtype } from '../tensor/formats.ts';
import type { ParameterStore } from '../tensor/parameters.ts';
import type { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { type Architecture, inLayer, type LayerNormName, type LinearName } from './architectures.ts';
import type { DeviceBatch, TableRows } from './batch.ts';
import { type LinearShape, LoraAdapter } from './lora.ts';
import { checkDtype, type LoadDtype } from './precision.ts';
import { RotaryTables } from './rotary-tables.ts';
import { toFiles } from './stored-layout.ts';
import {
  describeModel,
  type LoadedWeights,
  linearShapes,
  linearsOf,
  openModelWeights,
  uploadParameters,
  uploadWeights,
} from './weights.ts';

/** How the tokens of a pass see each other: packed spans in training, a cache in generation. */
export interface AttentionContext {
  /** (N) u32 */
  positions: Tensor;
  /** One more than the highest position. */
  length: number;
  /** Rotated query and key, and value, of one layer → what the tokens attend to, (N, heads · headDim). */
  attend(tape: Tape, layer: number, query: Tensor, key: Tensor, value: Tensor): Tensor;
}

export interface LoadOptions extends SourceOptions {
  /** Train all weights rather than adapters. They are float32 then. */
  trainable?: boolean;
  /** In which precision the matrices are kept: as they are stored where it is left out. */
  dtype?: LoadDtype;
}

export class CausalLM {
  /** Adapters in use, in the order in which they add up. */
  readonly adapters: LoraAdapter[] = [];
  /** Those of them that were loaded by name. */
  private readonly named = new Map<string, LoraAdapter>();
  private readonly rotary: RotaryTables | undefined;

  private constructor(
    readonly gpu: Gpu,
    readonly config: ModelConfig,
    /** Where the model came from, for messages and for the adapter's `base_model_name_or_path`. */
    readonly name: string,
    /** Where it is a repository of the hub: its commit. */
    readonly revision: string | undefined,
    /** Content hash of configuration and weights as they were loaded. */
    readonly fingerprint: string,
    private readonly architecture: Architecture,
    private readonly weights: LoadedWeights,
  ) {
    this.rotary = architecture.positions ? undefined : new RotaryTables(gpu, config);
  }

  /**
   * Reads `config.json` and the weights of a Hugging Face folder, wherever it lies. {@link InputError} says what is wrong with
   * them. In Node `openSource` of `webalign/node` opens what is on disk or has a place in Hugging Face's cache.
   */
  static async load(
    gpu: Gpu,
    source: Source,
    { trainable = false, dtype = 'auto', ...options }: LoadOptions = {},
  ): Promise<CausalLM> {
    checkDtype(dtype, trainable);
    const files = await openSource(source, options);
    const description = await describeModel(files);
    const { config, architecture } = description;
    if (config.headDim % 4 !== 0) {
      const what = `"head_dim" is ${config.headDim}; the attention kernels read heads four numbers at a time`;
      throw new InputError(
        `${files.name}/config.json`,
        what,
        'Use a model whose head_dim is a multiple of 4',
      );
    }
    const stored = await openModelWeights(files, description);
    const hash = new ContentHash();
    await hash.add(JSON.stringify(config));
    const weights = trainable
      ? await uploadParameters(gpu, stored, hash)
      : await uploadWeights(gpu, stored, dtype, hash);
    return new CausalLM(gpu, config, files.name, files.revision, await hash.digest(), architecture, weights);
  }

  /** All weights as parameters, where they train. */
  get parameters(): ParameterStore | undefined {
    return this.weights.store;
  }

  /** The trained weights as a Hugging Face file has them. */
  async trainedWeights(): Promise<Map<string, TensorToWrite>> {
    const { store } = this.weights;
    if (!store) throw new Error(`${this.name} has no trained weights`);
    const tensors = new Map<string, TensorToWrite>();
    for (const [name, values] of await store.read('values')) {
      tensors.set(name, { dtype: 'F32', shape: [...store.get(name).shape], data: toFloat32Bytes(values) });
    }
    return toFiles(this.architecture, tensors);
  }

  /** Rows of the tables that train, for a {@link DeviceBatch}; undefined where the weights are frozen. */
  get trainedTables(): TableRows | undefined {
    const { vocabSize: vocabulary, maxPositionEmbeddings } = this.config;
    const positions = this.architecture.positions ? maxPositionEmbeddings : undefined;
    return this.parameters && { vocabulary, positions };
  }

  /** Bytes of the weights in each format that they lie in. */
  get weightBytes(): ReadonlyMap<WeightDtype, number> {
    const bytes = new Map<WeightDtype, number>();
    for (const { dtype, size } of this.weights.tensors.values()) {
      const format = dtype as WeightDtype;
      bytes.set(format, (bytes.get(format) ?? 0) + size);
    }
    return bytes;
  }

  /** The linear layers that an adapter can sit on, by module name. */
  get linears(): Map<string, LinearShape> {
    return linearsOf(this.architecture, this.config);
  }

  /** The modules that PEFT's `target_modules` name. {@link InputError} lists all that are unknown. */
  targets(targetModules: string | readonly string[]): Map<string, LinearShape> {
    const linears = this.linears;
    const names = resolveTargetModules(targetModules, [...linears.keys()]);
    return new Map(names.map((name) => [name, linears.get(name) as LinearShape]));
  }

  /** Hash of the policy that the model is: its weights as they were loaded, with the adapters that are on. */
  async policyHash(): Promise<string> {
    const adapters = this.adapters.filter(({ enabled }) => enabled);
    return contentHash(this.fingerprint, ...(await Promise.all(adapters.map((adapter) => adapter.hash()))));
  }

  /** Adds an adapter. {@link InputError} lists every module that does not fit. */
  attach(adapter: Adapter, { trainable = false, name = 'adapter' } = {}): LoraAdapter {
    checkAdapterFits(adapter, this.linears, name);
    const attached = LoraAdapter.from(
      this.gpu,
      { ...adapter, fanInFanOut: this.architecture.transposed ?? false },
      { trainable },
    );
    this.adapters.push(attached);
    return attached;
  }

  /** Takes an adapter off and frees it. */
  detach(adapter: LoraAdapter): void {
    const at = this.adapters.indexOf(adapter);
    if (at >= 0) this.adapters.splice(at, 1);
    for (const [name, known] of this.named) if (known === adapter) this.named.delete(name);
    adapter.dispose();
  }

  /** Puts an adapter on the device under a name, switched off until {@link setAdapter} (PEFT's `load_adapter`). */
  loadAdapter(adapter: Adapter, name: string): LoraAdapter {
    if (this.named.has(name)) {
      const wayOut = 'Delete it first, or choose another name';
      throw new InputError(`adapter ${quote(name)}`, 'is loaded already', wayOut);
    }
    const loaded = this.attach(adapter, { name });
    loaded.enabled = false;
    this.named.set(name, loaded);
    return loaded;
  }

  /**
   * Switches on the adapters of these names, which add up, and off the others that have one (PEFT's `set_adapter`). Those
   * that were attached without a name stay as they are, and nothing moves on the device.
   */
  setAdapter(names: string | readonly string[]): void {
    const active = new Set([names].flat().map((name) => this.adapterNamed(name)));
    for (const adapter of this.named.values()) adapter.enabled = active.has(adapter);
  }

  /** Takes the adapter of this name off and frees it (PEFT's `delete_adapter`). */
  deleteAdapter(name: string): void {
    this.detach(this.adapterNamed(name));
  }

  /** The names of the adapters that are on. */
  get activeAdapters(): string[] {
    return [...this.named].filter(([, { enabled }]) => enabled).map(([name]) => name);
  }

  private adapterNamed(name: string): LoraAdapter {
    const adapter = this.named.get(name);
    if (adapter) return adapter;
    const known = this.named.size > 0 ? `Take ${listed([...this.named.keys()])}` : 'Load it first';
    throw new InputError(`adapter ${quote(name)}`, 'is not loaded', known);
  }

  /** The weight of the head, (V, d): the embedding where the two are tied. */
  get head(): Tensor {
    const { tieWordEmbeddings } = this.config;
    return this.weight(tieWordEmbeddings ? this.architecture.embedding : this.architecture.head);
  }

  /** Hidden states of a packed batch after the last norm, (N, d). */
  hidden(tape: Tape, batch: DeviceBatch, { checkpoint = false } = {}): Tensor {
    const context: AttentionContext = {
      positions: batch.positions,
      length: batch.length,
      attend: (scope, layer, q, k, v) => attention(scope, q, k, v, batch.spans, this.heads(layer)),
    };
    return this.layers(tape, this.embed(tape, batch.tokenIndex, batch.positionIndex), context, checkpoint);
  }

  /** Embedded tokens (N, d) through all layers and the last norm. */
  layers(tape: Tape, embedded: Tensor, context: AttentionContext, checkpoint = false): Tensor {
    let x = embedded;
    for (let i = 0; i < this.config.numHiddenLayers; i++) {
      const input = x;
      const run = (scope: Tape, into: Tensor) => this.layer(scope, into, i, context);
      x = checkpoint ? tape.checkpoint(run, input) : tape.scope(() => run(tape, input), [input]);
    }
    const last = x;
    return tape.scope(() => this.norm(tape, last, this.architecture.finalNorm), [last]);
  }

  /** Embedded tokens, (N, d), with their positions where those are learned. */
  embed(tape: Tape, tokens: GatherIndex, positions: GatherIndex): Tensor {
    const { embedding, embeddingScale, positions: table } = this.architecture;
    const embedded = () => gather(tape, this.weight(embedding), tokens, embeddingScale?.(this.config));
    if (!table) return embedded();
    return tape.scope(() => add(tape, embedded(), gather(tape, this.weight(table), positions)));
  }

  /** How a layer attends. */
  heads(layer: number): Heads {
    const { numAttentionHeads: heads, numKeyValueHeads: kvHeads, headDim, queryScale: scale } = this.config;
    return { heads, kvHeads, headDim, scale, window: this.config.layers[layer]?.window };
  }

  dispose(): void {
    for (const adapter of [...this.adapters]) this.detach(adapter);
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
    const project = (h: Tensor, name: LinearName) =>
      this.project(tape, h, inLayer(linears[name] as string, i));
    const turns = this.rotary?.ofLayer(i, length);
    const turn = (h: Tensor) => (turns ? rope(tape, h, positions, turns, config.headDim) : h);

    const h = norm(x, 'attention');
    const fused = linears.qkv ? this.splitHeads(tape, project(h, 'qkv')) : undefined;
    const query = turn(norm(fused?.query ?? project(h, 'q'), 'query'));
    const key = turn(norm(fused?.key ?? project(h, 'k'), 'key'));
    const attended = attend(tape, i, query, key, fused?.value ?? project(h, 'v'));
    const afterAttention = add(tape, x, norm(project(attended, 'o'), 'attentionOut'));

    const g = norm(afterAttention, 'mlp');
    const inner = linears.gate
      ? gatedUnit(tape, project(g, 'gate'), project(g, 'up'), config.activation)
      : activate(tape, project(g, 'up'), config.activation);
    return add(tape, afterAttention, norm(project(inner, 'down'), 'mlpOut'));
  }

  private norm(tape: Tape, x: Tensor, module: string): Tensor {
    const { norm } = this.architecture;
    const { normEps: eps } = this.config;
    return norm === 'layer'
      ? layerNorm(tape, x, this.weight(module), this.bias(module) as Tensor, eps)
      : rmsNorm(tape, x, this.weight(module), { eps, offset: norm === 'rms-offset' });
  }

  /** (N, qkv) into queries, keys and values. */
  private splitHeads(tape: Tape, x: Tensor): { query: Tensor; key: Tensor; value: Tensor } {
    const { q, k, v } = linearShapes(this.config);
    const [query, key, value] = splitColumns(tape, x, [q[0], k[0], v[0]]) as [Tensor, Tensor, Tensor];
    return { query, key, value };
  }

  private project(tape: Tape, x: Tensor, module: string): Tensor {
    const adapters = this.adapters.flatMap((adapter) => adapter.lowRank(module));
    return linear(tape, x, this.weight(module), adapters, this.bias(module));
  }

  private bias(module: string): Tensor | undefined {
    return this.weights.tensors.get(`${module}.bias`);
  }

  private weight(module: string): Tensor {
    return this.weights.tensors.get(`${module}.weight`) as Tensor;
  }
}
