/** What the study keeps: results by part, and the keys of all that each depends on. */
import { Kept } from '../shared/kept-results.ts';
import { RLHF_SAMPLING, RLHF_TRAINING, type RlhfTask, type Road, rewardEpochs } from './task.ts';

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
        const about = [...shared, firstPairs(job, pairs), rewardEpochs(task, pairs), heldOut];
        return { pairs, of: await Kept.of<RewardModelResult>(out, `reward-model-${pairs}`, about) };
      }),
    ),
    base: await Kept.of(out, 'base', [
      ...looks,
      referenceStories,
      counts.map((pairs) => [rewardEpochs(task, pairs), firstPairs(job, pairs)]),
    ]),
    roads: await Promise.all(
      roads.map(async (road) => {
        const { id, method, settings, pairs } = road;
        const about = [
          ...looks,
          stories,
          rewardEpochs(task, pairs),
          firstPairs(job, pairs),
          method,
          settings,
        ];
        return { road, of: await Kept.of<RoadResult>(out, id, about) };
      }),
    ),
  };
}

/** The first of the pairs to learn from, as a file has them. */
export function firstPairs({ pairs }: Pick<Job, 'pairs'>, count: number): string {
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

/** The last look is at the end of the road. */
export function isDone({ looks, steps }: RoadResult): boolean {
  return steps > 0 && looks.at(-1)?.step === steps;
}
