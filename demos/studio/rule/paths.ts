/**
 * A rule picks, and the model learns from its picks: afterwards from all of them, or online while it picks. Both by the code of the
 * page, from the same number of picks that teach; on the way the model writes to held-out prompts.
 */
import { memoryCheckpointStore, memoryReferenceCache } from 'webalign/files';
import { sentiment } from 'webalign/rollouts';
import { ALIGN_SAMPLING } from '../../../src/cli/align-task.ts';
import { continueOpenings } from '../../../src/cli/continuations.ts';
import { logRatios } from '../../../src/cli/divergences.ts';
import { estimate } from '../../../src/cli/statistics.ts';
import type { Lesson } from '../messages.ts';
import { newOnlineRecord, OnlineRun } from '../online/run.ts';
import { PickTrainer } from '../online/trainer.ts';
import type { Draft, Judgment, Source, Verdict } from '../preferences/judgment.ts';
import { isHeldOut } from '../preferences/split.ts';
import { adapterName, type StudioKept, type StudioRecord } from '../record.ts';
import type { Runtime } from '../runtime.ts';
import { defaultsFor } from '../task.ts';
import type { Point } from './equal-kl.ts';

/** Looks at the held-out prompts, after equal parts of the picks. */
export const LOOKS = 4;
/** The page's form as it stands for the storyteller. */
export const DRAFTS = { temperature: 1, topP: 1, maxNewTokens: ALIGN_SAMPLING.maxNewTokens };

export interface PathTask {
  runtime: Runtime;
  parameters: number;
  /** Prompts to pick on. */
  prompts: readonly string[];
  /** Prompts that are only written to. */
  heldOut: readonly string[];
  /** Picks that teach. */
  picks: number;
}

/** What came of one run: the points on its way, the untouched model first. */
export interface Path {
  points: Point[];
  steps: number;
  ties: number;
  seconds: { picking: number; learning: number };
}

/** The rule as it reads on through the prompts: two drafts of each by the model as it stands, the happier one is better. */
export class Reader {
  ties = 0;
  seconds = 0;
  private at = 0;

  constructor(
    private readonly task: PathTask,
    private readonly seed: number,
  ) {}

  /** A pick with a better side; ties are passed over, as the page counts them. */
  async pick(source: Source): Promise<Judgment> {
    const { prompts, picks } = this.task;
    const started = performance.now();
    const open = prompts.filter((prompt) => !isHeldOut(prompt));
    for (;;) {
      const index = this.seed * picks * 2 + this.at++;
      const prompt = open[index % open.length];
      const drafts = await this.drafts(prompt, index, source);
      const [a = 0, b = 0] = drafts.map(({ text }) => sentiment(text));
      if (a === b) {
        this.ties++;
        continue;
      }
      const verdict: Verdict = a > b ? 'first' : 'second';
      this.seconds += (performance.now() - started) / 1000;
      return { id: `${this.seed} ${index}`, time: Date.now(), prompt, drafts, verdict };
    }
  }

  private async drafts(prompt: string, index: number, source: Source): Promise<readonly Draft[]> {
    const first = 2 * (this.seed * 1_000_003 + index) + 1;
    const request = { ...DRAFTS, prompt, sides: ['now', 'now'] as const, seeds: [first, first + 1] };
    const { signal } = new AbortController();
    const { drafts } = await this.task.runtime.draftUntil(
      request,
      () => source,
      signal,
      () => {},
    );
    return drafts;
  }
}

/** Where the model stands: mean sentiment and KL of what it writes to held-out prompts. */
export async function look({ runtime, heldOut }: PathTask, seed: number, picks: number): Promise<Point> {
  const options = { ...DRAFTS, seed: ALIGN_SAMPLING.seed + seed };
  const stories = await continueOpenings(runtime.model, runtime.tokenizer, heldOut, options);
  const ratios = await logRatios(runtime, stories, new AbortController().signal);
  const score = estimate(stories.map((story) => story.sentiment));
  return { picks, kl: estimate(ratios).mean, score: score.mean, standardError: score.standardError };
}

