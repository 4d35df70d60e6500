/** The settings that a person can change before a run, and their names inside a sentence. */
import type { Settings } from './messages.ts';

export const LABELS = {
  beta: 'β',
  learningRate: 'the learning rate',
  numTrainEpochs: 'epochs',
  perDeviceTrainBatchSize: 'the batch size',
  r: 'the LoRA rank',
  seed: 'the seed',
  evalSteps: 'the steps between evaluations',
  earlyStoppingPatience: 'the patience',
  maxSteps: 'the steps',
  numGenerations: 'the rollouts of a prompt',
  maxCompletionLength: 'the tokens of a rollout',
} as const satisfies Readonly<Record<keyof Settings, string>>;

export const FIELDS = Object.keys(LABELS) as (keyof Settings)[];
