/**
 * The study's samples: the original embedded model, after the first stage, after the second at each scale, and trained on
 * both criteria at once. Every result is stored as soon as it is complete, and stored results are not recomputed.
 */
import { join } from 'node:path';
import type { Gpu } from 'webalign';
import type { PreferenceRow } from 'webalign/data';
import { contentHash } from 'webalign/files';
import { ADAPTER_WEIGHTS, type LoraAdapter, writeAdapter } from 'webalign/models';
import { folderFiles } from 'webalign/node';
import { calm } from 'webalign/rollouts';
import { SACPOTrainer } from 'webalign/trainers';
import { ALIGN_LORA, ALIGN_TRAINING } from '../../cli/align-task.ts';
import { continueOpenings } from '../../cli/continuations.ts';
import { logRatios } from '../../cli/divergences.ts';
import { DPO } from '../../cli/methods.ts';
import { adapterName, type OpenModel, openModel } from '../../cli/open.ts';
import { EMBEDDED } from '../../cli/package.ts';
import { runStages } from '../../cli/stages.ts';
import type { Terminal } from '../../cli/terminal.ts';
import { runTraining } from '../../cli/training.ts';
import { Kept } from '../shared/kept-results.ts';
import { goesOn, workFolder } from '../shared/work-folder.ts';
import { TRADEOFF_SAMPLING, type TradeoffTask } from './task.ts';

/** Log-ratios are stored to a ten-thousandth of a nat: float32 sums over forty tokens are not more precise. */
const PRECISION = 1e4;
/** Increased when the measurements change. */
const VERSION = 1;

/** Measurements of a model's stories: a list for each opening, with a number for each of its stories. */
export interface Samples {
  sentiment: number[][];
  calm: number[][];
  /** Number of generated tokens, without the end token. */
  tokens: number[][];
  /** log π − log π_ref in nats. */
  logRatios: number[][];
}

export interface Result extends Samples {
  /** The adapter that it was computed on. */
  adapter: string;
  /** Number of optimizer steps. */
  steps: number;
  /** Hash of the first stage's weights when these samples were generated, if it was used. */
  firstStage?: string;
}

export interface Job {
  task: TradeoffTask;
  /** Hash of the model's files. */
  fingerprint: string;
  openings: readonly string[];
  /** Pairs of the first criterion, and those that the second one orders. */
  reward: readonly PreferenceRow[];
  calm: readonly PreferenceRow[];
  /** Folders of results and of runs. */
  out: string;
  work: string;
}

/** Results by model: `base`, `reward` after the first stage, `scaled` after the second, `both` at once. */
export interface ByModel<T> {
  base: T;
  reward: T;
  scaled: { q: number; of: T }[];
  both: T;
}

/** The pairs as ordered by calm; a pair with equal calm is dropped. */
export function relabelled(rows: readonly PreferenceRow[]): PreferenceRow[] {
  return rows.flatMap((row): PreferenceRow[] => {
    const [chosen, rejected] = [calm(row.chosen as string), calm(row.rejected as string)];
    if (chosen === rejected) return [];
    return [chosen > rejected ? row : { ...row, chosen: row.rejected, rejected: row.chosen }];
  });
}

/** Number of steps of a training on this many pairs. */
function stepsOf(pairs: number, { maxSteps }: TradeoffTask): number {
  return maxSteps > 0 ? maxSteps : Math.ceil(pairs / ALIGN_TRAINING.perDeviceTrainBatchSize);
}

/** The locations of a job's results. */
export async function keptResults(job: Job): Promise<ByModel<Kept<Result>>> {
  const { task, fingerprint, openings, out } = job;
  const kept = (name: string, ...about: unknown[]) =>
    Kept.of<Result>(out, name, [
      [VERSION, fingerprint, openings, task.stories, task.maxNewTokens, TRADEOFF_SAMPLING],
      ...about,
    ]);
  const first = [ALIGN_TRAINING, ALIGN_LORA, job.reward, stepsOf(job.reward.length, task)];
  const both = [...first, job.calm, stepsOf(job.calm.length, task)];
  return {
    base: await kept('base'),
    reward: await kept('reward', first),
    scaled: await Promise.all(
      task.scales.map(async (q) => ({ q, of: await kept(`calm-${q}`, both, task.lambda, q) })),
    ),
    both: await kept('both', both),
  };
}

/** All results if all are stored, without a device. */
export async function readResults({
  base,
  reward,
  scaled,
  both,
}: ByModel<Kept<Result>>): Promise<ByModel<Result> | undefined> {
  const read = {
    base: await base.read(),
    reward: await reward.read(),
    scaled: await Promise.all(scaled.map(async ({ q, of }) => ({ q, of: await of.read() }))),
    both: await both.read(),
  };
  const complete = [read.base, read.reward, ...read.scaled.map(({ of }) => of), read.both].every(Boolean);
  return complete ? (read as ByModel<Result>) : undefined;
}

