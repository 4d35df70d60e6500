/** The study's stored results, and keys of everything that each depends on. */
import { Kept } from '../shared/kept-results.ts';
import { RLHF_SAMPLING, RLHF_TRAINING, type RlhfTask, type Road, rewardEpochs } from './task.ts';

/** Increased when the measurements change. */
const VERSION = 1;

/** Measurements of a policy: a list for each opening, with a number for each of its stories. */
export interface Look {
  step: number;
  /** Seconds of training since the start. */
  seconds: number;
  /** The learned reward. */
  proxy: number[][];
  /** The true reward, sentiment. */
  gold: number[][];
  /** log π − log π_ref in nats. */
  logRatios: number[][];
}

/** The training of a reward model. */
export interface RewardModelResult {
  /** The adapter that it was trained on. */
  adapter: string;
  steps: number;
  /** On held-out pairs. */
  accuracy: number;
  margin: number;
  seconds: number;
  /** Planned GPU memory of the training. */
  bytes: number;
}

/** Measurements of the original model. */
export interface BaseResult {
  /** The learned reward, by the number of pairs of its model. */
  proxy: Record<number, number[][]>;
  gold: number[][];
  samples: string[];
}

export interface RoadResult {
  steps: number;
  /** Number of stories generated for training. */
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
  /** Rows of JSON: training and held-out. */
  pairs: readonly string[];
  heldOut: string;
  /** Folders of results and of runs. */
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

/** The locations of a job's results. */
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

/** The first training pairs, as the text of a file. */
export function firstPairs({ pairs }: Pick<Job, 'pairs'>, count: number): string {
  return pairs.slice(0, count).join('\n');
}

/** All results if all are stored, without a device. */
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

/** The last measurement is at the end of training. */
export function isDone({ looks, steps }: RoadResult): boolean {
  return steps > 0 && looks.at(-1)?.step === steps;
}
