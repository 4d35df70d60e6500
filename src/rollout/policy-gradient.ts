/**
 * Experience for policy gradients: every completion learns in proportion to its advantage. Scores only what the loss cannot
 * compute itself: if the learning policy is the sampling policy, ratios are 1, and the loss computes its own KL. A group
 * whose advantages are all zero has no gradient unless the loss includes a KL.
 */
import { counted } from '../base/counted.ts';
import { own } from '../base/lookup.ts';
import type { ColumnSpecs, TokenizedExample } from '../data/packing.ts';
import type { Gpu } from '../gpu/device.ts';
import { InputError, listed, quote } from '../io/errors.ts';
import type { TrainingLoss } from '../losses/family.ts';
import type { Metrics } from '../train/events.ts';
import type { StepContext } from '../train/step.ts';
import type { AdvantageFunction } from './advantages.ts';
import { type Earned, type EarningSettings, earnings, rehearseEarnings, rolloutMetrics } from './earnings.ts';
import type { Experience, ExperienceMaker, MakeOptions } from './experience.ts';
import type { WeighedReward } from './rewards.ts';
import type { Samples } from './sampling.ts';

export interface PolicyGradientSettings {
  numGenerations: number;
  temperature: number;
  /** Coefficient of the KL penalty in the rewards; 0 if there is none. */
  beta: number;
  rewardClipRange?: readonly number[] | null;
  rewardTimeout: number;
  /** Whether completions serve more than one step, so that the policy changes between sampling and learning. */
  isReused: boolean;
  /** Whether completions that were cut at the maximum length are excluded from the loss. */
  maskTruncatedCompletions?: boolean;
  /** The fraction of tokens, those with the highest entropy, that have an advantage. */
  topEntropyQuantile?: number;
  /** Completions per micro-batch; the fraction applies to the tokens of a micro-batch. */
  perDeviceTrainBatchSize: number;
}

/** The values that columns are made of. */
interface Findings {
  /** Per completion. */
  advantages: readonly number[];
  earned: Earned;
  /** Per completion; undefined if every token has the advantage of its completion. */
  masks: readonly (readonly boolean[])[] | undefined;
}

/** The columns that losses may read: the numbers of completion i, one per token if `perToken`. */
const COLUMNS: Readonly<
  Record<string, (found: Findings, i: number, tokens: number, perToken: boolean) => number[] | undefined>
> = {
  advantage: ({ advantages, masks }, i, tokens, perToken) => {
    const value = advantages[i];
    if (!perToken) return [value];
    return Array.from({ length: tokens }, (_, t) => (masks?.[i]?.[t] === false ? 0 : value));
  },
  oldLogprobs: ({ earned }, i) => earned.oldLogprobs && [...earned.oldLogprobs[i]],
  reward: ({ earned }, i, tokens, perToken) =>
    new Array<number>(perToken ? tokens : 1).fill(earned.rewards[i] ?? 0),
};

export class PolicyGradientExperience implements ExperienceMaker {
  readonly reads: ColumnSpecs;
  readonly completions: number;
  readonly usesReference: boolean;
  readonly identity: unknown;
  private readonly scoresPolicy: boolean;
  private readonly skipsSilent: boolean;
  private readonly hasKlInLoss: boolean;

  /** Throws {@link InputError} for a loss that reads a column that rollouts do not have. */
  constructor(
    loss: Pick<TrainingLoss, 'reads' | 'usesReference' | 'terms'>,
    private readonly rewards: readonly WeighedReward[],
    private readonly advantages: AdvantageFunction,
    private readonly settings: PolicyGradientSettings,
  ) {
    const { beta, numGenerations, isReused, topEntropyQuantile = 1 } = settings;
    this.reads = loss.reads;
    this.completions = numGenerations;
    this.usesReference = beta > 0;
    this.hasKlInLoss = loss.usesReference;
    this.identity = rewards.map(({ name, weight }) => [name, weight]);
    const { oldLogprobs } = loss.reads;
    this.scoresPolicy = (oldLogprobs && (isReused || oldLogprobs.default === undefined)) ?? false;
    // A loss divided by the tokens of its micro-batch also counts those of silent groups.
    this.skipsSilent = !this.hasKlInLoss && loss.terms.every(({ loss: { over } }) => over !== 'batch');
    requireColumns(loss.reads);
    requireTokens(loss.reads, topEntropyQuantile);
  }

