/**
 * The task's numbers: those of the command line's `align`, of which a person can change a few here.
 */

import type { LoraConfig } from 'webalign/models';
import type { DPOConfig } from 'webalign/trainers';
import { ALIGN_LORA, ALIGN_SAMPLING, ALIGN_TRAINING } from '../../src/cli/align-task.ts';
import type { Settings } from './messages.ts';

/** Steps between two looks at the held-out pairs, which the charts show. */
const EVAL_STEPS = 10;

export const DEFAULTS: Readonly<Settings> = {
  beta: ALIGN_TRAINING.beta,
  learningRate: ALIGN_TRAINING.learningRate,
  numTrainEpochs: ALIGN_TRAINING.numTrainEpochs,
  perDeviceTrainBatchSize: ALIGN_TRAINING.perDeviceTrainBatchSize,
  r: ALIGN_LORA.r,
  seed: ALIGN_TRAINING.seed,
};

/** The trainer's settings. */
export function trainingArgs({ r: _, ...settings }: Settings): Partial<DPOConfig> {
  return { ...ALIGN_TRAINING, evalSteps: EVAL_STEPS, ...settings };
}

/** The adapter's settings; its scale is the same at every rank. */
export function loraConfig({ r }: Settings): Partial<LoraConfig> {
  return { ...ALIGN_LORA, r, loraAlpha: (ALIGN_LORA.loraAlpha / ALIGN_LORA.r) * r };
}

const { openings, ...sampling } = ALIGN_SAMPLING;
/** Stories that are written before and after alike. */
export const MEASURED = openings;
/** How they are sampled. */
export const SAMPLING = sampling;
