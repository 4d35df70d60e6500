/**
 * Kahneman-Tversky optimisation (Ethayarajh et al. 2024) on completions that are desirable or not, with TRL's names and
 * defaults. Pairs are taken too, each as two completions.
 */
import { say, setting } from '../base/sentence.ts';
import { atOnce, inSlices, type Sliced, type SliceOptions } from '../base/slices.ts';
import type { TokenizedExample } from '../data/packing.ts';
import { InputError } from '../io/errors.ts';
import {
  isDesirable,
  type LabelledDataset,
  prepareBoth,
  prepareLabelled,
  withBaselines,
} from './datasets.ts';
import { KTO, type KTOArgs, type KTOConfig } from './settings/kto.ts';
import { resolveConfig, resolveLoss } from './settings/resolve.ts';
import type { WithOwnOptions } from './settings/trainer.ts';
import { Trainer } from './trainer.ts';
import { type DataOptions, rowsTask, type Task } from './training-task.ts';

export type KTOTrainerOptions<Args = KTOArgs> = DataOptions<Args, LabelledDataset>;

type AnyOptions = KTOTrainerOptions | KTOTrainerOptions<WithOwnOptions<KTOArgs>>;

export class KTOTrainer extends Trainer<KTOConfig> {
  /** `task`: what {@link ktoTask} has made of the options. */
  constructor(options: KTOTrainerOptions, task?: Task<KTOConfig>);
  constructor(options: KTOTrainerOptions<WithOwnOptions<KTOArgs>>, task?: Task<KTOConfig>);
  constructor(options: KTOTrainerOptions, task = atOnce(ktoTask(options))) {
    super(options, task);
  }

  /** The same with the data prepared in slices, between which the event loop is free. Throws the signal's reason. */
  static async create(options: AnyOptions, slices?: SliceOptions): Promise<KTOTrainer> {
    return new KTOTrainer(options, await inSlices(ktoTask(options), slices));
  }
}

/** Settings, data and loss of a run. Throws an `InputError` for what is wrong with them. */
export function* ktoTask(options: AnyOptions): Sliced<Task<KTOConfig>> {
  const config = resolveConfig<KTOConfig>(KTO, options.args as KTOArgs, options.peftConfig);
  const loss = resolveLoss(KTO.family, { ...config });
  const { train, evaluation, notices } = yield* prepareBoth(options, config.maxLength, prepareLabelled);
  const balance = balanceNotice(train, config);
  const { perDeviceTrainBatchSize, seed, maxLength, shuffleDataset } = config;
  const hasBaseline = loss.terms.some(({ loss }) => loss.baseline);
  if (hasBaseline && perDeviceTrainBatchSize < 2) {
    throw new InputError(
      'settings',
      say`KTO estimates its baseline from the other completions of a batch, and ${setting('perDeviceTrainBatchSize')} is 1`,
      say`Give at least 2, or ${setting('lossType')} apo_zero_unpaired, which has no baseline`,
    );
  }
  const limit = Math.min(maxLength, options.model.config.maxPositionEmbeddings);
  // TRL pairs evaluation data by the training batch too, so that its loss does not depend on the evaluation batch alone.
  const batchSize = perDeviceTrainBatchSize;
  const prepared = (examples: readonly TokenizedExample[], shuffled: boolean) =>
    hasBaseline ? withBaselines(examples, { batchSize, seed, shuffled, maxLength: limit }) : examples;
  const datasets = {
    train: prepared(train, shuffleDataset),
    evaluation: prepared(evaluation, false),
    notices: balance ? [...notices, balance] : notices,
  };
  const rows = rowsTask(config, datasets, { keepsOrder: hasBaseline });
  return { config, loss, ...rows, precomputeRefLogProbs: config.precomputeRefLogProbs };
}

/** What the KTO paper asks of the weights: desirable and undesirable completions should count about alike. */
function balanceNotice(
  examples: readonly TokenizedExample[],
  { desirableWeight, undesirableWeight }: KTOConfig,
): string | undefined {
  const desirable = examples.filter(isDesirable).length;
  const undesirable = examples.length - desirable;
  if (examples.length > 0 && (desirable === 0 || undesirable === 0)) {
    const kind = desirable === 0 ? 'undesirable' : 'desirable';
    throw new InputError(
      'training data',
      `${examples.length === 1 ? 'the only completion is' : `all ${examples.length} completions are`} ${kind}, and KTO learns from the difference`,
      'Give completions of both kinds',
    );
  }
  const ratio = (desirableWeight * desirable) / (undesirableWeight * undesirable);
  if (ratio >= 1 && ratio <= 4 / 3) return undefined;
  const least = (undesirableWeight * undesirable) / desirable;
  return (
    `${desirable} completions are desirable and ${undesirable} are not: with these weights they count ${ratio.toFixed(2)} to 1. ` +
    `Between 1 and 1.33 works best: give a desirableWeight from ${least.toFixed(2)} to ${((least * 4) / 3).toFixed(2)}.`
  );
}
