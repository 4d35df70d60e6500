/**
 * Experience for PPO: the reward of each token is the KL penalty, plus the completion's score for the last one; the value
 * model estimates the value of each state, and generalized advantages combine both. The metrics have the names of TRL's
 * PPO.
 */
import { sum } from '../base/mean.ts';
import { say, setting } from '../base/sentence.ts';
import type { ColumnSpecs, Columns, ScoredRows, TokenizedExample } from '../data/packing.ts';
import type { Gpu } from '../gpu/device.ts';
import { InputError } from '../io/errors.ts';
import type { Metrics } from '../train/events.ts';
import { rehearseRoleScores, roleScores } from '../train/role-scores.ts';
import type { StepContext } from '../train/step.ts';
import { type Earned, earnings, rehearseEarnings, rolloutMetrics } from './earnings.ts';
import type { Experience, ExperienceMaker, MakeOptions, OwnColumns } from './experience.ts';
import { generalizedAdvantages, tokenRewards, valueTargets, whitened } from './gae.ts';
import type { WeighedReward } from './rewards.ts';
import type { Samples } from './sampling.ts';

export interface PPOExperienceSettings {
  numGenerations: number;
  temperature: number;
  klCoef: number;
  gamma: number;
  lam: number;
  missingEosPenalty: number | null;
  whitenRewards: boolean;
  whitenAdvantages: boolean;
  rewardTimeout: number;
  /** Number of completions that are scored at a time. */
  perDeviceTrainBatchSize: number;
  /** Completions per batch, and the optimizer steps that use it. */
  episodes: number;
  serves: number;
}

/** The rewards of a completion, state by state. */
interface Walk {
  oldLogprobs: Float32Array;
  /** log π/π_ref of each token. */
  logRatios: Float64Array;
  score: number;
  values: Float32Array;
}

export class PPOExperience implements ExperienceMaker {
  readonly completions: number;
  readonly permutesPasses = true;
  readonly usesReference: boolean;
  readonly beside: readonly OwnColumns[];
  readonly identity: unknown;

  /** `rows` are the states that have a value. */
  constructor(
    readonly reads: ColumnSpecs,
    value: { reads: ColumnSpecs; rows: ScoredRows },
    private readonly rewards: readonly WeighedReward[],
    private readonly settings: PPOExperienceSettings,
  ) {
    this.completions = settings.numGenerations;
    this.beside = [value];
    this.usesReference = settings.klCoef > 0;
    this.identity = rewards.map(({ name, weight }) => [name, weight]);
  }

  async make(samples: Samples, context: StepContext, options: MakeOptions): Promise<Experience> {
    const { rewards, settings } = this;
    const earned = await earnings(context, samples, rewards, {
      ...settings,
      beta: settings.klCoef,
      rewardClipRange: null,
      scoresPolicy: true,
      ...options,
    });
    const start = performance.now();
    const walks = await this.walks(samples, earned, context);
    const { advantages, returns } = this.judged(walks);
    const columns = {
      advantage: advantages,
      oldLogprobs: walks.map(({ oldLogprobs }) => oldLogprobs),
      oldValues: walks.map(({ values }) => values),
      returns,
    };
    const examples = samples.examples.map((example, p) => ({
      ...example,
      columns: this.ofGroup(p, columns),
    }));
    const { rewarding, scoring } = earned.seconds;
    return {
      examples,
      metrics: {
        ...rolloutMetrics(samples, earned, settings.numGenerations),
        ...this.metrics(samples, walks),
        episode: Math.ceil(options.step / settings.serves) * settings.episodes,
      },
      rewards: earned.rewards,
      advantages: advantages.map((list) => meanOr0(list)),
      seconds: { rewarding, scoring: scoring + (performance.now() - start) / 1000 },
    };
  }

  rehearse(gpu: Gpu, examples: readonly TokenizedExample[], context: StepContext): void {
    const { klCoef: beta, temperature } = this.settings;
    rehearseEarnings(gpu, context, examples, this.rewards, { beta, temperature, scoresPolicy: true });
    const { kept, filterEps, beside: [role] = [] } = context;
    if (role) rehearseRoleScores(gpu, role, examples, { batchSize: this.groupsAtATime, kept, filterEps });
  }

