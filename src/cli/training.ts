/**
 * One run of a trainer inside a command: settings, progress, and a summary at the end. Shared
 * by every training command; the commands provide the data and write the result.
 */

import { join } from 'node:path';
import { type Adapter, checkAdapterFits, type LoraConfig } from '../io/peft.ts';
import { ALL_LINEAR, shortNames } from '../io/target-modules.ts';
import { FAMILIES } from '../losses/families.ts';
import type { CausalLM } from '../model/causal-lm.ts';
import type { RunPlan, TrainEvent } from '../train/events.ts';
import { adviceOn, type RunFigures } from '../train/measures/advice.ts';
import { comparedAccuracy } from '../train/metrics.ts';
import type { Trainer } from '../train/trainer.ts';
import { CompletionLog } from './completion-log.ts';
import { InterruptedError, type StopSignal, UsageError } from './failures.ts';
import { flagOf } from './flags.ts';
import { type Method, methodOptions } from './method.ts';
import { adapterJson, type OpenModel, type Origin, readAdapterFor, requirePolicy } from './open.ts';
import { LORA_OPTIONS, OPTIONS, pick, type Settings } from './options.ts';
import {
  type RewardEvaluationSummary,
  RolloutClock,
  type RolloutSummary,
  rewardEvaluation,
} from './rollout-summary.ts';
import { CHECKPOINT, type RunFolder } from './run-folder.ts';
import type { Terminal } from './terminal.ts';
import { tell, tellsTokenizing } from './training-lines.ts';

export interface TrainingJob {
  method: Method;
  train: readonly unknown[];
  evaluation: readonly unknown[];
  settings: Settings;
  folder: RunFolder;
  /** Receives every event while the run waits. Its time is not part of the run's time. */
  watch?: ((event: TrainEvent, trainer: Trainer) => Promise<void>) | undefined;
}

export interface TrainingResult {
  trainer: Trainer;
  plan: RunPlan;
  json: RunSummary;
}

/** `--json` output for a run. */
export interface RunSummary {
  steps: number;
  /** Number of rows trained on, under the method's name for them. */
  pairs?: number;
  completions?: number;
  texts?: number;
  prompts?: number;
  /** Tokens computed, and tokens sampled if the policy writes its own completions. */
  tokens: number | RolloutSummary['tokens'];
  loss: { first: number | undefined; last: number | undefined };
  /** Mean reward of a step's completions, if the policy writes them. */
  reward?: { first: number | undefined; last: number | undefined };
  /** Of the held-out rows; null if there are none. Metrics that a method does not have are left out. */
  eval:
    | ({
        loss?: number;
        'rewards/accuracies'?: number;
        'rewards/margins'?: number;
        /** Mean of log π − log π_ref, nats per completion. */
        'log_ratio/chosen'?: number;
        'log_ratio/rejected'?: number;
        accuracy?: number;
        margin?: number;
      } & RewardEvaluationSummary)
    | null;
  /** Where the time went, if the policy writes its own completions. */
  seconds?: RolloutSummary['seconds'];
  tokensPerSecond: number;
  peakBytes: number;
  adapter: ReturnType<typeof adapterJson>;
  /** Kernel variants that ran, by class of shapes. */
  variants: RunPlan['variants'];
  /** A sentence for each detected problem of the run, with the setting to change. */
  advice: string[];
  out: string;
}

type EndEvent = Extract<TrainEvent, { type: 'end' }>;

/**
 * Trains to the end. If the signal stops the run, throws an {@link InterruptedError} that says how to continue; passes on
 * whatever the trainer throws. The caller disposes of the trainer.
 */
