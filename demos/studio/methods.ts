/**
 * Methods that learn from judgments, a row each: what the page says of a method and which rows of the judgments it reads. Its
 * trainer is in `trainers.ts`, which only the worker loads.
 */
import type { Settings } from './messages.ts';
import { type Judgment, promptText } from './preferences/judgment.ts';
import { labelRows, pairRows, textRows } from './preferences/rows.ts';

interface Method {
  label: string;
  /** One sentence: what it learns from. */
  meaning: string;
  /** What one of its rows is called. */
  row: string;
  /** The settings that it has. */
  settings: readonly (keyof Settings)[];
  /** Whether it learns while its person picks, from nothing else. */
  isOnline?: boolean;
  /** Whether it learns from rollouts that a reward model scores. */
  isPolicy?: boolean;
  /** Rows that the judgments give. */
  count(judgments: readonly Judgment[]): number;
}

/** Of a run on rows. */
const ROWS = [
  'learningRate',
  'numTrainEpochs',
  'perDeviceTrainBatchSize',
  'r',
  'seed',
  'evalSteps',
  'earlyStoppingPatience',
] as const;
/** Of a run on rollouts. */
const ROLLOUTS = [
  'beta',
  'maxSteps',
  'numGenerations',
  'perDeviceTrainBatchSize',
  'maxCompletionLength',
  'learningRate',
  'r',
  'seed',
  'evalSteps',
] as const;

/** Each prompt once. */
const promptsOf = (judgments: readonly Judgment[]) =>
  new Map(judgments.map(({ prompt }) => [promptText(prompt), prompt]));

export const METHODS = {
  dpo: {
    label: 'DPO',
    meaning: 'Makes the better draft of each pair likelier than the other one.',
    row: 'pair',
    settings: ['beta', ...ROWS],
    count: (judgments) => pairRows(judgments).length,
  },
  kto: {
    label: 'KTO',
    meaning: 'Learns from single drafts, good or bad: thumbs, both-bad drafts, and both sides of each pick.',
    row: 'labeled draft',
    settings: ['beta', ...ROWS],
    count: (judgments) => labelRows(judgments).length,
  },
  orpo: {
    label: 'ORPO',
    meaning: 'Makes the better drafts likelier and the others less likely, without a reference model.',
    row: 'pair',
    settings: ['beta', ...ROWS],
    count: (judgments) => pairRows(judgments).length,
  },
  sft: {
    label: 'SFT',
    meaning: 'Imitates the better drafts, your edits and the thumbs up; ignores the others.',
    row: 'text',
    settings: ROWS,
    count: (judgments) => textRows(judgments).length,
  },
  online: {
    label: 'Online DPO',
    meaning:
      'Learns while you pick: after each batch of picks it takes a step on them, and the updated model writes the next drafts.',
    row: 'pair',
    settings: ['beta', ...ROWS],
    isOnline: true,
    count: (judgments) => pairRows(judgments).length,
  },
  rloo: {
    label: 'RLOO',
    meaning:
      'Writes several drafts of each prompt, and makes those likelier that the reward model of your picks scores higher.',
    row: 'prompt',
    settings: ROLLOUTS,
    isPolicy: true,
    count: (judgments) => promptsOf(judgments).size,
  },
} as const satisfies Readonly<Record<string, Method>>;

export type MethodName = keyof typeof METHODS;

export const METHOD_NAMES = Object.keys(METHODS) as MethodName[];

export const methodOf = (name: MethodName): Method => METHODS[name];