/** Computes and stores missing results, and returns all. */
export async function collect(
  gpu: Gpu,
  job: Job,
  kept: ByModel<Kept<Result>>,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<ByModel<Result>> {
  const open = await openModel(gpu, folderFiles(EMBEDDED.model), EMBEDDED);
  const study = new Study(open, job, terminal, signal);
  const [first, second] = [stepsOf(job.reward.length, job.task), stepsOf(job.calm.length, job.task)];
  if (!(await kept.base.read())) await study.measure(kept.base, 'as it is', 0);
  if (!(await kept.reward.read())) {
    await study.withStages(1, kept, async (trainer) => {
      await study.measure(kept.reward, 'after the first stage', first, trainer.adapters[0]);
    });
  }
  const missing: typeof kept.scaled = [];
  for (const each of kept.scaled) if (!(await each.of.read())) missing.push(each);
  if (missing.length > 0) {
    await study.withStages(2, kept, async (trainer) => {
      for (const { q, of } of missing) {
        trainer.scale(q);
        await study.measure(of, `after both stages, q ${q}`, first + second, trainer.adapters[0]);
      }
    });
  }
  if (!(await kept.both.read())) await study.trainBoth(kept.both, first + second);
  return (await readResults(kept))!;
}

class Study {
  constructor(
    private readonly open: OpenModel,
    private readonly job: Job,
    private readonly terminal: Terminal,
    private readonly signal: AbortSignal,
  ) {}

  /** Generates stories with the current model, rates them, and stores the results. */
  async measure(kept: Kept<Result>, what: string, steps: number, first?: LoraAdapter): Promise<void> {
    const { open, job, signal, terminal } = this;
    const { stories: copies, maxNewTokens } = job.task;
    terminal.info(`Writing ${job.openings.length * copies} stories ${what}`);
    const options = { ...TRADEOFF_SAMPLING, maxNewTokens, numReturnSequences: copies, signal };
    const stories = await continueOpenings(open.model, open.tokenizer, job.openings, options);
    const ratios = await logRatios(open, stories, signal);
    const grouped = (values: readonly number[]) =>
      job.openings.map((_, i) => values.slice(i * copies, (i + 1) * copies));
    await kept.write({
      adapter: adapterName(open.model.gpu.adapter),
      steps,
      ...(first ? { firstStage: await weightsHash(first) } : {}),
      sentiment: grouped(stories.map(({ sentiment }) => sentiment)),
      calm: grouped(stories.map(({ text }) => calm(text))),
      tokens: grouped(stories.map(({ ids }) => ids.length)),
      logRatios: grouped(ratios.map((ratio) => Math.round(ratio * PRECISION) / PRECISION)),
    });
  }

  /** Trains the first `count` stages, or restores them from their checkpoints; the model has them while `use` runs. */
  async withStages(
    count: number,
    { reward, scaled }: ByModel<Kept<Result>>,
    use: (trainer: SACPOTrainer) => Promise<void>,
  ): Promise<void> {
    const { open, job, terminal, signal } = this;
    const { task, work } = job;
    const runs = [
      { name: 'reward', lambda: 1, rows: job.reward, key: reward.key },
      // All scales share the training of the last one, q = 1.
      { name: 'calm', lambda: task.lambda, rows: job.calm, key: scaled.at(-1)?.of.key ?? '' },
    ].map(({ name, lambda, rows, key }) => {
      const folder = workFolder(join(work, `${name}-${key.slice(0, 12)}`), work);
      const args = { ...ALIGN_TRAINING, maxSteps: task.maxSteps };
      const stage = { name, method: 'dpo', args, lambda } as const;
      return { stage, method: DPO, folder, rows };
    });
    const stages = runs.slice(0, count);
    const trainer = new SACPOTrainer({
      model: open.model,
      processingClass: open.tokenizer,
      stages: stages.map(({ stage, folder, rows }) => ({
        ...stage,
        trainDataset: rows,
        peftConfig: ALIGN_LORA,
        checkpoint: folder.checkpoint,
      })),
      ...(stages[0] ? { referenceCache: stages[0].folder.referenceCache(open.model.gpu) } : {}),
    });
    try {
      await goesOn(runStages(trainer, stages, open.model, terminal, signal));
      await use(trainer);
    } finally {
      for (const adapter of trainer.adapters) open.model.detach(adapter);
    }
  }

  /** One adapter for both criteria, trained on all pairs of both at once. */
  async trainBoth(kept: Kept<Result>, steps: number): Promise<void> {
    const { open, job, terminal, signal } = this;
    terminal.info('Both criteria at once');
    const training = {
      method: DPO,
      train: [...job.reward, ...job.calm],
      evaluation: [],
      settings: { ...ALIGN_TRAINING, ...ALIGN_LORA, maxSteps: steps },
      folder: workFolder(join(job.work, `both-${kept.key.slice(0, 12)}`), job.work),
    };
    const { trainer } = await goesOn(runTraining(open, training, terminal, signal));
    try {
      await this.measure(kept, 'after both at once', steps);
    } finally {
      trainer.dispose();
      if (trainer.adapter) open.model.detach(trainer.adapter);
    }
  }
}

/** Hash of the adapter's file content. */
async function weightsHash(adapter: LoraAdapter): Promise<string> {
  return contentHash(writeAdapter(await adapter.toAdapter())[ADAPTER_WEIGHTS]);
}
