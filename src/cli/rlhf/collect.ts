/**
 * The study's samples: a reward model learned from the pairs, and for each road how its policy stands after every so many steps,
 * by the reward that was learned and by the true one. Every look is kept as soon as it is there, and what is kept is not made again.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseDataset } from '../../data/jsonl.ts';
import type { Gpu } from '../../gpu/device.ts';
import { ADAPTER_CONFIG, readAdapter, writeAdapter } from '../../io/peft.ts';
import { sampledTokens } from '../../model/generation.ts';
import { folderFiles, writeFiles } from '../../node/folder.ts';
import type { TrainEvent } from '../../train/events.ts';
import { RewardModel } from '../../train/reward-model.ts';
import type { Method } from '../method.ts';
import { METHODS } from '../methods.ts';
import { adapterName, type OpenModel, openModel } from '../open.ts';
import { EMBEDDED } from '../package.ts';
import { inGroups } from '../study/groups.ts';
import { Kept } from '../study/kept.ts';
import { type MeasuredStories, measureStories, rounded } from '../study/stories.ts';
import { goesOn, workFolder } from '../study/work-folder.ts';
import type { Terminal } from '../terminal.ts';
import { runTraining, type TrainingJob } from '../training.ts';
import { RLHF_SAMPLING, RLHF_TRAINING, type RlhfTask, type Road, SHOWN, writtenUntil } from './task.ts';

/** Scores and log-ratios are kept to a thousandth. */
const PRECISION = 1e3;
/** Changes where what is measured does. */
const VERSION = 1;

/** A policy after some steps: a list for each opening, a number for each of its stories. */
export interface Look {
  step: number;
  /** Of training, from the road's start on. */
  seconds: number;
  /** The learned reward. */
  proxy: number[][];
  /** The true one, sentiment. */
  gold: number[][];
  /** log π − log π_ref in nats. */
  logRatios: number[][];
}

/** How a reward model was learned. */
export interface RewardModelResult {
  /** What it was made on. */
  adapter: string;
  steps: number;
  /** On pairs held out. */
  accuracy: number;
  margin: number;
  seconds: number;
  /** GPU memory that the training planned with. */
  bytes: number;
}

/** Of the model as it is. */
export interface BaseResult {
  /** The learned reward, by the pairs that its model learned from. */
  proxy: Record<number, number[][]>;
  gold: number[][];
  samples: string[];
}

export interface RoadResult {
  steps: number;
  /** Stories that the policy wrote to learn from. */
  written: number;
  bytes: number;
  looks: Look[];
  /** The first stories of the first openings, at the end. */
  samples: string[];
}

export interface Job {
  task: RlhfTask;
  /** Hash of the model's files. */
  fingerprint: string;
  openings: readonly string[];
  /** Rows of JSON: to learn from, and held out. */
  pairs: readonly string[];
  heldOut: string;
  /** Where results are kept, and where runs are. */
  out: string;
  work: string;
}

interface ByPart<R, B, T> {
  rewardModels: { pairs: number; of: R }[];
  base: B;
  roads: { road: Road; of: T }[];
}
export type KeptResults = ByPart<Kept<RewardModelResult>, Kept<BaseResult>, Kept<RoadResult>>;
export type Results = ByPart<RewardModelResult, BaseResult, RoadResult>;

