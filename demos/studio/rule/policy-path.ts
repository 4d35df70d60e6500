/**
 * The same picks on drafts of the untouched model by another road: a reward model learns from four fifths of them and is tested on the
 * rest, and RLOO trains against its scores. By the code of the page; on the way the model writes to held-out prompts.
 */
import { REWARDS, weighedRewards } from 'webalign/rollouts';
import { type HeldOutPoint, type Optimum, toHeldOutPoint } from '../../shared/policy-run.ts';
import { drawReference } from '../../shared/reference-stories.ts';
import type { Judgment } from '../preferences/judgment.ts';
import { pairRows } from '../preferences/rows.ts';
import { fitPairs } from '../reward/fit.ts';
import { defaultsFor } from '../task.ts';
import type { Point } from './equal-kl.ts';
import { DRAFTS, LOOKS, look, memoryKept, type Path, type PathTask, Reader } from './paths.ts';

/** Every so many picks one is held out from the reward model, as the page does by prompts. */
const HELD_OUT_EVERY = 5;
/** Prompts on which the trainer estimates the gap, as on the page. */
const GAP_PROMPTS = 6;
/** Reference stories of a prompt for β log Z of the rule's own reward. */
const STORIES = 16;

export interface PolicyPath extends Path {
  /** Of the reward model: β of the run, accuracy on the held-out picks, and its own figures on the way. */
  proxy: { beta: number; accuracy: number; points: HeldOutPoint[] };
}

/** `steps`: of RLOO; the page's default unless given. */
export async function policyPath(task: PathTask, seed: number, steps?: number): Promise<PolicyPath> {
  const { runtime, parameters, picks, heldOut } = task;
  const reader = new Reader(task, seed);
  const judged: Judgment[] = [];
  while (judged.length < picks) judged.push(await reader.pick({ model: runtime.model.name }));
  const started = performance.now();
  const isTest = (i: number) => i % HELD_OUT_EVERY === HELD_OUT_EVERY - 1;
  const parts = {
    train: pairRows(judged.filter((_, i) => !isTest(i))),
    heldOut: pairRows(judged.filter((_, i) => isTest(i))),
  };
  const { adapter, figures } = await fitPairs(runtime, parts, () => {});
  runtime.reward = adapter;
  const { spread, accuracy } = figures;
  const draftLength = DRAFTS.maxNewTokens;
  const defaults = defaultsFor(judged.length, parameters, 'rloo', { spread, draftLength });
  const maxSteps = steps ?? defaults.maxSteps;
  const evalSteps = Math.ceil(maxSteps / LOOKS);
  const settings = { ...defaults, maxSteps, evalSteps, seed: defaults.seed + seed };
  const written = heldOut.slice(0, GAP_PROMPTS).map(writtenTo);
  const lesson = { method: 'rloo', settings, train: judged, heldOut: written } as const;
  const trainer = runtime.newTrainer(lesson, memoryKept());
  runtime.trainer = trainer;
  const fitting = performance.now() - started;
  const points: Point[] = [{ ...(await look(task, seed, 0)), step: 0 }];
  const proxy: HeldOutPoint[] = [];
  const begun = performance.now();
  let away = 0;
  let last = 0;
  for await (const event of runtime.turns.each(trainer.train())) {
    if (event.type === 'step') last = event.step;
    if (event.type !== 'evaluate') continue;
    proxy.push(toHeldOutPoint(event.step, event.metrics));
    const before = performance.now();
    points.push({ ...(await look(task, seed, judged.length)), step: event.step });
    away += performance.now() - before;
  }
  const learning = (fitting + performance.now() - begun - away) / 1000;
  runtime.removeTrainer();
  runtime.learned.drop(runtime.model);
  return {
    points,
    steps: last,
    ties: reader.ties,
    seconds: { picking: reader.seconds, learning },
    proxy: { beta: settings.beta, accuracy, points: proxy },
  };
}

/** A prompt that is only written to. */
const writtenTo = (prompt: string): Judgment => ({ id: prompt, time: 0, prompt, drafts: [], verdict: 'tie' });

/** β log Z of the rule's own reward, from stories of the untouched model for the held-out prompts: at least so much. */
export async function ruleOptimum({ runtime, heldOut }: PathTask, beta: number): Promise<Optimum> {
  const sentiment = REWARDS.sentiment?.({ maxCompletionLength: DRAFTS.maxNewTokens });
  const [reward] = sentiment ? weighedRewards([sentiment]) : [];
  if (!reward) throw new Error('There is no reward of sentiment.');
  const { optimum } = await drawReference(runtime, {
    prompts: heldOut,
    ids: heldOut.map((prompt) => runtime.encode(prompt)),
    copies: STORIES,
    reward,
    beta,
    seed: 0,
    maxNewTokens: DRAFTS.maxNewTokens,
    around: runtime.asItWas,
    timeout: 60,
    signal: new AbortController().signal,
    onProgress: () => {},
  });
  return optimum;
}
