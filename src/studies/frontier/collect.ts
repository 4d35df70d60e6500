/**
 * The frontier's samples: stories of the original model, and for each method an adapter, its stories and their log-ratios
 * to the model. Every result is stored as soon as it is complete, the reference's after every few openings, and stored
 * results are not recomputed.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Gpu } from 'webalign';
import { parseDataset } from 'webalign/data';
import { folderFiles } from 'webalign/node';
import { type Continuation, continueOpenings } from '../../cli/continuations.ts';
import { METHODS } from '../../cli/methods.ts';
import { adapterName, type OpenModel, openModel } from '../../cli/open.ts';
import { EMBEDDED } from '../../cli/package.ts';
import type { Terminal } from '../../cli/terminal.ts';
import { runTraining } from '../../cli/training.ts';
import { inGroups } from '../shared/groups.ts';
import { Kept } from '../shared/kept-results.ts';
import { measureStories } from '../shared/stories.ts';
import { goesOn, workFolder } from '../shared/work-folder.ts';
import type { Samples } from './analysis.ts';
import type { GivenRun } from './given.ts';
import { type Entry, FRONTIER_SAMPLING, FRONTIER_TRAINING, type FrontierTask } from './task.ts';

/** Number of openings that the reference continues at a time. */
const AT_A_TIME = 8;
/** Log-ratios are stored to a ten-thousandth of a nat: float32 sums over forty tokens are not more precise. */
const PRECISION = 1e4;
/** With many stories per opening, a hundredth is enough for their mean and keeps the files small. */
const PRECISION_OF_MANY = 1e2;
const FEW = 8;
/** Increased when the measurements change. */
const VERSION = 1;

/** Rewards of the reference's stories, prompt by prompt; fewer prompts if it was stopped. */
export interface ReferenceResult {
  adapter: string;
  rewards: number[][];
}

export interface MethodResult extends Samples {
  adapter: string;
  steps: number;
  /** Loss of the last step, if it was trained here. */
  loss?: number;
  /** Number of stories generated for training, if the policy generated them. */
  written?: number;
  /** Training time, if it was not interrupted. */
  seconds?: number;
  /** Hash of the adapter's weights, if it was given. */
  weights?: string;
}

export interface Job {
  task: FrontierTask;
  /** Hash of the model's files. */
  fingerprint: string;
  openings: readonly string[];
  /** The training pairs as JSON lines. */
  pairs: string;
  /** Folder of results, and of stopped runs. */
  out: string;
  work: string;
  /** Runs made separately, to be measured. */
  given: readonly GivenRun[];
}

export interface Collected {
  reference: Kept<ReferenceResult>[];
  methods: { entry: Entry; kept: Kept<MethodResult> }[];
}

export interface Results {
  /** All sets combined. */
  reference: ReferenceResult;
  methods: { entry: Entry; result: MethodResult }[];
}

/** The locations of a job's results. */
export async function keptResults({ task, fingerprint, openings, pairs, out }: Job): Promise<Collected> {
  const { referenceStories, referenceSets, maxNewTokens, maxSteps, entries } = task;
  const { temperature, seed } = FRONTIER_SAMPLING;
  const shared = [VERSION, fingerprint, openings, maxNewTokens, temperature];
  const reference = Array.from({ length: referenceSets }, (_, set) =>
    Kept.of<ReferenceResult>(out, set === 0 ? 'reference' : `reference-${set + 1}`, [
      ...shared,
      referenceStories,
      seedOf(set),
    ]),
  );
  const training = [FRONTIER_TRAINING, pairs, maxSteps];
  const methods = entries.map(async (entry) => {
    const how = entry.isGiven ? ['given', entry.id] : [training, entry.method, entry.settings];
    const about = [...shared, storiesOf(entry, task), seed, ...how];
    return { entry, kept: await Kept.of<MethodResult>(out, entry.id, about) };
  });
  return { reference: await Promise.all(reference), methods: await Promise.all(methods) };
}

const seedOf = (set: number) => FRONTIER_SAMPLING.referenceSeed + FRONTIER_SAMPLING.betweenSets * set;
const storiesOf = (entry: Entry, task: FrontierTask) => entry.stories ?? task.stories;

/** All results if all are stored, without a device. A given run may be missing. */
export async function readResults(
  { openings }: Job,
  { reference, methods }: Collected,
): Promise<Results | undefined> {
  const sets = await Promise.all(reference.map((kept) => kept.read()));
  const others: Results['methods'] = [];
  for (const { entry, kept } of methods) {
    const result = await kept.read();
    if (result) others.push({ entry, result });
    else if (!entry.isGiven) return undefined;
  }
  const whole = sets.flatMap((set) => (set?.rewards.length === openings.length ? [set] : []));
  return whole.length === reference.length ? { reference: joined(whole), methods: others } : undefined;
}

/** Concatenates the sets of each opening. */
function joined(sets: readonly ReferenceResult[]): ReferenceResult {
  const [first] = sets as [ReferenceResult];
  const rewards = first.rewards.map((_, p) => sets.flatMap((set) => set.rewards[p]));
  return { adapter: first.adapter, rewards };
}