/** Where the results of a job are kept. */
export async function keptResults(job: Job): Promise<KeptResults> {
  const { task, fingerprint, openings, heldOut, out } = job;
  const { stories, referenceStories, maxNewTokens, roads } = task;
  const counts = [...new Set(roads.map(({ pairs }) => pairs))];
  const shared = [VERSION, fingerprint, RLHF_TRAINING, RLHF_SAMPLING];
  const looks = [...shared, 'scored at an end', openings, maxNewTokens];
  return {
    rewardModels: await Promise.all(
      counts.map(async (pairs) => {
        const about = [...shared, firstPairs(job, pairs), heldOut];
        return { pairs, of: await Kept.of<RewardModelResult>(out, `reward-model-${pairs}`, about) };
      }),
    ),
    base: await Kept.of(out, 'base', [
      ...looks,
      referenceStories,
      counts.map((pairs) => firstPairs(job, pairs)),
    ]),
    roads: await Promise.all(
      roads.map(async (road) => {
        const { id, method, settings, pairs } = road;
        const about = [...looks, stories, firstPairs(job, pairs), method, settings];
        return { road, of: await Kept.of<RoadResult>(out, id, about) };
      }),
    ),
  };
}

function firstPairs({ pairs }: Pick<Job, 'pairs'>, count: number): string {
  return pairs.slice(0, count).join('\n');
}

/** All results where all are kept, without any device. */
export async function readResults(kept: KeptResults): Promise<Results | undefined> {
  const base = await kept.base.read();
  const rewardModels: Results['rewardModels'] = [];
  for (const { pairs, of } of kept.rewardModels) {
    const result = await of.read();
    if (result) rewardModels.push({ pairs, of: result });
  }
  const roads: Results['roads'] = [];
  for (const { road, of } of kept.roads) {
    const result = await of.read();
    if (result && isDone(result)) roads.push({ road, of: result });
  }
  const isWhole = rewardModels.length === kept.rewardModels.length && roads.length === kept.roads.length;
  return base && isWhole ? { rewardModels, base, roads } : undefined;
}

/** Makes what is missing, keeps it, and gives back all. */
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
    if (!known || !isDone(known)) await study.walk(road, of, learned.get(road.pairs) as RewardModel);
  }
  return (await readResults(kept)) as Results;
}

/** The last look is at the end of the road. */
function isDone({ looks, steps }: RoadResult): boolean {
  return steps > 0 && looks.at(-1)?.step === steps;
}

class Study {
  constructor(
    private readonly open: OpenModel,
    private readonly job: Job,
    private readonly terminal: Terminal,
    private readonly signal: AbortSignal,
  ) {}

  /** The reward that the first `pairs` pairs teach, trained where it is not there yet. */
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

  /** Leaves its adapter in `folder`. */
  private async trainRewardModel(pairs: number, kept: Kept<RewardModelResult>, folder: string) {
    const { job, open, terminal } = this;
    terminal.info(`Reward model, ${pairs} pairs`);
    const method = methodOf('reward-model');
    const start = performance.now();
    const { trainer, plan, json } = await this.train({
      method,
      train: parseDataset(firstPairs(job, pairs), 'the pairs', method.form),
      evaluation: parseDataset(job.heldOut, 'the held-out pairs', method.form),
      settings: RLHF_TRAINING,
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

  /** The same stories of the untrained model by every learned reward. */
  async measureBase(kept: Kept<BaseResult>, learned: ReadonlyMap<number, RewardModel>): Promise<void> {
    const { referenceStories: copies } = this.job.task;
    const { stories, rewards, samples } = await this.stories(copies, RLHF_SAMPLING.referenceSeed);
    const proxy: BaseResult['proxy'] = {};
    for (const [pairs, reward] of learned) proxy[pairs] = await scores(reward, stories, copies);
    await kept.write({ proxy, gold: rewards, samples });
  }

  /** Trains along a road, and looks at the policy after every checkpoint. */
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
        // A road that starts again has no looks yet.
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
        // Done is a road whose last look is at its last step: until then its steps are not told.
        const steps = event.step === stand.steps ? stand.steps : 0;
        const written = writtenUntil(road, event.step);
        await kept.write({ steps, written, bytes: stand.bytes, looks, samples });
      }
      since = performance.now();
    };
    const method = methodOf(road.method);
    const { trainer } = await this.train({
      // The learned reward is one object here, whichever road asks for it.
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

  /** Stories of the model as it stands, by both rewards. */
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
