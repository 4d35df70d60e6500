/**
 * The numbers of the task: those of the command line's `align`, some of which can be changed here.
 */

import type { LoraConfig } from 'webalign/models';
import type { DPOConfig } from 'webalign/trainers';
import { ALIGN_LORA, ALIGN_SAMPLING, ALIGN_TRAINING } from '../../src/cli/align-task.ts';
import type { Settings } from './messages.ts';

/** Number of steps between two evaluations on the held-out pairs, which the charts show. */
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

/** The adapter's settings; its scale does not depend on the rank. */
export function loraConfig({ r }: Settings): Partial<LoraConfig> {
  return { ...ALIGN_LORA, r, loraAlpha: (ALIGN_LORA.loraAlpha / ALIGN_LORA.r) * r };
}

const { openings, ...sampling } = ALIGN_SAMPLING;
/** Number of stories generated before and after. */
export const MEASURED = openings;
/** Their sampling options. */
export const SAMPLING = sampling;