/** Computes and stores missing results. */
export async function collect(
  gpu: Gpu,
  job: Job,
  { reference, methods }: Collected,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<Results> {
  const open = await openModel(gpu, folderFiles(EMBEDDED.model), EMBEDDED);
  const sets: ReferenceResult[] = [];
  for (const [set, kept] of reference.entries())
    sets.push(await collectReference(open, job, kept, seedOf(set), terminal, signal));
  const results: Results = { reference: joined(sets), methods: [] };
  for (const each of methods) {
    const { entry, kept } = each;
    const given = job.given.find((run) => run.entry === entry);
    const make = () => {
      if (given) return measureGiven(open, job, each, given, terminal, signal);
      return entry.isGiven ? undefined : collectMethod(open, job, each, terminal, signal);
    };
    const result = (given ? undefined : await kept.read()) ?? (await make());
    if (result) results.methods.push({ entry, result });
  }
  return results;
}

/** The reference's rewards, continuing from a stopped run. */
async function collectReference(
  { model, tokenizer }: OpenModel,
  { task, openings }: Job,
  kept: Kept<ReferenceResult>,
  firstSeed: number,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<ReferenceResult> {
  const { referenceStories: copies, maxNewTokens } = task;
  const { temperature } = FRONTIER_SAMPLING;
  const rewards = [...((await kept.read())?.rewards ?? [])];
  const result = { adapter: adapterName(model.gpu.adapter), rewards };
  if (rewards.length === openings.length) return result;
  while (rewards.length < openings.length) {
    terminal.progress('Reference', rewards.length, openings.length, 'openings');
    const some = openings.slice(rewards.length, rewards.length + AT_A_TIME);
    // Every group uses different random numbers, wherever a run was stopped.
    const seed = firstSeed + 2 ** 32 * rewards.length;
    const options = { maxNewTokens, temperature, seed, numReturnSequences: copies, signal };
    rewards.push(...rewardsOf(await continueOpenings(model, tokenizer, some, options), copies));
    await kept.write(result);
  }
  terminal.progress('Reference', rewards.length, openings.length, 'openings');
  return result;
}

/** Trains a method, from its checkpoint if there is one, and measures its stories. */
async function collectMethod(
  open: OpenModel,
  job: Job,
  { entry, kept }: Collected['methods'][number],
  terminal: Terminal,
  signal: AbortSignal,
): Promise<MethodResult> {
  terminal.info(`${entry.family}, ${entry.label}`);
  const { task, pairs, work } = job;
  const method = METHODS.find(({ name }) => name === entry.method);
  if (!method) throw new Error(`no method is called ${entry.method}`);
  const path = join(work, `${entry.id}-${kept.key.slice(0, 12)}`);
  const maxCompletionLength = task.maxNewTokens;
  const settings = { ...FRONTIER_TRAINING, maxCompletionLength, maxSteps: task.maxSteps, ...entry.settings };
  const folder = workFolder(path, work);
  const isWhole = (await folder.checkpoint.read()) === undefined;
  const start = performance.now();
  const { trainer, json } = await goesOn(
    runTraining(
      open,
      { method, train: parseDataset(pairs, 'the pairs', method.form), evaluation: [], settings, folder },
      terminal,
      signal,
    ),
  );
  const seconds = Math.round((performance.now() - start) / 1000);
  const { adapter } = trainer;
  try {
    const result: MethodResult = {
      adapter: adapterName(open.model.gpu.adapter),
      steps: json.steps,
      ...(json.loss.last === undefined ? {} : { loss: json.loss.last }),
      ...(json.seconds && json.completions !== undefined ? { written: json.completions } : {}),
      ...(isWhole ? { seconds } : {}),
      ...(await measured(open, job, storiesOf(entry, task), signal)),
    };
    await kept.write(result);
    await rm(path, { recursive: true, force: true });
    return result;
  } finally {
    trainer.dispose();
    if (adapter) open.model.detach(adapter);
  }
}

/** Measures the adapter of a run that was made separately. */
async function measureGiven(
  open: OpenModel,
  job: Job,
  { entry, kept }: Collected['methods'][number],
  { adapter, steps, written, weights }: GivenRun,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<MethodResult> {
  const stories = storiesOf(entry, job.task);
  terminal.info(`${entry.family}, ${entry.label}: writing ${stories} stories for each opening`);
  const attached = open.model.attach(adapter, { name: entry.id });
  try {
    const result: MethodResult = {
      adapter: adapterName(open.model.gpu.adapter),
      steps,
      written,
      weights,
      ...(await measured(open, job, stories, signal)),
    };
    await kept.write(result);
    return result;
  } finally {
    open.model.detach(attached);
  }
}

/** Stories of the model with its adapters: their rewards and log-ratios to the model without adapters. */
async function measured(
  open: OpenModel,
  { task, openings }: Job,
  copies: number,
  signal: AbortSignal,
): Promise<Samples> {
  const { temperature, seed } = FRONTIER_SAMPLING;
  const options = { maxNewTokens: task.maxNewTokens, temperature, seed, numReturnSequences: copies, signal };
  const precision = copies > FEW ? PRECISION_OF_MANY : PRECISION;
  const { rewards, logRatios } = await measureStories(open, openings, options, precision);
  return { rewards, logRatios };
}

function rewardsOf(stories: readonly Continuation[], copies: number): number[][] {
  return inGroups(
    stories.map(({ sentiment }) => sentiment),
    copies,
  );
}
