/**
 * Group-relative policy optimization (Shao et al. 2024) with TRL's names and defaults: every completion is compared with
 * the mean of its group, and a loss of the catalogue uses the ratio to the sampling policy.
 */
import { say, setting } from '../base/sentence.ts';
import { atOnce, inSlices, type Sliced, type SliceOptions } from '../base/slices.ts';
import { InputError } from '../io/errors.ts';
import { MovingReference } from '../train/references/moving-reference.ts';
import type { ReferenceKind } from '../train/references/reference.ts';
import { GRPO, type GRPOArgs, type GRPOConfig } from '../train/settings/grpo.ts';
import { resolveConfig, resolveLoss } from '../train/settings/resolve.ts';
import type { WithOwnOptions } from '../train/settings/trainer.ts';
import { Trainer } from '../train/trainer.ts';
import type { Task } from '../train/training-task.ts';
import { AGGREGATIONS } from './advantages.ts';
import { policyGradientTask, type RolloutTrainerOptions, requireReference } from './policy-gradient-task.ts';
import { withFittingLength } from './prepare.ts';

export interface GRPOTrainerOptions<Args = GRPOArgs> extends RolloutTrainerOptions<Args> {}

type AnyOptions = GRPOTrainerOptions | GRPOTrainerOptions<WithOwnOptions<GRPOArgs>>;

export class GRPOTrainer extends Trainer<GRPOConfig> {
  /** `task`: the result of {@link grpoTask} for the options. */
  constructor(options: GRPOTrainerOptions, task?: Task<GRPOConfig>);
  constructor(options: GRPOTrainerOptions<WithOwnOptions<GRPOArgs>>, task?: Task<GRPOConfig>);
  /** Throws {@link InputError} for invalid settings, and for a prompt that is too long, with its row. */
  constructor(options: GRPOTrainerOptions, task = atOnce(grpoTask(options))) {
    super(options, task);
  }

  /** The same, but tokenizes the prompts in slices and yields to the event loop in between. Throws the signal's reason. */
  static async create(options: AnyOptions, slices?: SliceOptions): Promise<GRPOTrainer> {
    return new GRPOTrainer(options, await inSlices(grpoTask(options), slices));
  }
}

/** Settings, prompts, rewards and loss of a run. */
export function grpoTask(options: AnyOptions): Sliced<Task<GRPOConfig>> {
  const given = resolveConfig<GRPOConfig>(GRPO, options.args as GRPOArgs, options.peftConfig);
  const { config, notices } = withFittingLength(given, options);
  const { beta, klIn, multiObjectiveAggregation, scaleRewards: scale, syncRefModel } = config;
  const penalty = klIn === 'reward' ? beta : 0;
  requireReference(syncRefModel, beta);
  requireOneReturn(config, penalty);
  const loss = resolveLoss(GRPO.family, { ...config });
  const advantages = AGGREGATIONS[multiObjectiveAggregation]({ baseline: 'group_mean', scale });
  return policyGradientTask(options, config, {
    loss,
    declared: GRPO.settings,
    advantages,
    penalty,
    notices: [...notices, ...noticesOf(config)],
    ...(syncRefModel && { reference: moving(config) }),
  });
}

function moving({ refModelMixupAlpha: alpha, refModelSyncSteps: everySteps }: GRPOConfig): ReferenceKind {
  return ({ model, parameters, temperature }) =>
    new MovingReference(model, parameters, { alpha, everySteps }, temperature);
}

/** Each function is standardized separately, so there is no single reward from which to subtract the penalty. */
function requireOneReturn({ multiObjectiveAggregation: aggregation }: GRPOConfig, penalty: number): void {
  if (aggregation !== 'normalize_then_sum' || penalty === 0) return;
  const what = say`${setting('klIn')} is reward, but ${setting('multiObjectiveAggregation')} ${aggregation} has no single reward from which to subtract the KL`;
  throw new InputError('settings', what, say`Put the KL in the loss, or use sum_then_normalize`);
}

function noticesOf({ lossType, epsilonHigh, epsilon }: GRPOConfig): string[] {
  const most = epsilonHigh ?? epsilon;
  if (![lossType].flat().includes('cispo') || most >= 1) return [];
  return [
    `cispo takes epsilonHigh ${most} as the largest weight itself: every token weighs less than at ratio 1. Its authors take 5.`,
  ];
}