  async make(samples: Samples, context: StepContext, options: MakeOptions): Promise<Experience> {
    const { rewards, settings } = this;
    const { numGenerations, rewardClipRange = null } = settings;
    const earned = await earnings(context, samples, rewards, {
      ...settings,
      ...this.scores,
      rewardClipRange,
      ...options,
    });
    const byFunction = new Map(
      rewards.map(({ name, weight }) => [name, { weight, values: earned.byFunction.get(name) ?? [] }]),
    );
    const { returns } = earned;
    const advantages = checked(this.advantages({ returns, byFunction, numGenerations }), returns.length);
    const examples = this.examples(samples, { advantages, earned, masks: this.masks(samples, earned) });
    const isSilent = ({ completions, columns }: TokenizedExample) =>
      completions.every(({ length }) => length === 0) ||
      (this.skipsSilent && [...Array.from(columns?.advantage ?? [1])].every((value) => value === 0));
    return {
      examples,
      silent: examples.map(isSilent),
      metrics: this.metrics(samples, earned),
      rewards: earned.rewards,
      byFunction: earned.byFunction,
      advantages: [...advantages],
      seconds: earned.seconds,
    };
  }

  rehearse(gpu: Gpu, examples: readonly TokenizedExample[], context: StepContext): void {
    rehearseEarnings(gpu, context, examples, this.rewards, { ...this.settings, ...this.scores });
  }

  private get scores(): Pick<EarningSettings, 'scoresPolicy' | 'scoresEntropies'> {
    const { topEntropyQuantile = 1 } = this.settings;
    return { scoresPolicy: this.scoresPolicy, scoresEntropies: topEntropyQuantile < 1 };
  }

  /** J is unknown here if the loss computes the KL. */
  private metrics(samples: Samples, earned: Earned): Metrics {
    const all = rolloutMetrics(samples, earned, this.settings.numGenerations);
    if (!this.hasKlInLoss) return all;
    const { objective: _, ...known } = all;
    return known;
  }

  /** A completion that is excluded from the loss keeps its place, without tokens. */
  private examples({ examples, finished }: Samples, found: Findings): TokenizedExample[] {
    const { numGenerations, maskTruncatedCompletions = false } = this.settings;
    return examples.map(({ prompt, completions: written }, p) => {
      const completions = written.map((ids, c) =>
        maskTruncatedCompletions && finished[p * numGenerations + c] === 'length' ? [] : ids,
      );
      const columns = Object.entries(this.reads).flatMap(([name, { per }]): [string, number[]][] => {
        const column = completions.map(({ length }, c) => {
          const i = p * numGenerations + c;
          const perToken = per === 'row';
          return length === 0 && perToken ? [] : own(COLUMNS, name)?.(found, i, length, perToken);
        });
        return column.some((values) => !values) ? [] : [[name, column.flatMap((values) => values ?? [])]];
      });
      return { prompt, completions, columns: Object.fromEntries(columns) };
    });
  }

  /** For each completion the tokens that have an advantage, by the entropies of a micro-batch. */
  private masks({ finished }: Samples, { entropies }: Earned): boolean[][] | undefined {
    const { topEntropyQuantile = 1, maskTruncatedCompletions, perDeviceTrainBatchSize: size } = this.settings;
    if (!entropies) return undefined;
    return entropies.map((values, i) => {
      const start = i - (i % size);
      const batch = entropies.slice(start, start + size);
      const isLearned = (_: unknown, b: number) =>
        !(maskTruncatedCompletions && finished[start + b] === 'length');
      const threshold = quantile(
        batch.filter(isLearned).flatMap((each) => [...each]),
        1 - topEntropyQuantile,
      );
      return Array.from(values, (value) => value >= threshold);
    });
  }
}

/** Linear interpolation between neighbors, like torch.quantile; 0 for an empty list. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const place = share * (sorted.length - 1);
  const below = sorted[Math.floor(place)] ?? 0;
  const above = sorted[Math.ceil(place)] ?? below;
  return below + (place - Math.floor(place)) * (above - below);
}

function checked(values: ArrayLike<number>, count: number): number[] {
  const all = Array.from(values);
  if (all.length !== count) {
    const what = `returned ${counted(all.length, 'advantage')} for ${counted(count, 'completion')}`;
    throw new InputError('advantage function', what, 'Return one per completion');
  }
  const wrong = all.findIndex((value) => !Number.isFinite(value));
  if (wrong < 0) return all;
  const what = `returned ${quote(all[wrong])} for completion ${wrong + 1}`;
  throw new InputError(
    'advantage function',
    what,
    'Return a finite number; 0 learns nothing from a completion',
  );
}

function requireColumns(reads: ColumnSpecs): void {
  const unknown = Object.entries(reads).find(
    ([name, spec]) => !own(COLUMNS, name) && spec.default === undefined,
  );
  if (!unknown) return;
  const what = `the loss reads the column ${quote(unknown[0])}, which completions do not have`;
  throw new InputError('settings', what, `Columns of completions: ${listed(Object.keys(COLUMNS))}`);
}

function requireTokens({ advantage }: ColumnSpecs, topEntropyQuantile: number): void {
  if (topEntropyQuantile === 1 || advantage?.per === 'row') return;
  const what = 'topEntropyQuantile selects tokens, but the loss reads one advantage per completion';
  throw new InputError('settings', what, "Let the loss read advantages per 'row'");
}
