/** How many judgments there are of each kind, and the line that says so. */
import { counted } from '../../../src/base/counted.ts';
import type { Judgment, Verdict } from './judgment.ts';

export interface Counts {
  /** Judgments with a better side: picks and edits. */
  preferences: number;
  ties: number;
  bothBad: number;
  up: number;
  down: number;
  total: number;
}

/** The count to which a verdict belongs. */
const COUNTED_AS: Readonly<Record<Verdict, keyof Counts>> = {
  first: 'preferences',
  second: 'preferences',
  edit: 'preferences',
  tie: 'ties',
  'both-bad': 'bothBad',
  up: 'up',
  down: 'down',
};

export function countJudgments(judgments: Iterable<Judgment>): Counts {
  const counts: Counts = { preferences: 0, ties: 0, bothBad: 0, up: 0, down: 0, total: 0 };
  for (const { verdict } of judgments) {
    counts[COUNTED_AS[verdict]]++;
    counts.total++;
  }
  return counts;
}

/** `12 preferences · 2 ties · 1 both bad · 3 thumbs`; what is zero is left out, except preferences. */
export function statusText({ preferences, ties, bothBad, up, down }: Counts): string {
  const parts = [
    ties > 0 && counted(ties, 'tie'),
    bothBad > 0 && `${bothBad} both bad`,
    up + down > 0 && counted(up + down, 'thumb'),
  ];
  return [counted(preferences, 'preference'), ...parts.filter((part) => part !== false)].join(' · ');
}
