/**
 * The decoder: embeddings, layers of attention and feed-forward, a last norm, and a head that never meets all tokens at
 * once. Reads from its configuration what to compute; training and generation run the same layers and differ in how
 * they attend. Knows nothing of objectives.
 */
import type { Gpu } from '../gpu/device.ts';
import type { ModelConfig } from '../io/config.ts';
import { InputError } from '../io/errors.ts';
import type { Files } from '../io/files.ts';
import { contentHash } from '../io/hash.ts';
import { type Adapter, checkAdapterFits } from '../io/peft.ts';
import type { StoredTensor } from '../io/safetensors.ts';
import { resolveTargetModules } from '../io/target-modules.ts';
import { readWeights } from '../io/weights.ts';
import { add } from '../ops/add.ts';
import { attention } from '../ops/attention.ts';
import { gather } from '../ops/gather.ts';
import { linear } from '../ops/linear.ts';
import { rmsNorm } from '../ops/rms-norm.ts';
import { rope, ropeTable } from '../ops/rope.ts';
import { swiglu } from '../ops/swiglu.ts';
import type { ParameterStore } from '../tensor/parameters.ts';
import type { Tape } from '../tensor/tape.ts';
import { Tensor } from '../tensor/tensor.ts';
import { type Architecture, inLayer, type LinearName } from './architectures.ts';
import type { DeviceBatch } from './batch.ts';
import { type LinearShape, LoraAdapter } from './lora.ts';
import {
  checkWeights,
  describeModel,
  type LoadedWeights,
  linearsOf,
  uploadWeights,
  weightShapes,
} from './weights.ts';

/** How the tokens of a pass see each other: packed spans in training, a cache in generation. */
export interface AttentionContext {
  /** (N) u32 */
  positions: Tensor;
  /** Rotated query and key, and value, of one layer → what the tokens attend to, (N, heads · headDim). */
  attend(tape: Tape, layer: number, query: Tensor, key: Tensor, value: Tensor): Tensor;
}

export interface LoadOptions {
  /** Train all weights rather than adapters. */
  trainable?: boolean;
}

export class CausalLM {
  /** Adapters in use, in the order in which they add up. */
  readonly adapters: LoraAdapter[] = [];
  private readonly turns: Tensor;

  private constructor(
    readonly gpu: Gpu,
    readonly config: ModelConfig,
    /** Where the model came from, for messages and for the adapter's `base_model_name_or_path`. */
    readonly name: string,
    /** Content hash of configuration and weights as they were loaded. */
    readonly fingerprint: string,
    private readonly architecture: Architecture,
    private readonly weights: LoadedWeights,
  ) {
    const { maxPositionEmbeddings, headDim, ropeTheta } = config;
    const table = ropeTable(maxPositionEmbeddings, headDim, ropeTheta);
    this.turns = Tensor.from(gpu, table, [maxPositionEmbeddings, headDim / 2, 2], 'rope turns');
  }

  /** Reads `config.json` and the weights of a Hugging Face folder. {@link InputError} says what is wrong with them. */
  static async load(gpu: Gpu, files: Files, { trainable = false }: LoadOptions = {}): Promise<CausalLM> {
    const { config, architecture } = await describeModel(files);
    if (config.headDim % 4 !== 0) {
      const what = `"head_dim" is ${config.headDim}; the attention kernels read heads four numbers at a time`;
      throw new InputError(
        `${files.name}/config.json`,
        what,
        'Use a model whose head_dim is a multiple of 4',
      );
    }
    const shapes = weightShapes(architecture, config);
    const stored = await readWeights(files);
    checkWeights(shapes, stored, files.name);
    const contents = [...shapes.keys()].map((name) => (stored.get(name) as StoredTensor).data);
    const fingerprint = await contentHash(JSON.stringify(config), ...contents);
    const weights = uploadWeights(gpu, shapes, stored, trainable);
    return new CausalLM(gpu, config, files.name, fingerprint, architecture, weights);
  }

  /** All weights as parameters, where they train. */
  get parameters(): ParameterStore | undefined {
    return this.weights.store;
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
    const attached = LoraAdapter.from(this.gpu, adapter, { trainable });
    this.adapters.push(attached);
    return attached;
  }

  /** Takes an adapter off and frees it. */
  detach(adapter: LoraAdapter): void {
    const at = this.adapters.indexOf(adapter);
    if (at >= 0) this.adapters.splice(at, 1);
    adapter.dispose();
  }

  /** The weight of the head, (V, d): the embedding where the two are tied. */
  get head(): Tensor {
    const { tieWordEmbeddings } = this.config;
    return this.weight(tieWordEmbeddings ? this.architecture.embedding : this.architecture.head);
  }

  /** Hidden states of a packed batch after the last norm, (N, d). */
  hidden(tape: Tape, batch: DeviceBatch, { checkpoint = false } = {}): Tensor {
    const { numAttentionHeads: heads, numKeyValueHeads: kvHeads, headDim } = this.config;
    const context: AttentionContext = {
      positions: batch.positions,
      attend: (scope, _layer, q, k, v) => attention(scope, q, k, v, batch.spans, { heads, kvHeads, headDim }),
    };
    const x = gather(tape, this.weight(this.architecture.embedding), batch.tokenIndex);
    return this.layers(tape, x, context, checkpoint);
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
    return tape.scope(
      () => rmsNorm(tape, last, this.weight(this.architecture.finalNorm), this.config.rmsNormEps),
      [last],
    );
  }

  /** Rows of the embedding. */
  embed(tape: Tape, tokens: Tensor): Tensor {
    return gather(tape, this.weight(this.architecture.embedding), { indices: tokens });
  }

  dispose(): void {
    for (const adapter of this.adapters.splice(0)) adapter.dispose();
    if (this.weights.store) this.weights.store.dispose();
    else for (const tensor of this.weights.tensors.values()) this.gpu.pool.release(tensor);
    this.gpu.pool.release(this.turns);
  }

  private layer(tape: Tape, x: Tensor, i: number, { positions, attend }: AttentionContext): Tensor {
    const { architecture, config } = this;
    const norm = (h: Tensor, name: string) =>
      rmsNorm(tape, h, this.weight(inLayer(name, i)), config.rmsNormEps);
    const project = (h: Tensor, name: LinearName) =>
      this.project(tape, h, inLayer(architecture.linears[name], i));
    const turn = (h: Tensor) => rope(tape, h, positions, this.turns, config.headDim);

    const h = norm(x, architecture.inputNorm);
    const attended = attend(tape, i, turn(project(h, 'q')), turn(project(h, 'k')), project(h, 'v'));
    const afterAttention = add(tape, x, project(attended, 'o'));

    const g = norm(afterAttention, architecture.postAttentionNorm);
    const gated = swiglu(tape, project(g, 'gate'), project(g, 'up'));
    return add(tape, afterAttention, project(gated, 'down'));
  }

  private project(tape: Tape, x: Tensor, module: string): Tensor {
    const adapters = this.adapters.flatMap((adapter) => adapter.lowRank(module));
    return linear(tape, x, this.weight(module), adapters);
  }

  private weight(module: string): Tensor {
    return this.weights.tensors.get(`${module}.weight`) as Tensor;
  }
}
