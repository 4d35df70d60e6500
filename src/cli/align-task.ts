/**
 * The settings of the example `align`: how the adapter of the embedded model is trained, and how stories are
 * sampled to measure its effect. Plain data, shared by the command and the page.
 */
import type { LoraConfig } from 'webalign/models';
import type { DPOConfig } from 'webalign/trainers';

/** Chosen for high held-out accuracy with readable stories, in a minute or two on two cores. */
export const ALIGN_TRAINING = {
  beta: 0.5,
  learningRate: 2e-3,
  numTrainEpochs: 1,
  perDeviceTrainBatchSize: 16,
  perDeviceEvalBatchSize: 32,
  warmupRatio: 0.1,
  lrSchedulerType: 'linear',
  saveSteps: 10,
  seed: 42,
} as const satisfies Partial<DPOConfig>;

export const ALIGN_LORA = { r: 16, loraAlpha: 32 } as const satisfies Partial<LoraConfig>;

/** Stories written before and after training: one for each of the first held-out openings, with the same random numbers. */
export const ALIGN_SAMPLING = { openings: 100, maxNewTokens: 40, temperature: 1, seed: 7 } as const;

/** Stories shown in full: the first ones, without selection. */
export const ALIGN_SHOWN = 6;

/** Settings of a quick run that only shows that everything works. */
export const ALIGN_QUICK = { pairs: 32, heldOut: 16, openings: 8, maxSteps: 2 } as const;
