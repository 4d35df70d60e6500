/**
 * One AdamW update of a whole parameter store (Loshchilov and Hutter 2019), in the order of torch.optim.AdamW.
 */
import shader from '../../shaders/optimizer/adamw.wgsl';
import type { Gpu } from '../gpu/device.ts';
import { kernels } from '../gpu/kernel.ts';
import type { BufferView } from '../gpu/pool.ts';
import type { ParameterStore } from '../tensor/parameters.ts';

export interface AdamWOptions {
  learningRate: number;
  beta1: number;
  beta2: number;
  epsilon: number;
  /** Decoupled weight decay; not applied to norm weights and biases, as in transformers. */
  weightDecay: number;
}

export const adamwKernels = kernels(shader, { step: { threads: (p) => p.count } });

/** Updates every parameter. `step` counts from 1; `clip` comes from {@link gradNorm}. */
export function adamw(
  gpu: Gpu,
  store: ParameterStore,
  clip: BufferView,
  step: number,
  options: AdamWOptions,
): void {
  const { learningRate, beta1, beta2, epsilon, weightDecay } = options;
  for (const { decays, offset, size } of store.sections) {
    const part = (view: BufferView): BufferView => ({
      buffer: view.buffer,
      offset: view.offset + offset,
      size,
    });
    adamwKernels.step(
      gpu,
      {
        values: part(store.slab('values')),
        gradients: part(store.slab('gradients')),
        first_moments: part(store.slab('firstMoments')),
        second_moments: part(store.slab('secondMoments')),
        clip,
      },
      {
        count: size / 4,
        learning_rate: learningRate,
        beta1,
        beta2,
        epsilon,
        weight_decay: decays ? weightDecay : 0,
        correction1: 1 - beta1 ** step,
        correction2_root: Math.sqrt(1 - beta2 ** step),
      },
    );
  }
}