  private get groupsAtATime(): number {
    const { perDeviceTrainBatchSize, numGenerations } = this.settings;
    return Math.ceil(perDeviceTrainBatchSize / numGenerations);
  }

  /** The numbers of prompt p's completions, concatenated. */
  private ofGroup(p: number, columns: Readonly<Record<string, readonly ArrayLike<number>[]>>): Columns {
    const { numGenerations: size } = this.settings;
    const joined = Object.entries(columns).map(([name, lists]): [string, number[]] => [
      name,
      lists.slice(p * size, (p + 1) * size).flatMap((list) => Array.from(list)),
    ]);
    return Object.fromEntries(joined);
  }

  /** The entropy of the policy under its name in TRL's PPO. */
  derive(means: Metrics): Metrics {
    return means.entropy === undefined ? {} : { 'policy/entropy_avg': means.entropy };
  }

  private async walks(
    { examples, finished }: Samples,
    { rewards, oldLogprobs, referenceLogprobs }: Earned,
    context: StepContext,
  ): Promise<Walk[]> {
    const { missingEosPenalty } = this.settings;
    const [role] = context.beside ?? [];
    if (!role) throw new Error('PPO needs a value role');
    const { kept, filterEps } = context;
    const values = await roleScores(context.model, role, examples, {
      batchSize: this.groupsAtATime,
      kept,
      filterEps,
    });
    return finished.map((end, i) => {
      const reward = rewards[i];
      if (typeof reward !== 'number') {
        const what = `returned no number for completion ${i + 1}, but PPO needs one for each`;
        throw new InputError('rewards', what, 'Return a number, or train with RLOO');
      }
      const own = oldLogprobs![i];
      const base = referenceLogprobs?.[i];
      return {
        oldLogprobs: own,
        logRatios: Float64Array.from(own, (value, t) => (base ? value - base[t] : 0)),
        score: end === 'eos' ? reward : reward - (missingEosPenalty ?? 0),
        values: values[i],
      };
    });
  }

  private judged(walks: readonly Walk[]): Record<'advantages' | 'returns', Float64Array[]> {
    const { klCoef, gamma, lam, whitenRewards, whitenAdvantages } = this.settings;
    const plain = walks.map(({ logRatios, score, values }) =>
      tokenRewards(logRatios, score, { klCoef, states: values.length }),
    );
    const rewards = whitenRewards ? whitened(plain, { shiftMean: false }) : plain;
    const all = walks.map(({ values }, i) => generalizedAdvantages(rewards[i], values, { gamma, lam }));
    const returns = walks.map(({ values }, i) => valueTargets(all[i], values));
    // The state after the end has a value, but no token for an advantage.
    const ofTokens = all.map((list, i) => list.slice(0, walks[i].oldLogprobs.length));
    return { advantages: whitenAdvantages ? whitened(ofTokens) : ofTokens, returns };
  }

  private metrics({ finished }: Samples, walks: readonly Walk[]): Metrics {
    const { klCoef } = this.settings;
    const kl = meanOr0(walks.map(({ logRatios }) => sum(logRatios)));
    const score = meanOr0(walks.map((walk) => walk.score));
    return {
      'objective/kl': kl,
      'objective/entropy': meanOr0(walks.map(({ oldLogprobs }) => -sum(oldLogprobs))),
      'objective/non_score_reward': 0 - klCoef * kl,
      'objective/rlhf_reward': score - klCoef * kl,
      'objective/scores': score,
      'val/num_eos_tokens': finished.filter((end) => end === 'eos').length,
    };
  }
}

/** Throws {@link InputError} for a KL estimator with a wrong gradient. */
export function requireEstimator(klEstimator: string): void {
  if (klEstimator === 'k1') return;
  const what = say`${setting('klEstimator')} ${klEstimator} in a reward has a wrong expected gradient, which does not reduce the KL`;
  throw new InputError(
    'settings',
    what,
    say`Leave ${setting('klEstimator')} at k1, whose gradient is that of the KL`,
  );
}

/** A completion may have no tokens. */
const meanOr0 = (values: ArrayLike<number>) => sum(values) / Math.max(1, values.length);
