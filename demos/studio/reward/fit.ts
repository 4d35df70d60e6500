/** A reward model that learns from the picks, on the base of the model before: Bradley and Terry's loss by the library's trainer. */
import { InputError } from 'webalign';
import type { Around } from 'webalign/gpu';
import { type Adapter, type LoraArgs, RewardModel } from 'webalign/models';
import { type RewardArgs, RewardTrainer } from 'webalign/trainers';
import { counted } from '../../../src/base/counted.ts';
import { type Judgment, promptText } from '../preferences/judgment.ts';
import { type Completion, type PairRow, pairRows } from '../preferences/rows.ts';
import { split } from '../preferences/split.ts';
import type { Runtime } from '../runtime.ts';
import { type RewardFigures, rewardFigures } from './figures.ts';

/** Smaller than a policy's. */
const LORA: LoraArgs = { r: 8, loraAlpha: 16 };
/** Fewer pairs teach nothing, and fewer held-out pairs show nothing. */
const FEWEST = { train: 8, heldOut: 2 };
const MOST_BATCH = 16;
/** Steps of a short run, so that few pairs are read several times. */
const LEAST_STEPS = 20;

function argsFor(pairs: number): RewardArgs {
  const perDeviceTrainBatchSize = Math.min(MOST_BATCH, pairs);
  return {
    perDeviceTrainBatchSize,
    maxSteps: Math.max(LEAST_STEPS, Math.ceil(pairs / perDeviceTrainBatchSize)),
    learningRate: 2e-3,
    warmupRatio: 0.1,
    lrSchedulerType: 'linear',
    centerRewardsCoefficient: 0.01,
    seed: 42,
  };
}

export interface FittedReward {
  adapter: Adapter;
  figures: RewardFigures;
}

type OnProgress = (done: number, total: number) => void;

/** Fits it, and reads the held-out pairs. Throws `InputError` for too few pairs. */
export async function fitReward(
  runtime: Runtime,
  judgments: readonly Judgment[],
  onProgress: OnProgress,
): Promise<FittedReward> {
  const parts = split(judgments);
  const [train, heldOut] = [pairRows(parts.train), pairRows(parts.heldOut)];
  if (train.length < FEWEST.train || heldOut.length < FEWEST.heldOut) {
    const what = `make ${counted(train.length, 'pair')} to learn from and ${heldOut.length} held out`;
    const wayOut = `Pick until there are at least ${FEWEST.train} and ${FEWEST.heldOut}: about every fifth prompt is held out`;
    throw new InputError('the picks', what, wayOut);
  }
  return fitPairs(runtime, { train, heldOut }, onProgress);
}

/** The same on pairs that are already split, however few. */
export async function fitPairs(
  runtime: Runtime,
  { train, heldOut }: { train: readonly PairRow[]; heldOut: readonly PairRow[] },
  onProgress: OnProgress,
): Promise<FittedReward> {
  const { model, tokenizer, turns } = runtime;
  const rows = train.map(({ prompt, chosen, rejected }) => ({ prompt, chosen, rejected }));
  const trainer = new RewardTrainer({
    model,
    processingClass: tokenizer,
    trainDataset: rows as ConstructorParameters<typeof RewardTrainer>[0]['trainDataset'],
    args: argsFor(train.length),
    peftConfig: LORA,
  });
  const { adapter } = trainer;
  if (!adapter) throw new Error('The reward model has no adapter.');
  // Drafts that are written between its steps come from the model without it.
  adapter.enabled = false;
  const alone: Around = (work) => model.withOnly([adapter], work);
  try {
    for await (const event of turns.each(trainer.train(), alone))
      if (event.type === 'step') onProgress(event.step, event.totalSteps);
    const reward = RewardModel.on(model, adapter, { tokenizer });
    const inputs = heldOut.flatMap(({ prompt, chosen, rejected }) => [
      { prompt, completion: chosen },
      { prompt, completion: rejected },
    ]);
    const scores = await turns.run(() => reward.score(inputs));
    const scored = heldOut.map(({ prompt, chosen, rejected }, i) => ({
      prompt: promptText(prompt),
      chosen: textOf(chosen),
      rejected: textOf(rejected),
      margin: scores[2 * i] - scores[2 * i + 1],
    }));
    const figures = rewardFigures(train.length, scored);
    return { adapter: await turns.run(() => adapter.toAdapter()), figures };
  } finally {
    trainer.dispose();
    model.detach(adapter);
  }
}

const textOf = (completion: Completion): string =>
  typeof completion === 'string' ? completion : completion.map(({ content }) => content).join('\n');
