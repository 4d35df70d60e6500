/**
 * Kahneman-Tversky optimization (Ethayarajh et al. 2024) on completions that are desirable or not, with TRL's names and
 * defaults. Pairs work too, each as two completions.
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
  /** `task`: the result of {@link ktoTask} for the options. */
  constructor(options: KTOTrainerOptions, task?: Task<KTOConfig>);
  constructor(options: KTOTrainerOptions<WithOwnOptions<KTOArgs>>, task?: Task<KTOConfig>);
  constructor(options: KTOTrainerOptions, task = atOnce(ktoTask(options))) {
    super(options, task);
  }

  /** The same, but prepares the data in slices and yields to the event loop in between. Throws the signal's reason. */
  static async create(options: AnyOptions, slices?: SliceOptions): Promise<KTOTrainer> {
    return new KTOTrainer(options, await inSlices(ktoTask(options), slices));
  }
}

/** Settings, data and loss of a run. Throws an `InputError` if they are invalid. */
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
      say`KTO estimates its baseline from the other completions of a batch, but ${setting('perDeviceTrainBatchSize')} is 1`,
      say`Set it to at least 2, or use ${setting('lossType')} apo_zero_unpaired, which has no baseline`,
    );
  }
  const limit = Math.min(maxLength, options.model.config.maxPositionEmbeddings);
  // TRL pairs evaluation data by the training batch size too, so that the evaluation loss does not depend only on the evaluation batch size.
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

/** The KTO paper's advice on weights: desirable and undesirable completions should have about equal total weight. */
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
      `${examples.length === 1 ? 'the only completion is' : `all ${examples.length} completions are`} ${kind}, but KTO learns from the difference`,
      'Provide completions of both kinds',
    );
  }
  const ratio = (desirableWeight * desirable) / (undesirableWeight * undesirable);
  if (ratio >= 1 && ratio <= 4 / 3) return undefined;
  const least = (undesirableWeight * undesirable) / desirable;
  return (
    `${desirable} completions are desirable and ${undesirable} are not: with these weights, their ratio is ${ratio.toFixed(2)} to 1. ` +
    `Between 1 and 1.33 works best: set desirableWeight between ${least.toFixed(2)} and ${((least * 4) / 3).toFixed(2)}.`
  );
}
