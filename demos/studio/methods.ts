/**
 * Methods that learn from judgments, a row each: what the page says of a method and which rows of the judgments it reads. Its
 * trainer is in `trainers.ts`, which only the worker loads.
 */
import type { Judgment } from './preferences/judgment.ts';
import { labelRows, pairRows, textRows } from './preferences/rows.ts';

interface Method {
  label: string;
  /** One sentence: what it learns from. */
  meaning: string;
  /** What one of its rows is called. */
  row: string;
  /** Whether β is one of its settings. */
  hasBeta: boolean;
  /** Whether it learns while its person picks, from nothing else. */
  isOnline?: boolean;
  /** Rows that the judgments give. */
  count(judgments: readonly Judgment[]): number;
}

export const METHODS = {
  dpo: {
    label: 'DPO',
    meaning: 'Makes the better draft of each pair likelier than the other one.',
    row: 'pair',
    hasBeta: true,
    count: (judgments) => pairRows(judgments).length,
  },
  kto: {
    label: 'KTO',
    meaning: 'Learns from single drafts, good or bad: thumbs, both-bad drafts, and both sides of each pick.',
    row: 'labeled draft',
    hasBeta: true,
    count: (judgments) => labelRows(judgments).length,
  },
  orpo: {
    label: 'ORPO',
    meaning: 'Imitates the better drafts and turns away from the others, without a reference model.',
    row: 'pair',
    hasBeta: true,
    count: (judgments) => pairRows(judgments).length,
  },
  sft: {
    label: 'SFT',
    meaning: 'Imitates the better drafts, your edits and the thumbs up; ignores the others.',
    row: 'text',
    hasBeta: false,
    count: (judgments) => textRows(judgments).length,
  },
  online: {
    label: 'Online DPO',
    meaning:
      'Learns while you pick: a batch of picks, a step on those alone, and the next drafts come from what it has learned.',
    row: 'pair',
    hasBeta: true,
    isOnline: true,
    count: (judgments) => pairRows(judgments).length,
  },
} as const satisfies Readonly<Record<string, Method>>;

export type MethodName = keyof typeof METHODS;

export const METHOD_NAMES = Object.keys(METHODS) as MethodName[];

export const methodOf = (name: MethodName): Method => METHODS[name];