export function memoryKept(): StudioKept {
  return {
    unkept: 'in memory',
    checkpoint: memoryCheckpointStore(),
    referenceCache: memoryReferenceCache(),
    readRecord: async () => undefined,
    writeRecord: async () => {},
    clear: async () => {},
  };
}

/** All picks on drafts of the untouched model, then a run by the page's defaults. */
export async function offlinePath(task: PathTask, seed: number): Promise<Path> {
  const { runtime, parameters, picks } = task;
  const reader = new Reader(task, seed);
  const source = { model: runtime.model.name };
  const train: Judgment[] = [];
  while (train.length < picks) train.push(await reader.pick(source));
  const defaults = defaultsFor(picks, parameters);
  const settings = { ...defaults, seed: defaults.seed + seed };
  const trainer = runtime.newTrainer({ method: 'dpo', settings, train, heldOut: [] }, memoryKept());
  runtime.trainer = trainer;
  const points = [await look(task, seed, 0)];
  const { totalSteps } = await trainer.plan();
  let [steps, looking] = [0, 0];
  const started = performance.now();
  const every = Math.max(1, Math.ceil(totalSteps / LOOKS));
  for await (const event of runtime.turns.each(trainer.train())) {
    if (event.type !== 'checkpoint' && event.type !== 'end') continue;
    const isDue = event.step !== steps && (event.step >= every * points.length || event.step === totalSteps);
    if (!isDue) continue;
    steps = event.step;
    const before = performance.now();
    points.push(await look(task, seed, Math.round((picks * steps) / totalSteps)));
    looking += performance.now() - before;
  }
  const learning = (performance.now() - started - looking) / 1000;
  runtime.removeTrainer();
  return { points, steps, ties: reader.ties, seconds: { picking: reader.seconds, learning } };
}

/** A learning step after every few picks, on drafts of the model as it stands. */
export async function onlinePath(task: PathTask, seed: number): Promise<Path> {
  const { runtime, parameters, picks } = task;
  const reader = new Reader(task, seed);
  const kept = memoryKept();
  const defaults = defaultsFor(picks, parameters, 'online');
  const settings = { ...defaults, seed: defaults.seed + seed };
  const lesson: Lesson = { method: 'online', settings, train: [], heldOut: [] };
  const startedAt = Date.now() - 1;
  const begun = { startedAt, totalSteps: Number.POSITIVE_INFINITY, stopped: false, samples: [] };
  const record: StudioRecord = { ...begun, lesson, online: newOnlineRecord(startedAt) };
  const trainer = runtime.newTrainer(lesson, kept);
  if (!(trainer instanceof PickTrainer)) throw new Error('An online run has a trainer of its own.');
  runtime.trainer = trainer;
  const online = new OnlineRun({ runtime, kept, tell: () => {}, enter: () => {} });
  const stop = new AbortController();
  const judged: Judgment[] = [];
  const points = [await look(task, seed, 0)];
  let [steps, learning] = [0, 0];
  let asked = performance.now();
  for await (const event of runtime.turns.each(trainer.train({ signal: stop.signal }))) {
    if (event.type === 'step') steps = event.step;
    if (event.type === 'checkpoint') await online.learned(record, event.step);
    if (event.type !== 'writing') continue;
    if (steps > 0) learning += (performance.now() - asked) / 1000;
    if (judged.length >= (picks / LOOKS) * points.length) points.push(await look(task, seed, judged.length));
    if (judged.length >= picks) stop.abort();
    const source = { model: runtime.model.name, ...(steps > 0 && { adapter: adapterName(record, steps) }) };
    const waiting = online.next(record, trainer, { step: steps, source, signal: stop.signal });
    for (let i = 0; i < settings.perDeviceTrainBatchSize && !stop.signal.aborted; i++) {
      judged.push(await reader.pick(source));
      asked = performance.now();
      void online.offer(judged);
    }
    await waiting;
  }
  runtime.removeTrainer();
  return { points, steps, ties: reader.ties, seconds: { picking: reader.seconds, learning } };
}
