/**
 * What the study of figure 1 of the DPO paper is made of: the pairs, the reward model, the roads from the pairs to a policy, and
 * how often each is looked at. Plain data.
 */
import { ALIGN_LORA, ALIGN_TRAINING } from '../../cli/align-task.ts';
import type { Settings } from '../../cli/options.ts';

/** A way from pairs to a policy. One of another method is one more row. */
export interface Road {
  /** Names its files. */
  id: string;
  name: string;
  /** The row of the table of methods that trains it. */
  method: 'dpo' | 'rloo' | 'ppo';
  /** The first so many pairs: what DPO learns from, and the reward model of the others. */
  pairs: number;
  /** Price of a nat in units of the learned reward. */
  beta: number;
  /** What differs from {@link RLHF_TRAINING}. */
  settings: Settings;
}

const { beta: _, ...training } = ALIGN_TRAINING;

/** What all trainings share, that of the reward model included. */
export const RLHF_TRAINING = { ...training, ...ALIGN_LORA } as const satisfies Settings;

/** The roads' β, with which DPO has the optimum of the learned reward by Theorem 1, and one that pulls back too little. */
const BETA = 0.5;
const SMALL_BETA = 0.05;
/** Pairs of a reward model that knows too little of the true reward. */
const FEW_PAIRS = 48;

export interface RlhfTask {
  /** Pairs that reward models are judged by. */
  heldOut: number;
  /** Openings that no road was trained on, and stories for each at every look. */
  openings: number;
  stories: number;
  /** Stories of the untrained model for each opening: where the optimum is estimated from. */
  referenceStories: number;
  maxNewTokens: number;
  roads: readonly Road[];
}

/** How long roads of stories are: batches of stories, stories a batch and an opening, batches between looks. */
interface Length {
  batches: number;
  stories: number;
  group: number;
  every: number;
}

/** Optimizer steps that PPO makes with a batch of stories, where RLOO makes one. */
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

/** The direction, in a few minutes on two cores. */
export const RLHF_QUICK: RlhfTask = {
  heldOut: 32,
  openings: 32,
  stories: 2,
  referenceStories: 8,
  maxNewTokens: 40,
  roads: roadsOf(320, 10, { batches: 16, stories: 48, group: 8, every: 8 }),
};

/** Stories are drawn from all of the distribution, which the KL is of; those of the untrained model by themselves. */
export const RLHF_SAMPLING = { temperature: 1, referenceSeed: 7, seed: 8 } as const;

/** Openings of which a story is shown. */
export const SHOWN = 3;

/** Standard errors beyond which a difference is taken to be one. */
export const ERRORS = 2;

/** Passes of a reward model over its pairs: it makes as many steps as one of the most pairs makes in a pass. */
export function rewardEpochs({ roads }: Pick<RlhfTask, 'roads'>, pairs: number): number {
  return Math.max(...roads.map((road) => road.pairs)) / pairs;
}

/** Stories that the policy has written to learn from after so many steps; none where it learns from the pairs. */
export function writtenUntil({ method, settings }: Road, step: number): number {
  if (method === 'dpo') return 0;
  const { perDeviceTrainBatchSize = 0, numPpoEpochs = 1 } = settings;
  return Math.ceil(step / numPpoEpochs) * perDeviceTrainBatchSize;
}
