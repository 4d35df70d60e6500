/**
 * Configuration of the frontier: the methods and their training, and the number of stories for measuring them. Plain data.
 * All methods on pairs use the same pairs in the same order, steps, learning rate and adapter; only the loss differs.
 */
import { ALIGN_LORA, ALIGN_TRAINING } from '../../cli/align-task.ts';
import type { Settings } from '../../cli/options.ts';

export interface Entry {
  /** Name of its files. */
  id: string;
  /** The curve to which it belongs: points of a family share color and mark. */
  family: string;
  /** Its label within the family. */
  label: string;
  /** The method that trains it. */
  method: 'dpo' | 'kto' | 'cpo' | 'orpo' | 'rloo';
  /** The differences from {@link FRONTIER_TRAINING}. */
  settings: Settings;
  /**
   * A long run that was made separately: it is measured when `--adapter` names its folder, and plotted once the result is
   * stored.
   */
  isGiven?: boolean;
  /** Stories per opening, if different from the task's number. */
  stories?: number;
}

const { beta: _, ...training } = ALIGN_TRAINING;

/** Half of the learning rate of `align`, to get points with a small KL. */
export const FRONTIER_TRAINING = {
  ...training,
  ...ALIGN_LORA,
  learningRate: 1e-3,
} as const satisfies Settings;

/** The family that the page compares with best-of-n. */
export const CONTENDER = 'DPO';

/** The β at which all methods are compared. */
export const PRICE = 2;

/** The cost of a pair: 6 stories for each of 1100 openings gave 800 pairs, including the held-out ones. */
export const STORIES_PER_PAIR = (1100 * 6) / 800;

const dpo = (beta: number): Entry => entry('dpo', CONTENDER, beta, { lossType: ['sigmoid'] });
const ipo = (beta: number): Entry => entry('ipo', 'IPO', beta, { lossType: ['ipo'] });
const hinge = (beta: number): Entry => entry('hinge', 'hinge', beta, { lossType: ['hinge'] });
/** A step with twice the completions has the same number of pairs, each split in two. */
const kto = (beta: number): Entry =>
  entry('kto', 'KTO', beta, { perDeviceTrainBatchSize: 2 * FRONTIER_TRAINING.perDeviceTrainBatchSize });
const simpo = (beta: number): Entry =>
  entry('simpo', 'SimPO', beta, { lossType: ['simpo'], cpoAlpha: 0, simpoGamma: 0.5 });
const orpo = (beta: number): Entry => entry('orpo', 'ORPO', beta, {});

/** The policy generates its own stories for the openings of the pairs, and learns from the sentiment directly. */
const rloo = (beta: number, maxSteps: number, size = { batch: 64, group: 8 }): Entry => ({
  ...entry('rloo', 'RLOO', beta, {
    reward: ['sentiment'],
    perDeviceTrainBatchSize: size.batch,
    numGenerations: size.group,
    learningRate: 2e-3,
    maxSteps,
  }),
  label: `β ${beta}, ${maxSteps} steps`,
});

/** Enough to show the direction of a β, but far from convergence. */
const SHORT = 20;

/** A long run of RLOO, with enough stories for a certificate. */
const longRun = (beta: number): Entry => ({
  ...entry('rloo', 'RLOO', beta, {}),
  id: `rloo-${beta}-long`,
  label: `β ${beta}, long`,
  isGiven: true,
  stories: 64,
});

const METHOD = {
  dpo: 'dpo',
  ipo: 'dpo',
  hinge: 'dpo',
  kto: 'kto',
  simpo: 'cpo',
  orpo: 'orpo',
  rloo: 'rloo',
} as const;

function entry(name: keyof typeof METHOD, family: string, beta: number, settings: Settings): Entry {
  return {
    id: `${name}-${beta}`,
    family,
    label: `β ${beta}`,
    method: METHOD[name],
    settings: { ...settings, beta },
  };
}

export interface FrontierTask {
  /** Number of training pairs. */
  pairs: number;
  maxSteps: number;
  /** Number of held-out openings, from the first. */
  openings: number;
  /** Stories of the original model per opening: for the optimum and best-of-n. */
  referenceStories: number;
  /** Number of sets of these stories, stored separately. */
  referenceSets: number;
  /** Stories of a trained model per opening. */
  stories: number;
  maxNewTokens: number;
  entries: readonly Entry[];
}

export const FRONTIER: FrontierTask = {
  pairs: 640,
  maxSteps: -1,
  openings: 96,
  referenceStories: 64,
  referenceSets: 2,
  stories: 2,
  maxNewTokens: 40,
  entries: [
    dpo(0.1),
    dpo(0.3),
    dpo(1),
    dpo(3),
    ipo(1),
    ipo(3),
    hinge(1),
    simpo(2.5),
    orpo(0.1),
    kto(0.1),
    rloo(1, SHORT),
    rloo(4, SHORT),
    longRun(1),
    longRun(2),
    longRun(4),
  ],
};

/** A reduced version for a quick test. */
export const FRONTIER_QUICK: FrontierTask = {
  pairs: 4,
  maxSteps: 2,
  openings: 4,
  referenceStories: 16,
  referenceSets: 2,
  stories: 2,
  maxNewTokens: 8,
  entries: [dpo(0.1), rloo(2, 2, { batch: 8, group: 4 })],
};

/**
 * Stories are sampled from the model's full distribution, to which the KL refers. The sets of the reference and those of
 * the methods use different random numbers.
 */
export const FRONTIER_SAMPLING = { temperature: 1, referenceSeed: 7, betweenSets: 100, seed: 8 } as const;

/** β of the optimum's curve, from high to low, four per octave. */
export const CURVE_BETAS: readonly number[] = Array.from({ length: 37 }, (_, i) => 2 ** (6 - i / 4));

/** Number of standard errors for a significant difference. */
export const ERRORS = 2;
