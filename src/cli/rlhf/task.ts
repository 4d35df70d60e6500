/**
 * What the study of figure 1 of the DPO paper is made of: the pairs, the reward model, the roads from the pairs to a policy, and
 * how often each is looked at. Plain data.
 */
import { ALIGN_LORA, ALIGN_TRAINING } from '../align-task.ts';
import type { Settings } from '../options.ts';

/** A way from the same pairs to a policy. A method of another name is one more row. */
export interface Road {
  /** Names its files. */
  id: string;
  name: string;
  /** The row of the table of methods that trains it. */
  method: 'dpo' | 'rloo';
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

export interface RlhfTask {
  /** Pairs to learn from, and those that the reward model is judged by. */
  pairs: number;
  heldOut: number;
  /** Openings that no road was trained on, and stories for each at every look. */
  openings: number;
  stories: number;
  /** Stories of the untrained model for each opening: where the optimum is estimated from. */
  referenceStories: number;
  maxNewTokens: number;
  roads: readonly Road[];
}

function roadsOf(
  dpoEvery: number,
  { steps, every, batch, group }: { steps: number; every: number; batch: number; group: number },
): Road[] {
  const rloo = (id: string, beta: number): Road => ({
    id,
    name: `reward model, RLOO β ${beta}`,
    method: 'rloo',
    beta,
    settings: {
      beta,
      maxSteps: steps,
      saveSteps: every,
      perDeviceTrainBatchSize: batch,
      numGenerations: group,
    },
  });
  return [
    {
      id: 'dpo',
      name: `DPO β ${BETA}`,
      method: 'dpo',
      beta: BETA,
      settings: { beta: BETA, saveSteps: dpoEvery },
    },
    rloo('rloo', BETA),
    rloo('rloo-small', SMALL_BETA),
  ];
}

export const RLHF: RlhfTask = {
  pairs: 640,
  heldOut: 160,
  openings: 48,
  stories: 2,
  referenceStories: 64,
  maxNewTokens: 40,
  roads: roadsOf(10, { steps: 150, every: 15, batch: 128, group: 8 }),
};

/** The direction, in a few minutes on two cores. */
export const RLHF_QUICK: RlhfTask = {
  pairs: 320,
  heldOut: 32,
  openings: 32,
  stories: 2,
  referenceStories: 8,
  maxNewTokens: 40,
  roads: roadsOf(10, { steps: 24, every: 8, batch: 48, group: 8 }),
};

/** Stories are drawn from all of the distribution, which the KL is of; those of the untrained model by themselves. */
export const RLHF_SAMPLING = { temperature: 1, referenceSeed: 7, seed: 8 } as const;

/** Openings of which a story is shown. */
export const SHOWN = 3;

/** Standard errors beyond which a difference is taken to be one. */
export const ERRORS = 2;
