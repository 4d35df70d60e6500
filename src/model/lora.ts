/**
 * Low-rank adapters (Hu et al. 2021) on any linear layer, named and initialised as PEFT does: A Kaiming-uniform, B zero,
 * so that an untrained adapter changes nothing. An adapter belongs to a model but owns its own numbers; it can be
 * switched off, which is what makes the model its own reference.
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

export class LoraAdapter {
  /** Off: the model computes as if the adapter were not there. */
  enabled = true;
  /** How much of it counts: 1 as trained, 0 none. Between two adapters' results this is q of P-SACPO. */
  factor = 1;
  /** (1, d): the head of a reward model, which belongs to its adapter. */
  readonly head: Tensor | undefined;
  private readonly pairs = new Map<string, LowRank>();
  private readonly frozen: Tensor[] = [];

  private constructor(
    private readonly gpu: Gpu,
    readonly config: LoraConfig,
    /** What it was trained on, and how that is stored. */
    readonly base: Omit<Adapter, 'config' | 'weights'>,
    private readonly shapes: ReadonlyMap<string, LoraWeights>,
    /** The trained numbers; undefined for an adapter that is only used. */
    readonly parameters: ParameterStore | undefined,
  ) {
    for (const [module, weights] of shapes) {
      const { r, in: inputs, out, a, b } = weights;
      const scale = loraScale(config, weights);
      const tensor = (values: Float32Array, shape: number[], half: 'A' | 'B') => {
        const name = parameterName(module, half);
        if (parameters) return parameters.get(name);
        const frozen = Tensor.from(gpu, values, shape, name);
        this.frozen.push(frozen);
        return frozen;
      };
      this.pairs.set(module, { a: tensor(a, [r, inputs], 'A'), b: tensor(b, [out, r], 'B'), scale });
    }
    this.head = parameters?.tensors.get(SCORE_HEAD) ?? this.frozenHead(base.head);
  }

  /** Puts an adapter on the device, to be trained on or only used. `beside` trains in the same store: a head, say. */
  static from(
    gpu: Gpu,
    adapter: Adapter,
    { trainable, beside = [] }: { trainable: boolean; beside?: readonly ParameterSpec[] },
  ): LoraAdapter {
    const factors = [...adapter.weights].flatMap(([module, { a, b, r, in: inputs, out }]) => [
      { name: parameterName(module, 'A'), shape: [r, inputs], values: a },
      { name: parameterName(module, 'B'), shape: [out, r], values: b },
    ]);
    const store = trainable ? new ParameterStore(gpu, [...factors, ...beside]) : undefined;
    const { config, weights, ...base } = adapter;
    return new LoraAdapter(gpu, config, base, weights, store);
  }

  /** The module's pair, scaled; nothing where the adapter is off or does not reach the module. */
  lowRank(module: string): readonly LowRank[] {
    const pair = this.enabled && this.factor !== 0 ? this.pairs.get(module) : undefined;
    return pair ? [{ ...pair, scale: pair.scale * this.factor }] : [];
  }

  /** What it holds on the device. */
  get views(): readonly BufferView[] {
    return [...(this.parameters?.views ?? []), ...this.frozen];
  }

  /** Hash of what it began as and how much of it counts. */
  hash(): Promise<string> {
    const numbers = [...this.shapes].flatMap(([module, { a, b }]) => [module, bytesOf(a), bytesOf(b)]);
    const { head } = this.base;
    const scored = head ? [bytesOf(head)] : [];
    return contentHash(JSON.stringify([this.config, this.factor]), ...numbers, ...scored);
  }

  private frozenHead(values: Float32Array | undefined): Tensor | undefined {
    if (!values) return undefined;
    const head = Tensor.from(this.gpu, values, [1, values.length], SCORE_HEAD);
    this.frozen.push(head);
    return head;
  }

  /** Reads the trained numbers back, in the form of PEFT's files. */
  async toAdapter(): Promise<Adapter> {
    const weights = new Map<string, LoraWeights>();
    const values = await this.parameters?.read('values');
    for (const [module, shape] of this.shapes) {
      weights.set(module, {
        ...shape,
        a: values?.get(parameterName(module, 'A')) ?? shape.a,
        b: values?.get(parameterName(module, 'B')) ?? shape.b,
      });
    }
    const head = values?.get(SCORE_HEAD) ?? this.base.head;
    return { ...this.base, config: this.config, weights, ...(head && { head }) };
  }

  dispose(): void {
    this.parameters?.dispose();
    for (const tensor of this.frozen) this.gpu.pool.release(tensor);
  }
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
}

function parameterName(module: string, half: 'A' | 'B'): string {
  return `${module}.lora_${half}`;
}

/** A fresh adapter on the given modules: A Kaiming-uniform from the seed, as PEFT has it, B zero. */
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
