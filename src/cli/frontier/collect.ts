/**
 * The frontier's samples: stories of the model as it is, and for each method an adapter, its stories and how far they are
 * from the model. Every result is kept as soon as it is there, the reference's after every few openings, and what is kept
 * is not made again.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseDataset } from '../../data/jsonl.ts';
import type { Gpu } from '../../gpu/device.ts';
import { folderFiles } from '../../node/folder.ts';
import { type Continuation, continueOpenings } from '../continuations.ts';
import { logRatios } from '../divergences.ts';
import { METHODS } from '../methods.ts';
import { adapterName, type OpenModel, openModel } from '../open.ts';
import { EMBEDDED } from '../package.ts';
import { Kept } from '../study/kept.ts';
import { goesOn, workFolder } from '../study/work-folder.ts';
import type { Terminal } from '../terminal.ts';
import { runTraining } from '../training.ts';
import type { Samples } from './analysis.ts';
import { type Entry, FRONTIER_SAMPLING, FRONTIER_TRAINING, type FrontierTask } from './task.ts';

/** Openings that the reference continues at a time. */
const AT_A_TIME = 8;
/** Log-ratios are kept to a ten-thousandth of a nat: float32 sums of forty tokens have no more. */
const PRECISION = 1e4;
/** Changes where what is measured does. */
const VERSION = 1;

/** Rewards of the reference's stories, prompt by prompt; fewer prompts than there are where it was stopped. */
export interface ReferenceResult {
  adapter: string;
  rewards: number[][];
}

export interface MethodResult extends Samples {
  adapter: string;
  steps: number;
  /** Of the last step. */
  loss: number;
}

export interface Job {
  task: FrontierTask;
  /** Hash of the model's files. */
  fingerprint: string;
  openings: readonly string[];
  /** JSON lines of the pairs to train on. */
  pairs: string;
  /** Where results are kept, and where runs that were stopped are. */
  out: string;
  work: string;
}

export interface Collected {
  reference: Kept<ReferenceResult>;
  methods: { entry: Entry; kept: Kept<MethodResult> }[];
}

export interface Results {
  reference: ReferenceResult;
  methods: { entry: Entry; result: MethodResult }[];
}

/** Where the results of a job are kept. */
export async function keptResults({ task, fingerprint, openings, pairs, out }: Job): Promise<Collected> {
  const { referenceStories, stories, maxNewTokens, maxSteps, entries } = task;
  const { temperature, referenceSeed, seed } = FRONTIER_SAMPLING;
  const shared = [VERSION, fingerprint, openings, maxNewTokens, temperature];
  const reference = await Kept.of<ReferenceResult>(out, 'reference', [
    ...shared,
    referenceStories,
    referenceSeed,
  ]);
  const training = [FRONTIER_TRAINING, pairs, maxSteps];
  const methods = entries.map(async (entry) => {
    const about = [...shared, stories, seed, training, entry.method, entry.settings];
    return { entry, kept: await Kept.of<MethodResult>(out, entry.id, about) };
  });
  return { reference, methods: await Promise.all(methods) };
}

/** All results where all are kept, without any device. */
export async function readResults(
  { openings }: Job,
  { reference, methods }: Collected,
): Promise<Results | undefined> {
  const first = await reference.read();
  const others: Results['methods'] = [];
  for (const { entry, kept } of methods) {
    const result = await kept.read();
    if (result) others.push({ entry, result });
  }
  const complete = first?.rewards.length === openings.length && others.length === methods.length;
  return complete ? { reference: first, methods: others } : undefined;
}

/** Makes what is missing, and keeps it. */
export async function collect(
  gpu: Gpu,
  job: Job,
  { reference, methods }: Collected,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<Results> {
  const open = await openModel(gpu, folderFiles(EMBEDDED.model), EMBEDDED);
  const results: Results = {
    reference: await collectReference(open, job, reference, terminal, signal),
    methods: [],
  };
  for (const each of methods) {
    const result = (await each.kept.read()) ?? (await collectMethod(open, job, each, terminal, signal));
    results.methods.push({ entry: each.entry, result });
  }
  return results;
}

/** The reference's rewards, from where an earlier run was stopped. */
async function collectReference(
  { model, tokenizer }: OpenModel,
  { task, openings }: Job,
  kept: Kept<ReferenceResult>,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<ReferenceResult> {
  const { referenceStories: copies, maxNewTokens } = task;
  const { temperature, referenceSeed } = FRONTIER_SAMPLING;
  const rewards = [...((await kept.read())?.rewards ?? [])];
  const result = { adapter: adapterName(model.gpu.adapter), rewards };
  while (rewards.length < openings.length) {
    terminal.progress('Reference', rewards.length, openings.length, 'openings');
    const some = openings.slice(rewards.length, rewards.length + AT_A_TIME);
    // Every group has random numbers of its own, wherever a run was stopped.
    const seed = referenceSeed + 2 ** 32 * rewards.length;
    const options = { maxNewTokens, temperature, seed, numReturnSequences: copies, signal };
    rewards.push(...rewardsOf(await continueOpenings(model, tokenizer, some, options), copies));
    await kept.write(result);
  }
  terminal.progress('Reference', rewards.length, openings.length, 'openings');
  return result;
}

/** Trains a method, from its checkpoint where it has one, and measures what it writes. */
async function collectMethod(
  open: OpenModel,
  { task, openings, pairs, work }: Job,
  { entry, kept }: Collected['methods'][number],
  terminal: Terminal,
  signal: AbortSignal,
): Promise<MethodResult> {
  terminal.info(`${entry.family}, ${entry.label}`);
  const method = METHODS.find(({ name }) => name === entry.method);
  if (!method) throw new Error(`no method is called ${entry.method}`);
  const path = join(work, `${entry.id}-${kept.key.slice(0, 12)}`);
  const settings = { ...FRONTIER_TRAINING, maxSteps: task.maxSteps, ...entry.settings };
  const job = {
    method,
    train: parseDataset(pairs, 'the pairs', method.form),
    evaluation: [],
    settings,
    folder: workFolder(path, work),
  };
  const { trainer, json } = await goesOn(runTraining(open, job, terminal, signal));
  const { adapter } = trainer;
  try {
    const { maxNewTokens, stories: copies } = task;
    const { temperature, seed } = FRONTIER_SAMPLING;
    const options = { maxNewTokens, temperature, seed, numReturnSequences: copies, signal };
    const stories = await continueOpenings(open.model, open.tokenizer, openings, options);
    const ratios = await logRatios(open, stories, signal);
    const result: MethodResult = {
      adapter: adapterName(open.model.gpu.adapter),
      steps: json.steps,
      loss: json.loss.last ?? Number.NaN,
      rewards: rewardsOf(stories, copies),
      logRatios: inGroups(
        ratios.map((ratio) => Math.round(ratio * PRECISION) / PRECISION),
        copies,
      ),
    };
    await kept.write(result);
    await rm(path, { recursive: true, force: true });
    return result;
  } finally {
    trainer.dispose();
    if (adapter) open.model.detach(adapter);
  }
}

function rewardsOf(stories: readonly Continuation[], copies: number): number[][] {
  return inGroups(
    stories.map(({ sentiment }) => sentiment),
    copies,
  );
}

function inGroups(values: readonly number[], size: number): number[][] {
  return Array.from({ length: values.length / size }, (_, i) => values.slice(i * size, (i + 1) * size));
}
