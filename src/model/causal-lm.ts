/**
 * A model as users hold it: loaded from wherever it lies, with adapters that are put on, switched and taken off, and the hash
 * of the policy that it is. What it computes is the decoder's. Knows nothing of losses.
 */
import { counted } from '../base/counted.ts';
import type { Gpu } from '../gpu/device.ts';
import type { ModelConfig } from '../io/config.ts';
import { InputError, listed, quote } from '../io/errors.ts';
import { toFloat32Bytes } from '../io/float.ts';
import { ContentHash, contentHash } from '../io/hash.ts';
import { type Adapter, checkAdapterFits } from '../io/peft.ts';
import type { TensorToWrite } from '../io/safetensors.ts';
import { openSource, type Source, type SourceOptions } from '../io/sources.ts';
import { resolveTargetModules } from '../io/target-modules.ts';
import type { WeightDtype } from '../tensor/formats.ts';
import type { ParameterSpec, ParameterStore } from '../tensor/parameters.ts';
import type { Architecture } from './architecture.ts';
import type { DeviceBatch, TableRows } from './batch.ts';
import { padTokenId } from './classifier.ts';
import { Decoder } from './decoder.ts';
import { describeModel, withoutHead } from './description.ts';
import { type LinearShape, LoraAdapter, type Training } from './lora.ts';
import { checkDtype, type LoadDtype } from './precision.ts';
import { toFiles } from './stored-layout.ts';
import { openModelWeights } from './stored-weights.ts';
import { type LoadedWeights, uploadParameters, uploadWeights } from './upload-weights.ts';
import { linearsOf } from './weight-shapes.ts';

export interface AttachOptions {
  /** Whether it is to be trained on; false where it is left out. */
  trainable?: boolean;
  /** What errors call it. */
  name?: string;
  /** What trains beside its factors, in one store with them: a head. */
  beside?: readonly ParameterSpec[];
  /** The store of another adapter that its factors train in, and what stands before their names there. */
  within?: Training['within'];
}

export interface LoadOptions extends SourceOptions {
  /** Train all weights rather than adapters. They are float32 then. */
  trainable?: boolean;
  /** In which precision the matrices are kept: as they are stored where it is left out. */
  dtype?: LoadDtype;
  /** Load no head for the vocabulary: the model is used for its hidden states alone, such as by a reward model. */
  headless?: boolean;
}

export class CausalLM extends Decoder {
  /** Those of its adapters that were loaded by name. */
  private readonly named = new Map<string, LoraAdapter>();

  private constructor(
    gpu: Gpu,
    config: ModelConfig,
    architecture: Architecture,
    weights: LoadedWeights,
    /** Where the model came from, for messages and for the adapter's `base_model_name_or_path`. */
    readonly name: string,
    /** Where it is a repository of the hub: its commit. */
    readonly revision: string | undefined,
    /** Content hash of configuration and weights as they were loaded. */
    readonly fingerprint: string,
    /** `pad_token_id` of its `config.json`, by which a reward model finds the token to score. */
    readonly padTokenId: number | undefined,
  ) {
    super(gpu, config, architecture, weights);
  }

  /** Reads a Hugging Face folder, wherever it lies; what is on disk is opened by `openSource` of `webalign/node`. */
  static async load(
    gpu: Gpu,
    source: Source,
    { trainable = false, dtype = 'auto', headless = false, ...options }: LoadOptions = {},
  ): Promise<CausalLM> {
    checkDtype(dtype, trainable);
    const files = await openSource(source, options);
    const whole = await describeModel(files);
    if (whole.headless && !headless) {
      const what = 'is a model for sequence classification, which writes no text';
      throw new InputError(files.name, what, 'Load it as a reward model, or give a causal language model');
    }
    const description = headless ? withoutHead(whole) : whole;
    const { config, architecture } = description;
    if (config.headDim % 4 !== 0) {
      const what = `a head has ${counted(config.headDim, 'number')} (head_dim, or width by heads); the attention kernels read four at a time`;
      const where = `${files.name}/config.json`;
      throw new InputError(where, what, 'Use a model whose heads are a multiple of 4 wide');
    }
    const stored = await openModelWeights(files, description);
    const hash = new ContentHash();
    await hash.add(JSON.stringify(config));
    const weights = trainable
      ? await uploadParameters(gpu, stored, hash)
      : await uploadWeights(gpu, stored, dtype, hash);
    const fingerprint = await hash.digest();
    const { name, revision } = files;
    const padId = await padTokenId(files);
    return new CausalLM(gpu, config, architecture, weights, name, revision, fingerprint, padId);
  }

  /** What a person should know about its files, a line each. */
  get notices(): readonly string[] {
    return this.config.notices ?? [];
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

  /**
   * Runs `work` with these adapters off and leaves them as they were, however it ends. Work that waits keeps the adapters
   * off meanwhile, for others too: let them take turns.
   */
  without<T>(adapters: readonly LoraAdapter[], work: () => T): T {
    return switched(adapters, () => false, work);
  }

  /**
   * Runs `work` with these adapters on and all others off, and leaves all as they were: one base in several roles, such as
   * policy, value and reward model. Work that waits keeps them so meanwhile, for others too: let them take turns.
   */
  withOnly<T>(adapters: readonly LoraAdapter[], work: () => T): T {
    return switched([...this.adapters], (adapter) => adapters.includes(adapter), work);
  }

  /** Adds an adapter; `beside` trains in its store. {@link InputError} lists every module that does not fit. */
  attach(
    adapter: Adapter,
    { trainable = false, name = 'adapter', beside = [], within }: AttachOptions = {},
  ): LoraAdapter {
    checkAdapterFits(adapter, this.linears, name);
    const attached = LoraAdapter.from(
      this.gpu,
      { ...adapter, fanInFanOut: this.architecture.transposed ?? false },
      { trainable, beside, within },
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
}

/** Does `work` with adapters on or off, and leaves them as they were. */
function switched<T>(
  adapters: readonly LoraAdapter[],
  isOn: (adapter: LoraAdapter) => boolean,
  work: () => T,
): T {
  const before = adapters.map(({ enabled }) => enabled);
  const restore = () => {
    for (const [i, adapter] of adapters.entries()) adapter.enabled = before[i] as boolean;
  };
  for (const adapter of adapters) adapter.enabled = isOn(adapter);
  let waits = false;
  try {
    const result = work();
    waits = result instanceof Promise;
    return result instanceof Promise ? (result.finally(restore) as T) : result;
  } finally {
    if (!waits) restore();
  }
}
