/**
 * A reference for examples that are made during the run: the model without its trained adapter, which scores a batch when the
 * batch is trained on, in the same queue and in the same packed form. Nothing is stored and nothing is read back.
 */
import type { TokenizedExample } from '../../data/packing.ts';
import type { Gpu } from '../../gpu/device.ts';
import type { DeviceBatch } from '../../model/batch.ts';
import type { CausalLM } from '../../model/causal-lm.ts';
import type { LoraAdapter } from '../../model/lora.ts';
import { Tape } from '../../tensor/tape.ts';
import { Tensor } from '../../tensor/tensor.ts';
import type { TrainEvent } from '../events.ts';
import { rowLogprobs } from '../scorer.ts';
import type { Reference } from './reference.ts';

export class LiveReference implements Reference {
  constructor(
    private readonly model: CausalLM,
    private readonly without: LoraAdapter,
    private readonly temperature: number,
  ) {}

  /** Nothing can be computed before training. */
  async *prepare(): AsyncGenerator<TrainEvent, void> {}

  rows(
    gpu: Gpu,
    batch: DeviceBatch,
    _examples: readonly TokenizedExample[],
    temperature = this.temperature,
  ): Tensor {
    const { model, without } = this;
    return model.without([without], () => scoredCopy(gpu, model, batch, temperature));
  }

  standIn<T>(work: () => Promise<T>): Promise<T> {
    return this.model.without([this.without], work);
  }

  /** It is constant. */
  stepped(): void {}

  async save(): Promise<Map<string, Float32Array>> {
    return new Map();
  }

  restore(): void {}

  dispose(): void {}
}

/** Log-probabilities of a batch under the current model, in a new buffer. */
export function scoredCopy(gpu: Gpu, model: CausalLM, batch: DeviceBatch, temperature: number): Tensor {
  const count = batch.targets.length;
  const label = 'reference log-probabilities';
  const view = gpu.pool.allocate(count * 4, label, { kind: 'reference' });
  const rows = new Tensor(view, [count], 'f32', label);
  const tape = Tape.forInference(gpu);
  gpu.recorder.copy(rowLogprobs(tape, model, batch, temperature), rows, count * 4);
  tape.dispose();
  return rows;
}
