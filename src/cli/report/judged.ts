/**
 * Views of held-out rows that show the effect of a run, one row each: by log-ratios of completions, by likelihood of texts, by
 * a reward model's scores, by rewards of the policy's completions.
 */
import { mean } from '../../base/mean.ts';
import type { CompletionScore } from '../../train/role-scores.ts';
import type { Comparison, Measured } from './before-after.ts';
import { type ChartData, histogram } from './figures.ts';
import { fixed } from './parts.ts';

export interface Bars {
  title: string;
  about: string;
  charts: ChartData[];
}

interface Judged {
  /** Whether the model writes text. */
  writes: boolean;
  /** Undefined where there are no values. */
  bars(comparison: Comparison): Bars | undefined;
}

export const JUDGED = {
  'log-ratios': {
    writes: true,
    bars: ({ before, after }) => {
      const ratios = after.scores.map((score, i) => ({
        ...score,
        value: score.value - before.scores[i].value,
      }));
      return shownAs('Log-ratios of held-out completions', {
        about:
          'log π after training minus log π before, summed over a completion: above 0 it became more likely. ' +
          'Preferences are learned if the chosen are to the right of the rejected.',
        chart: histogram({
          title: 'Log-ratio',
          meaning: 'completions by their log-ratio, nats',
          axis: 'log-ratio',
          sides: bothSides(ratios),
        }),
      });
    },
  },
  likelihood: {
    writes: true,
    bars: ({ before, after }) =>
      shownAs('Likelihood of held-out texts', {
        about: 'The mean log-probability per token of each text: closer to 0 is more likely.',
        chart: histogram({
          title: 'Log-probability per token',
          meaning: 'texts by their mean log-probability per token, nats',
          axis: 'log-probability',
          sides: [
            { label: 'before', kind: 'before', values: perToken(before) },
            { label: 'after', kind: 'after', values: perToken(after) },
          ],
        }),
      }),
  },
  scores: {
    writes: false,
    bars: ({ before, after }) => {
      const [was, is] = [before, after].map(({ scores }) => meanMargin(scores)) as [number, number];
      return shownAs('Scores of held-out completions', {
        about:
          'The reward model has learned the preferences if the chosen are to the right of the rejected. The chosen scored ' +
          `${fixed(is, 2)} more than the rejected on average, and ${fixed(was, 2)} more before training.`,
        chart: histogram({
          title: 'Score',
          meaning: 'completions by their score after training',
          axis: 'score',
          sides: bothSides(after.scores),
        }),
      });
    },
  },
  rewards: {
    writes: true,
    bars: ({ before, after }) =>
      shownAs('Rewards of its texts', {
        about: 'Rewards of completions of held-out prompts, one each, with the same random numbers.',
        chart: histogram({
          title: 'Reward',
          meaning: 'completions by their reward',
          axis: 'reward',
          sides: [
            { label: 'before', kind: 'before', values: rated(before) },
            { label: 'after', kind: 'after', values: rated(after) },
          ],
        }),
      }),
  },
} as const satisfies Record<string, Judged>;

export type JudgedBy = keyof typeof JUDGED;

function shownAs(
  title: string,
  { about, chart }: { about: string; chart: ChartData | undefined },
): Bars | undefined {
  return chart && { title, about, charts: [chart] };
}

function bothSides(scores: readonly CompletionScore[]) {
  return (['rejected', 'chosen'] as const).map((side) => ({
    label: side,
    kind: side,
    values: of(scores, side),
  }));
}

function of(scores: readonly CompletionScore[], wanted: CompletionScore['side']): number[] {
  return scores.flatMap(({ side, value }) => (side === wanted ? [value] : []));
}

function meanMargin(scores: readonly CompletionScore[]): number {
  return mean(of(scores, 'chosen')) - mean(of(scores, 'rejected'));
}

const perToken = ({ scores }: Measured) => scores.map(({ value, tokens }) => value / tokens);
const rated = ({ rewards }: Measured) => (rewards ?? []).filter((reward) => reward !== null);