export async function runTraining(
  { model, tokenizer }: OpenModel,
  { method, train, evaluation, settings, folder, watch }: TrainingJob,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<TrainingResult> {
  const options = {
    ...(await method.extra?.load(settings, { model, tokenizer, settings, terminal, signal })),
    model,
    args: pick(settings, methodOptions(method)),
    trainDataset: train,
    evalDataset: evaluation,
    processingClass: tokenizer,
    peftConfig: await peftConfigOf(method, settings, model, terminal),
    checkpoint: folder.checkpoint,
    referenceCache: folder.referenceCache(model.gpu),
  };
  const onProgress = tellsTokenizing(method, terminal);
  const trainer = await method.trainer(options, { signal, onProgress });
  await folder.clear();
  if (settings.resume && !folder.resumes)
    terminal.info(`No checkpoint in ${folder.path}: starting from the beginning.`);
  const run = follow({ trainer, method, folder, model }, terminal, signal);
  const log = settings.logCompletions ? new CompletionLog(folder.path) : undefined;
  for await (const event of trainer.train({ signal })) {
    run.see(event);
    await log?.see(event);
    await watch?.(event, trainer);
    run.goOn();
  }
  return { trainer, ...run.end() };
}

export interface FollowedRun {
  trainer: Trainer;
  method: Method;
  folder: RunFolder;
  model: CausalLM;
}

/** Prints a run's events as they arrive; throws an {@link InterruptedError} if the signal stopped it. */
export function follow(
  { trainer, method, folder, model }: FollowedRun,
  terminal: Terminal,
  signal: AbortSignal,
): { see(event: TrainEvent): void; goOn(): void; end(): { plan: RunPlan; json: RunSummary } } {
  let plan: RunPlan | undefined;
  let last: EndEvent | undefined;
  const clock = new RolloutClock();
  for (const line of trainer.notices) terminal.info(line);
  return {
    see(event) {
      clock.see(event);
      if (event.type === 'start') plan = event.plan;
      if (event.type === 'end') last = event;
      // Before the first step there is nothing to save in a checkpoint.
      if (event.type === 'reference' && trainer.step === 0 && signal.aborted)
        throw interrupted(signal, 'Stopped before the first step.');
      tell(event, method, terminal, clock);
    },
    goOn: () => clock.goOn(),
    end() {
      if (!plan || !last?.completed) {
        const where = join(folder.path, CHECKPOINT);
        const done = `Stopped after step ${trainer.step} of ${plan?.totalSteps}; ${where} keeps the run.`;
        throw interrupted(signal, `${done} Repeat the command with --resume to continue.`);
      }
      const json = summary(trainer, plan, last, model, { out: folder.path, rows: method.rows });
      return { plan, json: { ...json, ...clock.summary(trainer, last.tokens) } };
    },
  };
}

function interrupted(signal: AbortSignal, message: string): InterruptedError {
  const cause =
    signal.reason instanceof InterruptedError ? signal.reason.signal : ('SIGINT' satisfies StopSignal);
  return new InterruptedError(cause, message);
}

/** What is trained: all weights, a given adapter, or a new one. Throws a {@link UsageError} for a combination. */
async function peftConfigOf(
  { settings: { family } }: Method,
  settings: Settings,
  model: CausalLM,
  terminal: Terminal,
): Promise<Partial<LoraConfig> | Adapter | null> {
  const adapter = await initialAdapter(settings, model, terminal);
  if (!adapter) return settings.full ? null : loraConfig(settings, model);
  const folder = settings.initAdapter ?? '';
  if (family !== FAMILIES.reward) requirePolicy(adapter, folder);
  checkAdapterFits(adapter, model.linears, folder);
  return adapter;
}

/** The given adapter to train on, if any. Throws a {@link UsageError} for settings that the adapter defines itself. */
export async function initialAdapter(
  settings: Settings,
  model: Origin,
  terminal: Terminal,
): Promise<Adapter | undefined> {
  const { initAdapter } = settings;
  if (initAdapter === undefined) return undefined;
  const others = [...LORA_OPTIONS, 'full' as const].filter((name) => settings[name] !== undefined);
  if (others.length > 0) {
    const flags = others.map((name) => OPTIONS[name].flag).join(', ');
    throw new UsageError(`--init-adapter defines its own LoRA settings: leave out ${flags}.`);
  }
  return readAdapterFor(model, initAdapter, (line) => terminal.info(line));
}

/** LoRA's settings, with `all-linear` resolved. */
export function loraConfig(settings: Settings, model: CausalLM): Partial<LoraConfig> {
  const given: Partial<LoraConfig> = pick(settings, LORA_OPTIONS);
  const isAll = given.targetModules?.length === 1 && given.targetModules[0] === ALL_LINEAR;
  return isAll ? { ...given, targetModules: shortNames(model.linears.keys()) } : given;
}

/** The input of {@link adviceOn} for a run. */
export function figuresOf({ logHistory: log, config, adapter }: Trainer, { examples }: RunPlan): RunFigures {
  return { log, examples, config, rank: adapter?.config.r };
}

function summary(
  trainer: Trainer,
  plan: RunPlan,
  end: EndEvent,
  { gpu }: CausalLM,
  { out, rows }: { out: string; rows: Method['rows'] },
): RunSummary {
  const steps = trainer.logHistory.filter((entry) => entry.type === 'step');
  const held = trainer.logHistory.findLast((entry) => entry.type === 'evaluate')?.metrics;
  return {
    steps: end.step,
    [rows]: plan.examples,
    tokens: end.tokens,
    loss: { first: steps.at(0)?.metrics.loss, last: steps.at(-1)?.metrics.loss },
    ...(steps.at(-1)?.metrics.reward === undefined
      ? {}
      : { reward: { first: steps.at(0)?.metrics.reward, last: steps.at(-1)?.metrics.reward } }),
    eval: held
      ? {
          loss: held.eval_loss,
          'rewards/accuracies': comparedAccuracy(
            held['eval_rewards/accuracies'],
            held['eval_rewards/margins'],
          ),
          'rewards/margins': held['eval_rewards/margins'],
          accuracy: comparedAccuracy(held.eval_accuracy, held.eval_margin),
          margin: held.eval_margin,
          ...rewardEvaluation(held),
          'log_ratio/chosen': held['eval_log_ratio/chosen'],
          'log_ratio/rejected': held['eval_log_ratio/rejected'],
        }
      : null,
    tokensPerSecond: end.tokensPerSecond,
    peakBytes: end.memory.peak,
    adapter: adapterJson(gpu.adapter),
    variants: plan.variants,
    advice: adviceOn(figuresOf(trainer, plan)).map(({ sentence }) => sentence.toString(flagOf)),
    out,
  };
}
