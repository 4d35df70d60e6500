/**
 * The user-facing model: loaded from any source, with adapters that are attached, switched and detached, and the hash of
 * the resulting policy. The decoder does the computation. Does not depend on losses.
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
import { type LoadedWeights, requireRoom, uploadParameters, uploadWeights } from './upload-weights.ts';
import { linearsOf } from './weight-shapes.ts';

export interface AttachOptions {
  /** Whether the adapter will be trained; default: false. */
  trainable?: boolean;
  /** Its name in errors. */
  name?: string;
  /** Parameters that train in the same store, besides its factors: a head. */
  beside?: readonly ParameterSpec[];
  /** The store of another adapter in which its factors train, with the prefix of their names there. */
  within?: Training['within'];
}

export interface LoadOptions extends SourceOptions {
  /** Train all weights rather than adapters. They are then stored as float32. */
  trainable?: boolean;
  /** Precision of the matrices; default: as stored. */
  dtype?: LoadDtype;
  /** Do not load the vocabulary head: the model is only used for its hidden states, such as by a reward model. */
  headless?: boolean;
}

export class CausalLM extends Decoder {
  /** The adapters that were loaded by name. */
  private readonly named = new Map<string, LoraAdapter>();

  private constructor(
    gpu: Gpu,
    config: ModelConfig,
    architecture: Architecture,
    weights: LoadedWeights,
    /** The model's source, for messages and for the adapter's `base_model_name_or_path`. */
    readonly name: string,
    /** The commit, if the source is a repository of the hub. */
    readonly revision: string | undefined,
    /** Content hash of configuration and weights as loaded. */
    readonly fingerprint: string,
    /** `pad_token_id` of its `config.json`, which determines the token that a reward model scores. */
    readonly padTokenId: number | undefined,
  ) {
    super(gpu, config, architecture, weights);
  }

