/**
 * Reward models (Bradley–Terry) on preference pairs, with TRL's names and defaults: an adapter and a scalar head on the last token
 * learn to score the chosen side above the rejected one.
 */
import { type Comparison, tokenizeComparisons } from '../data/comparison-dataset.ts';
import { requireTokenIds } from '../data/tokenizer.ts';
import { FAMILIES } from '../losses/families.ts';
import { type RewardArgs, type RewardConfig, resolveConfig, resolveLoss, TRAINERS } from './config.ts';
import { type DataContext, type Prepared, prepareBoth } from './datasets.ts';
import { skippedToken } from './scored-token.ts';
import { scalars } from './scorer.ts';
import { type DataOptions, rowsTask } from './task.ts';
import { Trainer } from './trainer.ts';

export type RewardTrainerOptions = DataOptions<RewardArgs, readonly Comparison[]>;

export class RewardTrainer extends Trainer<RewardConfig> {
  /** The token id that is skipped at the end of a sequence; undefined where the last token is scored. */
  readonly padTokenId: number | undefined;

  /** Throws an `InputError` for settings that make no sense, and for a pair that does, by its row. */
  constructor(options: RewardTrainerOptions) {
    const { model, processingClass: tokenizer, peftConfig } = options;
    const config = resolveConfig<RewardConfig>(TRAINERS.reward, options.args, peftConfig);
    const { padTokenId: modelPadId } = model;
    const { eosTokenIds } = model.config;
    const padTokenId = skippedToken(config.scoredToken, { tokenizer, modelPadId, eosTokenIds });
    const prepare = (rows: readonly Comparison[], { maxLength }: DataContext): Prepared => {
      const { vocabSize, maxPositionEmbeddings } = model.config;
      return tokenizeComparisons(rows, {
        maxLength: Math.min(maxLength, maxPositionEmbeddings),
        padTokenId,
        tokenizer,
        checkIds: (ids, where) => requireTokenIds(ids, vocabSize, where),
      });
    };
    const known = peftConfig && 'weights' in peftConfig ? peftConfig.head : undefined;
    super(options, {
      config,
      loss: resolveLoss(FAMILIES.reward, { ...config, lossType: FAMILIES.reward.lossType }),
      scorer: scalars('ends', known),
      ...rowsTask(config, prepareBoth(options, config.maxLength, prepare)),
    });
    this.padTokenId = padTokenId;
  }
}
