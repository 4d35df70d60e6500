/**
 * Reward models (Bradley–Terry) on preference pairs, with TRL's names and defaults: an adapter and a scalar head on the last token
 * learn to score the chosen side higher than the rejected one.
 */
import { atOnce, inSlices, type Sliced, type SliceOptions } from '../base/slices.ts';
import { type Comparison, comparisonTokens } from '../data/comparison-dataset.ts';
import { requireTokenIds } from '../data/tokenizer.ts';
import { type DataContext, prepareBoth } from './datasets.ts';
import { skippedToken } from './scored-token.ts';
import { scalars } from './scorer.ts';
import { resolveConfig, resolveLoss } from './settings/resolve.ts';
import { REWARD_MODEL, type RewardArgs, type RewardConfig } from './settings/reward.ts';
import { Trainer } from './trainer.ts';
import { type DataOptions, rowsTask, type Task } from './training-task.ts';

export type RewardTrainerOptions = DataOptions<RewardArgs, readonly Comparison[]>;

export class RewardTrainer extends Trainer<RewardConfig> {
  /** The token id that is skipped at the end of a sequence; undefined if the last token is scored. */
  readonly padTokenId: number | undefined;

  /** Throws an `InputError` for invalid settings, and for an invalid pair, by its row. `task`: the task made from the options earlier. */
  constructor(options: RewardTrainerOptions, task = atOnce(rewardTask(options))) {
    super(options, task);
    this.padTokenId = padTokenOf(options, task.config);
  }

  /** The same, but prepares the data in slices and yields to the event loop in between. Throws the signal's reason. */
  static async create(options: RewardTrainerOptions, slices?: SliceOptions): Promise<RewardTrainer> {
    return new RewardTrainer(options, await inSlices(rewardTask(options), slices));
  }
}

function padTokenOf(
  { model, processingClass: tokenizer }: RewardTrainerOptions,
  { scoredToken }: RewardConfig,
) {
  const { padTokenId: modelPadId } = model;
  return skippedToken(scoredToken, { tokenizer, modelPadId, eosTokenIds: model.config.eosTokenIds });
}

function* rewardTask(options: RewardTrainerOptions): Sliced<Task<RewardConfig>> {
  const { model, processingClass: tokenizer, peftConfig } = options;
  const config = resolveConfig<RewardConfig>(REWARD_MODEL, options.args, peftConfig);
  const padTokenId = padTokenOf(options, config);
  const { vocabSize, maxPositionEmbeddings } = model.config;
  const prepare = (rows: readonly Comparison[], { maxLength, keep }: DataContext) =>
    comparisonTokens(rows, {
      maxLength: Math.min(maxLength, maxPositionEmbeddings),
      padTokenId,
      tokenizer,
      checkIds: (ids, where) => requireTokenIds(ids, vocabSize, where),
      keep,
    });
  const known = peftConfig && 'weights' in peftConfig ? peftConfig.head : undefined;
  return {
    config,
    loss: resolveLoss(REWARD_MODEL.family, { ...config, lossType: REWARD_MODEL.family.lossType }),
    scorer: scalars('ends', known),
    ...rowsTask(config, yield* prepareBoth(options, config.maxLength, prepare)),
  };
}
