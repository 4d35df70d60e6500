/**
 * A reference with its own weights, which start as the parameters before the first step and may follow the policy
 * (TR-DPO, Gorbatovski et al. 2024): every so many optimizer steps they become α policy + (1 − α) reference. A batch is
 * scored when it is trained on, by the model itself with the reference's weights swapped in; everything consists of
 * copies and kernels in the queue, and nothing is read back.
 */
import type { TokenizedExample } from '../../data/packing.ts';
import type { Gpu } from '../../gpu/device.ts';
import type { BufferView } from '../../gpu/pool.ts';
import { InputError } from '../../io/errors.ts';
import type { DeviceBatch } from '../../model/batch.ts';
import type { CausalLM } from '../../model/causal-lm.ts';
import { movingAverage } from '../../ops/moving-average.ts';
import type { ParameterStore } from '../../tensor/parameters.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import type { TrainEvent } from '../events.ts';
import { scoredCopy } from './live-reference.ts';
import type { Reference } from './reference.ts';

/** TRL's `ref_model_mixup_alpha` and `ref_model_sync_steps`. */
export interface Synchronisation {
  alpha: number;
  everySteps: number;
}

/** A reference that stays at its start: for an adapter whose training continues on examples made during the run. */
export const NEVER: Synchronisation = { alpha: 1, everySteps: Number.POSITIVE_INFINITY };

/** Its name in a checkpoint. */
const SAVED = 'reference';

export class MovingReference implements Reference {
  private readonly values: BufferView;

  constructor(
    private readonly model: CausalLM,
    private readonly parameters: ParameterStore,
    private readonly synchronisation: Synchronisation,
    private readonly temperature = 1,
  ) {
    const { gpu } = model;
    this.values = this.slabOn(gpu, 'reference values');
    gpu.recorder.copy(parameters.slab('values'), this.values);
  }

  /** Nothing can be computed before training. */
  async *prepare(): AsyncGenerator<TrainEvent, void> {}

  rows(
    gpu: Gpu,
    batch: DeviceBatch,
    _examples: readonly TokenizedExample[] = [],
    temperature = this.temperature,
  ): Tensor {
    const restore = this.exchange(gpu);
    const rows = scoredCopy(gpu, this.model, batch, temperature);
    restore();
    return rows;
  }

  async standIn<T>(work: () => Promise<T>): Promise<T> {
    const restore = this.exchange(this.model.gpu);
    try {
      return await work();
    } finally {
      restore();
    }
  }

  /** Swaps the reference's weights in for the policy's; calling the result swaps them back. */
  private exchange(gpu: Gpu): () => void {
    const policy = this.slabOn(gpu, 'policy values');
    const live = this.parameters.slab('values');
    gpu.recorder.copy(live, policy);
    gpu.recorder.copy(this.values, live);
    return () => {
      gpu.recorder.copy(policy, live);
      gpu.pool.release(policy);
    };
  }

  stepped(step: number, gpu = this.model.gpu): void {
    const { alpha, everySteps } = this.synchronisation;
    if (step % everySteps !== 0) return;
    movingAverage(gpu, this.parameters.slab('values'), this.values, alpha);
  }

  async save(): Promise<Map<string, Float32Array>> {
    return new Map([[SAVED, new Float32Array(await this.model.gpu.read(this.values))]]);
  }

  restore(tensors: ReadonlyMap<string, Float32Array>): void {
    const values = tensors.get(SAVED);
    if (values?.length !== this.parameters.length) {
      throw new InputError('checkpoint', 'has no reference of the right size', 'Start again');
    }
    this.model.gpu.recorder.write(this.values, values);
  }

  dispose(): void {
    this.model.gpu.pool.release(this.values);
  }

  private slabOn(gpu: Gpu, label: string): BufferView {
    const size = this.parameters.length * 4;
    return { ...gpu.pool.allocate(size, label, { kind: 'reference' }), size };
  }
}
