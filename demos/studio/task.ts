/**
 * Defaults of a run, from the model and from how much there is to learn from, and what they come to in the trainer's settings.
 */

import type { LoraArgs } from 'webalign/models';
import { ALIGN_LORA, ALIGN_TRAINING } from '../../src/cli/align-task.ts';
import type { Settings } from './messages.ts';
import { type MethodName, methodOf } from './methods.ts';
import { betaFor, policyLength, ROLLOUTS } from './policy/defaults.ts';

/** Checkpoints and looks at the held-out rows, over a run. */
const EVALUATIONS = 8;
/** Rows that a short run goes through in all, so that ten picks have a visible effect. */
const FEW_ROWS_SEEN = 80;
const MOST_EPOCHS = 8;
/** Up to so many rows there is a batch of so many. */
const BATCHES: readonly (readonly [rows: number, batch: number])[] = [
  [32, 4],
  [128, 8],
  [Number.POSITIVE_INFINITY, 16],
];
/** A model up to so many numbers learns at this rate: small models take large steps. */
const RATES: readonly (readonly [parameters: number, rate: number])[] = [
  [10e6, ALIGN_TRAINING.learningRate],
  [200e6, 2e-4],
  [1e9, 1e-4],
  [Number.POSITIVE_INFINITY, 5e-5],
];

const rowFor = (table: readonly (readonly [number, number])[], size: number): number =>
  table.find(([most]) => size <= most)?.[1] ?? 0;

/** What an online run differs in: it sees each batch once, and its evaluations follow so many steps. */
const ONLINE = { numTrainEpochs: 1, perDeviceTrainBatchSize: 4, evalSteps: 5 } as const;
/** Of the learning rate of other runs: batches of a few picks are noisy, and the rate does not decay. */
const ONLINE_RATE = 0.25;
/** Of the same, for rollouts: a gradient of few of them is noisy, and at the full rate the policy drifts without gaining reward. */
const POLICY_RATE = 0.5;

/** Tokens of a rollout, where no form says so. */
const LENGTH = 40;

/** What defaults depend on beside rows and model. */
export interface Circumstances {
  /** How much the reward model's scores of two drafts of a prompt differ. */
  spread?: number | undefined;
  /** Tokens of a draft, by the form of the drafts. */
  draftLength?: number | undefined;
}

/** Settings for so many rows and a model of so many numbers. */
export function defaultsFor(
  rows: number,
  parameters: number,
  method: MethodName = 'dpo',
  { spread, draftLength = LENGTH }: Circumstances = {},
): Settings {
  const rate = rowFor(RATES, parameters);
  const epochs = Math.round(FEW_ROWS_SEEN / Math.max(1, rows));
  const length = {
    numTrainEpochs: Math.min(MOST_EPOCHS, Math.max(1, epochs)),
    perDeviceTrainBatchSize: rowFor(BATCHES, rows),
  };
  return {
    ...length,
    beta: 0.1,
    learningRate: rate,
    r: ALIGN_LORA.r,
    seed: ALIGN_TRAINING.seed,
    evalSteps: evalStepsOf(stepsOf(rows, length)),
    earlyStoppingPatience: 0,
    ...ROLLOUTS,
    maxCompletionLength: draftLength,
    ...ownDefaults(method, rows, rate, spread),
  };
}

/** Defaults in which a method differs from the others. */
function ownDefaults(
  method: MethodName,
  rows: number,
  rate: number,
  spread: number | undefined,
): Partial<Settings> {
  const { isOnline, isPolicy } = methodOf(method);
  if (isOnline) return { ...ONLINE, learningRate: ONLINE_RATE * rate };
  if (isPolicy) return { ...policyLength(rows), beta: betaFor(spread), learningRate: POLICY_RATE * rate };
  return {};
}

type Length = Pick<Settings, 'numTrainEpochs' | 'perDeviceTrainBatchSize'>;

/** Optimizer steps of a run on so many rows. */
export function stepsOf(rows: number, { numTrainEpochs, perDeviceTrainBatchSize }: Length): number {
  return Math.ceil(numTrainEpochs * Math.ceil(rows / perDeviceTrainBatchSize));
}

/** Steps between two evaluations of a run of so many steps. */
export const evalStepsOf = (steps: number): number => Math.max(1, Math.ceil(steps / EVALUATIONS));

/** Settings of the page that are not the trainer's. */
const OF_THE_PAGE: readonly (keyof Settings)[] = ['r', 'earlyStoppingPatience'];

/** The trainer's settings. */
export function trainingArgs(method: MethodName, settings: Settings): Record<string, unknown> {
  const names = methodOf(method).settings.filter((name) => !OF_THE_PAGE.includes(name));
  return {
    ...Object.fromEntries(names.map((name) => [name, settings[name]])),
    perDeviceEvalBatchSize: settings.perDeviceTrainBatchSize,
    warmupRatio: ALIGN_TRAINING.warmupRatio,
    lrSchedulerType: ALIGN_TRAINING.lrSchedulerType,
    saveSteps: settings.evalSteps,
  };
}

/** The adapter's settings; its scale is the same at every rank. */
export function loraConfig({ r }: Settings): LoraArgs {
  return { r, loraAlpha: (ALIGN_LORA.loraAlpha / ALIGN_LORA.r) * r };
}
