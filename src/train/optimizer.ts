/**
 * Clipping and AdamW over a parameter store: three or four dispatches for any number of tensors. The gradient norm
 * stays on the device; it is read late, with the other metrics.
 */
import type { Gpu } from '../gpu/device.ts';
import type { BufferView } from '../gpu/pool.ts';
import { adamw } from '../ops/adamw.ts';
import { gradNorm } from '../ops/grad-norm.ts';
import type { ParameterStore } from '../tensor/parameters.ts';
import type { TrainingConfig } from './config.ts';

/** A bound above any norm, for runs that do not clip. */
const UNBOUNDED = 3e38;

export class Optimizer {
  private readonly clip: BufferView;

  constructor(
    private readonly gpu: Gpu,
    private readonly store: ParameterStore,
    private readonly config: TrainingConfig,
  ) {
    this.clip = gpu.pool.allocate(8, 'clip', { kind: 'optimizer' });
  }

  /** One update with the gradients in the store, which it resets to zero. Resolves to the norm before clipping. */
  step(step: number, learningRate: number): Promise<number> {
    const { maxGradNorm, adamBeta1, adamBeta2, adamEpsilon, weightDecay } = this.config;
    gradNorm(this.gpu, this.store.slab('gradients'), this.clip, maxGradNorm > 0 ? maxGradNorm : UNBOUNDED);
    adamw(this.gpu, this.store, this.clip, step, {
      learningRate,
      beta1: adamBeta1,
      beta2: adamBeta2,
      epsilon: adamEpsilon,
      weightDecay,
    });
    this.store.zeroGradients();
    return this.gpu.recorder.read(this.clip).then((data) => new Float32Array(data)[0]);
  }

  dispose(): void {
    this.gpu.pool.release(this.clip);
  }
}
