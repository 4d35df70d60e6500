/**
 * What a loss is about, as data: pairs, single completions, tokens. A row says how many completions make a record, what
 * each of them is for, and which are learned and counted, so that nothing after the packing asks.
 */
import type { ExampleShape } from '../data/columns.ts';
import type { Objective } from './catalogue.ts';
import { EXAMPLE_RECORD, PAIR_RECORD, TOKEN_RECORD } from './record.ts';

/** What a completion is in the metrics: one side of a comparison, or a sample of the policy. */
export type Side = 'chosen' | 'rejected' | 'sampled';

export interface Unit {
  /** Completions that make a record; records are made of an example's completions in turn. */
  readonly completions: number;
  /** Columns of a record. */
  readonly width: number;
  /** An example's first so many completions are learned: token means are over them. */
  readonly learned: number;
  /** An example's first so many completions are counted as trained tokens; what only serves a baseline is not. */
  readonly counted: number;
  /** What each completion of an example is; undefined for one that only serves a baseline. */
  sides(example: ExampleShape): readonly (Side | undefined)[];
}

const ALL = Number.POSITIVE_INFINITY;

const labelOf = ({ columns }: ExampleShape): Side => (columns?.desirable?.[0] === 0 ? 'rejected' : 'chosen');

const UNITS = {
  pair: {
    completions: 2,
    width: PAIR_RECORD.width,
    learned: 1,
    counted: 2,
    sides: () => ['chosen', 'rejected'],
  },
  example: {
    completions: 1,
    width: EXAMPLE_RECORD.width,
    learned: 1,
    counted: 1,
    sides: (example) => [labelOf(example)],
  },
  /** An example that brings another's completion along. */
  baseline: {
    completions: 2,
    width: EXAMPLE_RECORD.width,
    learned: 1,
    counted: 1,
    sides: (example) => [labelOf(example), undefined],
  },
  token: {
    completions: 1,
    width: TOKEN_RECORD.width,
    learned: ALL,
    counted: ALL,
    sides: ({ completions }) => completions.map(() => 'sampled'),
  },
} as const satisfies Readonly<Record<string, Unit>>;

/** The row of an objective. */
export function unitOf({ unit, baseline }: Pick<Objective, 'unit' | 'baseline'>): Unit {
  return UNITS[baseline ? 'baseline' : unit];
}

/** Records that some examples make. */
export function recordsOf(examples: readonly ExampleShape[], { completions: each }: Unit): number {
  return examples.reduce((sum, { completions }) => sum + completions.length / each, 0);
}
