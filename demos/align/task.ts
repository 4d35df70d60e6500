/**
 * The task's numbers: how the adapter is trained and how stories are sampled to see what it changed. Those of the
 * command line's `align`.
 */
import type { Settings } from './messages.ts';

export const DEFAULTS: Readonly<Settings> = {
  beta: 0.1,
  learningRate: 1e-3,
  numTrainEpochs: 1,
  perDeviceTrainBatchSize: 16,
  r: 16,
  seed: 42,
};

/** What a person does not set. */
export const FIXED = { evalSteps: 10, saveSteps: 10, perDeviceEvalBatchSize: 32 } as const;

/** How stories are sampled, before and after alike. */
export const SAMPLING = { maxNewTokens: 64, temperature: 1, seed: 0 } as const;
