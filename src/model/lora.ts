/**
 * Low-rank adapters (Hu et al. 2021) on any linear layer, named and initialized as in PEFT: A is Kaiming-uniform, B is
 * zero, so that an untrained adapter has no effect. An adapter belongs to a model but owns its parameters; with the adapter
 * disabled, the model is its own reference.
 */
import { kaimingUniform, Random } from '../data/random.ts';
import type { Gpu } from '../gpu/device.ts';
import type { BufferView } from '../gpu/pool.ts';
import { contentHash } from '../io/hash.ts';
import { type Adapter, type LoraConfig, type LoraWeights, loraScale } from '../io/peft.ts';
import { SCORE_HEAD } from '../io/peft-head.ts';
import type { LowRank } from '../ops/linear.ts';
import { type ParameterSpec, ParameterStore } from '../tensor/parameters.ts';
import { Tensor } from '../tensor/tensor.ts';

/** (out, in) of a linear layer. */
export interface LinearShape {
  in: number;
  out: number;
}

/** Where an adapter's parameters train. */
export interface Training {
  trainable: boolean;
  beside?: readonly ParameterSpec[];
  within?: { parameters: ParameterStore; prefix: string } | undefined;
}

export class LoraAdapter {
  /** If false, the model computes as if the adapter did not exist. */
  enabled = true;
  /** The adapter's weight: 1 as trained, 0 no effect. Interpolating two adapters with it gives q of P-SACPO. */
  factor = 1;
  /** (1, d): the head of a reward model, which is part of its adapter. */
  readonly head: Tensor | undefined;
  private readonly pairs = new Map<string, LowRank>();
  private readonly frozen: Tensor[] = [];

  private constructor(
    private readonly gpu: Gpu,
    readonly config: LoraConfig,
    /** The adapter's base model and its storage. */
    readonly base: Omit<Adapter, 'config' | 'weights'>,
    private readonly shapes: ReadonlyMap<string, LoraWeights>,
    /** The trained parameters; undefined for an adapter that is not trained. */
    readonly parameters: ParameterStore | undefined,
    /** Prefix of the parameter names in another adapter's store; undefined if the store is its own. */
    private readonly prefix: string | undefined,
  ) {
    for (const [module, weights] of shapes) {
      const { r, in: inputs, out, a, b } = weights;
      const scale = loraScale(config, weights);
      const tensor = (values: Float32Array, shape: number[], half: 'A' | 'B') => {
        const name = this.nameOf(module, half);
        if (parameters) return parameters.get(name);
        const frozen = Tensor.from(gpu, values, shape, name, 'adapters');
        this.frozen.push(frozen);
        return frozen;
      };
      this.pairs.set(module, { a: tensor(a, [r, inputs], 'A'), b: tensor(b, [out, r], 'B'), scale });
    }
    this.head = parameters?.tensors.get(this.headName) ?? this.frozenHead(base.head);
  }

  /**
   * Puts an adapter on the device, for training or for use. `beside` trains in the same store, for example a head. With
   * `within`, its parameters are those in another adapter's store.
   */
  static from(gpu: Gpu, adapter: Adapter, { trainable, beside = [], within }: Training): LoraAdapter {
    const specs = () => [...adapterParameters(adapter), ...beside];
    const store = within?.parameters ?? (trainable ? new ParameterStore(gpu, specs()) : undefined);
    const { config, weights, ...base } = adapter;
    return new LoraAdapter(gpu, config, base, weights, store, within?.prefix);
  }

  /** The module's scaled factors; empty if the adapter is disabled or does not cover the module. */
  lowRank(module: string): readonly LowRank[] {
    const pair = this.enabled && this.factor !== 0 ? this.pairs.get(module) : undefined;
    return pair ? [{ ...pair, scale: pair.scale * this.factor }] : [];
  }

  /** Its buffers on the device. */
  get views(): readonly BufferView[] {
    if (this.prefix !== undefined) return [];
    return [...(this.parameters?.views ?? []), ...this.frozen];
  }

  /** Hash of its initial values and its factor. */
  hash(): Promise<string> {
    const numbers = [...this.shapes].flatMap(([module, { a, b }]) => [module, bytesOf(a), bytesOf(b)]);
    const { head } = this.base;
    const scored = head ? [bytesOf(head)] : [];
    return contentHash(JSON.stringify([this.config, this.factor]), ...numbers, ...scored);
  }

  private frozenHead(values: Float32Array | undefined): Tensor | undefined {
    if (!values) return undefined;
    const head = Tensor.from(this.gpu, values, [1, values.length], SCORE_HEAD, 'weights');
    this.frozen.push(head);
    return head;
  }

  /** Reads the trained parameters back, in the form of PEFT's files. */
  async toAdapter(): Promise<Adapter> {
    const weights = new Map<string, LoraWeights>();
    const values = await this.parameters?.read('values');
    for (const [module, shape] of this.shapes) {
      weights.set(module, {
        ...shape,
        a: values?.get(this.nameOf(module, 'A')) ?? shape.a,
        b: values?.get(this.nameOf(module, 'B')) ?? shape.b,
      });
    }
    const head = values?.get(this.headName) ?? this.base.head;
    return { ...this.base, config: this.config, weights, ...(head && { head }) };
  }

  dispose(): void {
    if (this.prefix === undefined) this.parameters?.dispose();
    for (const tensor of this.frozen) this.gpu.pool.release(tensor);
  }

  private get headName(): string {
    return `${this.prefix ?? ''}${SCORE_HEAD}`;
  }

  private nameOf(module: string, half: 'A' | 'B'): string {
    return `${this.prefix ?? ''}${parameterName(module, half)}`;
  }
}

/** The parameters of an adapter, as specifications for a store. */
export function adapterParameters({ weights }: Pick<Adapter, 'weights'>, prefix = ''): ParameterSpec[] {
  return [...weights].flatMap(([module, { a, b, r, in: inputs, out }]) => [
    { name: prefix + parameterName(module, 'A'), shape: [r, inputs], values: a },
    { name: prefix + parameterName(module, 'B'), shape: [out, r], values: b },
  ]);
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
}

function parameterName(module: string, half: 'A' | 'B'): string {
  return `${module}.lora_${half}`;
}

/** A new adapter on the given modules: A is Kaiming-uniform with the seed, as in PEFT, B is zero. */
export function freshAdapter(
  config: LoraConfig,
  modules: ReadonlyMap<string, LinearShape>,
  baseModel: string,
  seed: number,
): Adapter {
  const random = new Random(seed);
  const weights = new Map<string, LoraWeights>();
  for (const [module, shape] of modules) {
    weights.set(module, {
      ...shape,
      r: config.r,
      a: kaimingUniform(new Float32Array(config.r * shape.in), shape.in, random),
      b: new Float32Array(shape.out * config.r),
    });
  }
  return { config, baseModel, weights };
}