  /**
   * Reads a Hugging Face folder from any source; `openSource` of `webalign/node` opens folders on disk. Throws
   * {@link MemoryCapError} before any weight is read if the weights exceed the memory cap.
   */
  static async load(
    gpu: Gpu,
    source: Source,
    { trainable = false, dtype = 'auto', headless = false, ...options }: LoadOptions = {},
  ): Promise<CausalLM> {
    checkDtype(dtype, trainable);
    const files = await openSource(source, options);
    const whole = await describeModel(files);
    if (whole.headless && !headless) {
      const what = 'is a model for sequence classification, which does not generate text';
      throw new InputError(files.name, what, 'Load it as a reward model, or give a causal language model');
    }
    const description = headless ? withoutHead(whole) : whole;
    const { config, architecture } = description;
    if (config.headDim % 4 !== 0) {
      const what = `the head size is ${config.headDim} (head_dim, or hidden_size / heads), but the attention kernels need a multiple of 4`;
      const where = `${files.name}/config.json`;
      throw new InputError(where, what, 'Use a model whose head size is a multiple of 4');
    }
    const stored = await openModelWeights(files, description, (weights) =>
      requireRoom(gpu, weights, dtype, trainable, files.name),
    );
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

  /** Notices for the user about the model's files, one line each. */
  get notices(): readonly string[] {
    return this.config.notices ?? [];
  }

  /** All weights as parameters, if they train. */
  get parameters(): ParameterStore | undefined {
    return this.weights.store;
  }

  /** The trained weights in the layout of a Hugging Face file. */
  async trainedWeights(): Promise<Map<string, TensorToWrite>> {
    const { store } = this.weights;
    if (!store) throw new Error(`${this.name} has no trained weights`);
    const tensors = new Map<string, TensorToWrite>();
    for (const [name, values] of await store.read('values')) {
      tensors.set(name, { dtype: 'F32', shape: [...store.get(name).shape], data: toFloat32Bytes(values) });
    }
    return toFiles(this.architecture, tensors);
  }

  /** Rows of the trained tables, for a {@link DeviceBatch}; undefined if the weights are frozen. */
  get trainedTables(): TableRows | undefined {
    const { vocabSize: vocabulary, maxPositionEmbeddings } = this.config;
    const positions = this.architecture.positions ? maxPositionEmbeddings : undefined;
    return this.parameters && { vocabulary, positions };
  }

  /** Bytes of the weights, by storage format. */
  get weightBytes(): ReadonlyMap<WeightDtype, number> {
    const bytes = new Map<WeightDtype, number>();
    for (const { dtype, size } of this.weights.tensors.values()) {
      const format = dtype as WeightDtype;
      bytes.set(format, (bytes.get(format) ?? 0) + size);
    }
    return bytes;
  }

  /** The linear layers that an adapter can adapt, by module name. */
  get linears(): Map<string, LinearShape> {
    return linearsOf(this.architecture, this.config);
  }

  /** The modules that match PEFT's `target_modules`. {@link InputError} lists all unknown ones. */
  targets(targetModules: string | readonly string[]): Map<string, LinearShape> {
    const linears = this.linears;
    const names = resolveTargetModules(targetModules, [...linears.keys()]);
    return new Map(names.map((name) => [name, linears.get(name)!]));
  }

  /** Hash of the model's current policy: its weights as loaded, with the enabled adapters. */
  async policyHash(): Promise<string> {
    const adapters = this.adapters.filter(({ enabled }) => enabled);
    return contentHash(this.fingerprint, ...(await Promise.all(adapters.map((adapter) => adapter.hash()))));
  }

  /**
   * Runs `work` with these adapters off and restores their state afterwards, even after an error. If `work` waits, the
   * adapters are off for other callers too, so serialize such calls.
   */
  without<T>(adapters: readonly LoraAdapter[], work: () => T): T {
    return switched(adapters, () => false, work);
  }

  /**
   * Runs `work` with only these adapters on, and restores the state of all afterwards. This lets one base serve several
   * roles, such as policy, value and reward model. If `work` waits, the state also applies to other callers, so serialize
   * such calls.
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

  /** Removes an adapter and frees it. */
  detach(adapter: LoraAdapter): void {
    const at = this.adapters.indexOf(adapter);
    if (at >= 0) this.adapters.splice(at, 1);
    for (const [name, known] of this.named) if (known === adapter) this.named.delete(name);
    adapter.dispose();
  }

  /** Puts an adapter on the device under a name, disabled until {@link setAdapter} (PEFT's `load_adapter`). */
  loadAdapter(adapter: Adapter, name: string): LoraAdapter {
    if (this.named.has(name)) {
      const wayOut = 'Delete it first, or choose another name';
      throw new InputError(`adapter ${quote(name)}`, 'is already loaded', wayOut);
    }
    const loaded = this.attach(adapter, { name });
    loaded.enabled = false;
    this.named.set(name, loaded);
    return loaded;
  }

  /**
   * Enables the adapters with these names, which add up, and disables the other named ones (PEFT's `set_adapter`). Adapters
   * that were attached without a name keep their state, and no data moves on the device.
   */
  setAdapter(names: string | readonly string[]): void {
    const active = new Set([names].flat().map((name) => this.adapterNamed(name)));
    for (const adapter of this.named.values()) adapter.enabled = active.has(adapter);
  }

  /** Removes and frees the adapter with this name (PEFT's `delete_adapter`). */
  deleteAdapter(name: string): void {
    this.detach(this.adapterNamed(name));
  }

  /** The names of the enabled adapters. */
  get activeAdapters(): string[] {
    return [...this.named].filter(([, { enabled }]) => enabled).map(([name]) => name);
  }

  private adapterNamed(name: string): LoraAdapter {
    const adapter = this.named.get(name);
    if (adapter) return adapter;
    const known =
      this.named.size > 0 ? `Loaded adapters: ${listed([...this.named.keys()])}` : 'Load it first';
    throw new InputError(`adapter ${quote(name)}`, 'is not loaded', known);
  }
}

/** Runs `work` with adapters on or off, and restores their state. */
function switched<T>(
  adapters: readonly LoraAdapter[],
  isOn: (adapter: LoraAdapter) => boolean,
  work: () => T,
): T {
  const before = adapters.map(({ enabled }) => enabled);
  const restore = () => {
    for (const [i, adapter] of adapters.entries()) adapter.enabled = before[i];
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
