/**
 * Configuration of the study of figure 1 of the DPO paper: the pairs, the reward model, the methods, and how often each is
 * measured. Plain data.
 */
import { ALIGN_LORA, ALIGN_TRAINING } from '../../cli/align-task.ts';
import type { Settings } from '../../cli/options.ts';

/** A method that trains a policy from pairs. A new method is a new row. */
export interface Road {
  /** Name of its files. */
  id: string;
  name: string;
  /** The method that trains it. */
  method: 'dpo' | 'rloo' | 'ppo';
  /** Number of pairs, from the first: the training data of DPO, or of the reward model of the others. */
  pairs: number;
  /** β, in units of the learned reward per nat. */
  beta: number;
  /** The differences from {@link RLHF_TRAINING}. */
  settings: Settings;
}

const { beta: _, ...training } = ALIGN_TRAINING;

/** The settings common to all trainings, including the reward model's. */
export const RLHF_TRAINING = { ...training, ...ALIGN_LORA } as const satisfies Settings;

/** β of the methods, with which DPO has the same optimum as the learned reward by Theorem 1. */
const BETA = 0.5;
const SMALL_BETA = 0.05;
/** Number of pairs for a reward model that is a poor model of the true reward. */
const FEW_PAIRS = 48;

export interface RlhfTask {
  /** Number of pairs for evaluating reward models. */
  heldOut: number;
  /** Number of openings that no method was trained on, and stories per opening in every measurement. */
  openings: number;
  stories: number;
  /** Stories of the untrained model per opening, for estimating the optimum. */
  referenceStories: number;
  maxNewTokens: number;
  roads: readonly Road[];
}

/** Length of training on stories: number of batches, stories per batch and opening, batches between measurements. */
interface Length {
  batches: number;
  stories: number;
  group: number;
  every: number;
}

/** Number of optimizer steps of PPO per batch of stories; RLOO makes one. */
const PPO_PASSES = 2;

function rloo(id: string, pairs: number, beta: number, { batches, stories, group, every }: Length): Road {
  const settings = {
    beta,
    maxSteps: batches,
    saveSteps: every,
    perDeviceTrainBatchSize: stories,
    numGenerations: group,
  };
  return { id, name: `RLOO β ${beta}`, method: 'rloo', pairs, beta, settings };
}

function ppo(id: string, pairs: number, beta: number, { batches, stories, every }: Length): Road {
  const settings = {
    klCoef: beta,
    maxSteps: PPO_PASSES * batches,
    saveSteps: PPO_PASSES * every,
    perDeviceTrainBatchSize: stories,
    numPpoEpochs: PPO_PASSES,
  };
  return { id, name: `PPO β ${beta}`, method: 'ppo', pairs, beta, settings };
}

function roadsOf(pairs: number, dpoEvery: number, length: Length): Road[] {
  const few = rloo('rloo-few', FEW_PAIRS, SMALL_BETA, length);
  return [
    {
      id: 'dpo',
      name: `DPO β ${BETA}`,
      method: 'dpo',
      pairs,
      beta: BETA,
      settings: { beta: BETA, saveSteps: dpoEvery },
    },
    rloo('rloo', pairs, BETA, length),
    ppo('ppo', pairs, BETA, length),
    { ...few, name: `${few.name}, ${FEW_PAIRS} pairs` },
  ];
}

export const RLHF: RlhfTask = {
  heldOut: 160,
  openings: 48,
  stories: 2,
  referenceStories: 64,
  maxNewTokens: 40,
  roads: roadsOf(640, 10, { batches: 100, stories: 64, group: 8, every: 20 }),
};

/** A reduced study that takes a few minutes on two cores and shows the direction of the results. */
export const RLHF_QUICK: RlhfTask = {
  heldOut: 32,
  openings: 32,
  stories: 2,
  referenceStories: 8,
  maxNewTokens: 40,
  roads: roadsOf(320, 10, { batches: 16, stories: 48, group: 8, every: 8 }),
};

/** Stories are sampled from the full distribution, to which the KL refers; those of the untrained model use a different seed. */
export const RLHF_SAMPLING = { temperature: 1, referenceSeed: 7, seed: 8 } as const;

/** Number of openings whose stories are shown. */
export const SHOWN = 3;

/** Number of standard errors for a significant difference. */
export const ERRORS = 2;

/** Passes of a reward model over its pairs: all make as many steps as the one with the most pairs makes in one pass. */
export function rewardEpochs({ roads }: Pick<RlhfTask, 'roads'>, pairs: number): number {
  return Math.max(...roads.map((road) => road.pairs)) / pairs;
}

/** Number of stories that the policy has generated for training after this many steps; none if it learns from the pairs. */
export function writtenUntil({ method, settings }: Road, step: number): number {
  if (method === 'dpo') return 0;
  const { perDeviceTrainBatchSize = 0, numPpoEpochs = 1 } = settings;
  return Math.ceil(step / numPpoEpochs) * perDeviceTrainBatchSize;
}
