/**
 * What the frontier is made of: which methods are trained, on what, and how many stories are written to measure them.
 * Plain data. Every method has the same pairs in the same order, steps, learning rate and adapter; only its loss differs.
 */
import { ALIGN_LORA, ALIGN_TRAINING } from '../../cli/align-task.ts';
import type { Settings } from '../../cli/options.ts';

export interface Entry {
  /** Names its files. */
  id: string;
  /** Whose curve it lies on: points of a family have one colour and mark. */
  family: string;
  /** What sets it apart from others of its family. */
  label: string;
  /** The row of the table of methods that trains it. */
  method: 'dpo' | 'kto' | 'cpo' | 'orpo' | 'rloo';
  /** What differs from {@link FRONTIER_TRAINING}. */
  settings: Settings;
  /** A long run that was made apart: its folder is measured when `--adapter` names it, and it is drawn once that is kept. */
  isGiven?: boolean;
  /** Stories for each opening, where it is not the task's number. */
  stories?: number;
}

const { beta: _, ...training } = ALIGN_TRAINING;

/** Half of the learning rate that `align` has, so that points of small KL are within reach. */
export const FRONTIER_TRAINING = {
  ...training,
  ...ALIGN_LORA,
  learningRate: 1e-3,
} as const satisfies Settings;

/** The family that the page holds against best-of-n. */
export const CONTENDER = 'DPO';

/** The price of a nat at which all methods are compared. */
export const PRICE = 2;

/** What the pairs cost: 6 stories were written for each of 1100 openings, which gave 800 pairs, those held out included. */
export const STORIES_PER_PAIR = (1100 * 6) / 800;

const dpo = (beta: number): Entry => entry('dpo', CONTENDER, beta, { lossType: ['sigmoid'] });
const ipo = (beta: number): Entry => entry('ipo', 'IPO', beta, { lossType: ['ipo'] });
const hinge = (beta: number): Entry => entry('hinge', 'hinge', beta, { lossType: ['hinge'] });
/** Twice the completions a step are as many pairs, split in two. */
const kto = (beta: number): Entry =>
  entry('kto', 'KTO', beta, { perDeviceTrainBatchSize: 2 * FRONTIER_TRAINING.perDeviceTrainBatchSize });
const simpo = (beta: number): Entry =>
  entry('simpo', 'SimPO', beta, { lossType: ['simpo'], cpoAlpha: 0, simpoGamma: 0.5 });
const orpo = (beta: number): Entry => entry('orpo', 'ORPO', beta, {});

/** The policy writes its own stories, for the openings of the pairs, and learns from the sentiment itself. */
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

/** Enough to show where a β leads, and far from where it ends. */
const SHORT = 20;

/** A long run of RLOO, measured well enough for a certificate from its own stories. */
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
  /** Pairs to train on. */
  pairs: number;
  maxSteps: number;
  /** The first held-out openings. */
  openings: number;
  /** Stories of the model as it is, for each opening: for the optimum and best-of-n. */
  referenceStories: number;
  /** How many times over, each kept apart. */
  referenceSets: number;
  /** Stories of a trained one, for each opening. */
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

/** What is left of it all where someone only wants to see that it works. */
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
 * Stories are drawn from the whole of the model's distribution, which the KL is of. Those of the reference, each set of them,
 * and those of methods have random numbers apart.
 */
export const FRONTIER_SAMPLING = { temperature: 1, referenceSeed: 7, betweenSets: 100, seed: 8 } as const;

/** β of the optimum's curve, from high to low, four to an octave. */
export const CURVE_BETAS: readonly number[] = Array.from({ length: 37 }, (_, i) => 2 ** (6 - i / 4));

/** Standard errors beyond which a difference is taken to be one. */
export const ERRORS = 2;
