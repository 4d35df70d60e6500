/**
 * The study's samples: a reward model trained on the pairs, and for each method measurements of its policy at intervals,
 * with the learned and the true reward. Every measurement is stored as soon as it is complete, and stored results are not
 * recomputed.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Gpu } from 'webalign';
import { parseDataset } from 'webalign/data';
import { ADAPTER_CONFIG, RewardModel, readAdapter, sampledTokens, writeAdapter } from 'webalign/models';
import { folderFiles, writeFiles } from 'webalign/node';
import type { TrainEvent } from 'webalign/trainers';
import type { Method } from '../../cli/method.ts';
import { METHODS } from '../../cli/methods.ts';
import { adapterName, type OpenModel, openModel } from '../../cli/open.ts';
import { EMBEDDED } from '../../cli/package.ts';
import type { Terminal } from '../../cli/terminal.ts';
import { runTraining, type TrainingJob } from '../../cli/training.ts';
import { inGroups } from '../shared/groups.ts';
import type { Kept } from '../shared/kept-results.ts';
import { type MeasuredStories, measureStories, rounded } from '../shared/stories.ts';
import { goesOn, workFolder } from '../shared/work-folder.ts';
import {
  type BaseResult,
  firstPairs,
  isDone,
  type Job,
  type KeptResults,
  type Results,
  type RewardModelResult,
  type RoadResult,
  readResults,
} from './results.ts';
import { RLHF_SAMPLING, RLHF_TRAINING, type Road, rewardEpochs, SHOWN, writtenUntil } from './task.ts';

/** Scores and log-ratios are stored to a thousandth. */
const PRECISION = 1e3;
/** Computes and stores missing results, and returns all. */
export async function collect(
  gpu: Gpu,
  job: Job,
  kept: KeptResults,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<Results> {
  const open = await openModel(gpu, folderFiles(EMBEDDED.model), EMBEDDED);
  const study = new Study(open, job, terminal, signal);
  const learned = new Map<number, RewardModel>();
  for (const { pairs, of } of kept.rewardModels) learned.set(pairs, await study.rewardModel(pairs, of));
  if (!(await kept.base.read())) await study.measureBase(kept.base, learned);
  for (const { road, of } of kept.roads) {
    const known = await of.read();
    if (!known || !isDone(known)) await study.walk(road, of, learned.get(road.pairs)!);
  }
  return (await readResults(kept))!;
}

class Study {
  constructor(
    private readonly open: OpenModel,
    private readonly job: Job,
    private readonly terminal: Terminal,
    private readonly signal: AbortSignal,
  ) {}

  /** The reward model of the first `pairs` pairs, trained if necessary. */
  async rewardModel(pairs: number, kept: Kept<RewardModelResult>): Promise<RewardModel> {
    const { job, open } = this;
    const folder = join(job.work, `reward-model-${kept.key.slice(0, 12)}`);
    const files = folderFiles(folder);
    if (!((await kept.read()) && (await files.exists(ADAPTER_CONFIG))))
      await this.trainRewardModel(pairs, kept, folder);
    const { tokenizer } = open;
    const name = `learned from ${pairs} pairs`;
    return RewardModel.on(open.model, await readAdapter(files), { tokenizer, name });
  }

  /** Stores its adapter in `folder`. */
  private async trainRewardModel(pairs: number, kept: Kept<RewardModelResult>, folder: string) {
    const { job, open, terminal } = this;
    terminal.info(`Reward model, ${pairs} pairs`);
    const method = methodOf('reward-model');
    const start = performance.now();
    const { trainer, plan, json } = await this.train({
      method,
      train: parseDataset(firstPairs(job, pairs), 'the pairs', method.form),
      evaluation: parseDataset(job.heldOut, 'the held-out pairs', method.form),
      settings: { ...RLHF_TRAINING, numTrainEpochs: rewardEpochs(job.task, pairs) },
      folder: workFolder(folder, job.work),
    });
    const { adapter } = trainer;
    if (!adapter) throw new Error('the reward model has no adapter');
    await mkdir(folder, { recursive: true });
    await writeFiles(folder, writeAdapter(await adapter.toAdapter()));
    await kept.write({
      adapter: adapterName(open.model.gpu.adapter),
      steps: json.steps,
      accuracy: json.eval?.accuracy ?? Number.NaN,
      margin: json.eval?.margin ?? Number.NaN,
      seconds: (performance.now() - start) / 1000,
      bytes: plan.plannedBytes,
    });
    trainer.dispose();
    open.model.detach(adapter);
  }

  /** Scores the same stories of the untrained model with every learned reward. */
  async measureBase(kept: Kept<BaseResult>, learned: ReadonlyMap<number, RewardModel>): Promise<void> {
    const { referenceStories: copies } = this.job.task;
    const { stories, rewards, samples } = await this.stories(copies, RLHF_SAMPLING.referenceSeed);
    const proxy: BaseResult['proxy'] = {};
    for (const [pairs, reward] of learned) proxy[pairs] = await scores(reward, stories, copies);
    await kept.write({ proxy, gold: rewards, samples });
  }

  /** Trains a method, and measures the policy after every checkpoint. */
  async walk(road: Road, kept: Kept<RoadResult>, learned: RewardModel): Promise<void> {
    const { job, open, terminal } = this;
    terminal.info(road.name);
    const looks = [...((await kept.read())?.looks ?? [])];
    const stand = { step: 0, seconds: looks.at(-1)?.seconds ?? 0, written: 0, bytes: 0, steps: 0 };
    let samples: string[] = [];
    let since = performance.now();
    const watch = async (event: TrainEvent) => {
      stand.seconds += (performance.now() - since) / 1000;
      if (event.type === 'start') {
        stand.bytes = event.plan.plannedBytes;
        stand.steps = event.plan.totalSteps;
        // A method that starts again has no measurements yet.
        if (event.resumedFrom === undefined) looks.length = 0;
      }
      if (
        event.type === 'checkpoint' &&
        !this.signal.aborted &&
        !looks.some(({ step }) => step === event.step)
      ) {
        const at = { step: event.step, seconds: Math.round(stand.seconds * 10) / 10 };
        const found = await this.look(learned, at);
        looks.push(found.look);
        samples = found.samples;
        // A method is finished if its last measurement is at its last step, so the number of steps is only stored then.
        const steps = event.step === stand.steps ? stand.steps : 0;
        const written = writtenUntil(road, event.step);
        await kept.write({ steps, written, bytes: stand.bytes, looks, samples });
      }
      since = performance.now();
    };
    const method = methodOf(road.method);
    const { trainer } = await this.train({
      // All methods share one learned reward object.
      method: method.extra
        ? { ...method, extra: { options: [], load: async () => ({ rewardFuncs: learned }) } }
        : method,
      train: parseDataset(firstPairs(job, road.pairs), 'the pairs', method.form),
      evaluation: [],
      settings: {
        ...RLHF_TRAINING,
        maxCompletionLength: job.task.maxNewTokens,
        ...road.settings,
      },
      folder: workFolder(join(job.work, `${road.id}-${kept.key.slice(0, 12)}`), job.work),
      watch,
    });
    trainer.dispose();
    if (trainer.adapter) open.model.detach(trainer.adapter);
  }

  private train(training: TrainingJob) {
    return goesOn(runTraining(this.open, training, this.terminal, this.signal));
  }

  /** Stories of the current model, with both rewards. */
  private async look(learned: RewardModel, at: { step: number; seconds: number }) {
    const copies = this.job.task.stories;
    const { stories, rewards, logRatios, samples } = await this.stories(copies, RLHF_SAMPLING.seed);
    const proxy = await scores(learned, stories, copies);
    return { look: { ...at, proxy, gold: rewards, logRatios }, samples };
  }

  private async stories(copies: number, seed: number) {
    const { open, job, signal } = this;
    const { temperature } = RLHF_SAMPLING;
    const { maxNewTokens } = job.task;
    const options = { maxNewTokens, temperature, seed, numReturnSequences: copies, signal };
    const measured = await measureStories(open, job.openings, options, PRECISION);
    const shown = measured.stories.filter((_, i) => i % copies === 0).slice(0, SHOWN);
    return { ...measured, samples: shown.map(({ text }) => text) };
  }
}

async function scores(
  learned: RewardModel,
  stories: MeasuredStories['stories'],
  copies: number,
): Promise<number[][]> {
  const found = await learned.rateTokens(
    stories.map((story) => ({ prompt: story.prompt, completion: sampledTokens(story) })),
  );
  return inGroups(rounded(found, PRECISION), copies);
}

function methodOf(name: string): Method {
  const method = METHODS.find((each) => each.name === name);
  if (!method) throw new Error(`no method is called ${name}`);
  return method;
}
