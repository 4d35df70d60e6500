/**
 * Completions that the policy writes itself, as the source of examples: prompts in their order, a group of completions for
 * each, rewards with the KL penalty in them, advantages. A rollout batch may serve several steps, by parts and by passes; it
 * is kept in the checkpoint until the last of them. Knows prompts and rewards, never a loss.
 */

import { say, setting } from '../base/sentence.ts';
import type { TokenizedExample } from '../data/packing.ts';
import type { PromptRow } from '../data/prompt-dataset.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import type { PipelineKey } from '../gpu/pipelines.ts';
import { InputError } from '../io/errors.ts';
import { isObject, type Json } from '../io/json.ts';
import type { CausalLM } from '../model/causal-lm.ts';
import { planGeneration } from '../model/generation-plan.ts';
import type { Metrics, RolloutReport, TrainEvent } from '../train/events.ts';
import { examplesOfStep, type Order, stepsPerEpoch } from '../train/order.ts';
import { bySize, type ExampleSource, type SourcedStep } from '../train/source.ts';
import type { StepContext } from '../train/step.ts';
import { advantages, type Baseline } from './advantages.ts';
import { type Earned, earnings, rolloutMetrics } from './earnings.ts';
import { textOfCompletion, type WeighedReward } from './rewards.ts';
import { drawn, type Prompt, type Samples, sampleCompletions } from './sampling.ts';

export interface RolloutSettings {
  perDeviceTrainBatchSize: number;
  gradientAccumulationSteps: number;
  /** Micro-batches that a rollout batch serves; those of one optimizer step where it is null. */
  stepsPerGeneration: number | null;
  /** Passes over a rollout batch. */
  numIterations: number;
  numGenerations: number;
  maxCompletionLength: number;
  temperature: number;
  beta: number;
  rewardClipRange: readonly number[] | null;
  normalizeAdvantages: boolean;
  rewardTimeout: number;
  seed: number;
  shuffleDataset: boolean;
}

/** What rollouts are made of. */
export interface RolloutParts {
  model: CausalLM;
  tokenizer: Tokenizer;
  prompts: readonly Prompt[];
  rewards: readonly WeighedReward[];
  baseline: Baseline;
  settings: RolloutSettings;
}

/** A rollout batch that is learned from. */
interface Rollouts {
  /** Counted from 1. */
  number: number;
  examples: TokenizedExample[];
  metrics: Metrics;
}

export class RolloutSource implements ExampleSource {
  readonly length: number;
  readonly batchSize: number;
  readonly stepsPerEpoch: number;
  readonly waits = true;
  readonly usesReference: boolean;
  readonly identity: unknown;
  private readonly order: Order;
  /** Optimizer steps that a rollout batch serves, and how many groups each takes. */
  private readonly serves: number;
  private readonly groupsPerStep: number;
  private current: Rollouts | undefined;

  /** Throws {@link InputError} where sizes do not divide, or there are no prompts. */
  constructor(private readonly parts: RolloutParts) {
    const { prompts, rewards, settings } = parts;
    const { perDeviceTrainBatchSize: batch, gradientAccumulationSteps: accumulation } = settings;
    const { stepsPerGeneration, numIterations, numGenerations, seed, shuffleDataset } = settings;
    if (prompts.length === 0)
      throw new InputError('training data', 'has no rows', 'Give at least one prompt');
    const microBatches = stepsPerGeneration ?? accumulation;
    requireMultiple('perDeviceTrainBatchSize', batch, 'numGenerations', numGenerations);
    requireMultiple('stepsPerGeneration', microBatches, 'gradientAccumulationSteps', accumulation);
    this.length = prompts.length;
    this.batchSize = batch / numGenerations;
    this.groupsPerStep = this.batchSize * accumulation;
    const parts_ = microBatches / accumulation;
    this.serves = parts_ * numIterations;
    this.order = {
      examples: prompts.length,
      stepSize: this.groupsPerStep * parts_,
      seed,
      shuffle: shuffleDataset,
    };
    this.stepsPerEpoch = stepsPerEpoch(this.order) * this.serves;
    this.usesReference = settings.beta > 0;
    const rows = prompts.map(({ ids, row }): [number[], PromptRow['columns']] => [ids, row.columns]);
    this.identity = { prompts: rows, rewards: rewards.map(({ name, weight }) => [name, weight]) };
  }

  ahead(): undefined {}

  /** The longest prompts, every completion as long as it may be. */
  largest(count: number): TokenizedExample[] {
    const { maxCompletionLength } = this.parts.settings;
    const completion = new Array<number>(maxCompletionLength).fill(0);
    return bySize(this.parts.prompts.map(({ ids }) => this.group(ids, completion))).slice(0, count);
  }

  shortest(count: number): TokenizedExample[] {
    return bySize(this.parts.prompts.map(({ ids }) => this.group(ids, [0]))).slice(-count);
  }

  rehearse(): { bytes: number; pipelines: readonly PipelineKey[] } {
    const { model, prompts, settings } = this.parts;
    const longest = Math.max(...prompts.map(({ ids }) => ids.length));
    const groups = Math.min(this.order.stepSize, this.length);
    return planGeneration(model, new Array<number>(groups).fill(longest), drawn(settings));
  }

  async *step(
    step: number,
    context: StepContext,
    signal?: AbortSignal,
  ): AsyncGenerator<TrainEvent, SourcedStep | undefined> {
    const number = Math.floor((step - 1) / this.serves) + 1;
    if (this.current?.number !== number) this.current = yield* this.collect(number, step, context, signal);
    if (!this.current) return undefined;
    const { examples, metrics } = this.current;
    const parts = Math.ceil(examples.length / this.groupsPerStep);
    const part = ((step - 1) % this.serves) % parts;
    const start = part * this.groupsPerStep;
    return { examples: examples.slice(start, start + this.groupsPerStep), metrics };
  }

  save(): Json | undefined {
    return this.current as unknown as Json;
  }

  restore(saved: Json | undefined): void {
    if (saved === undefined) return;
    if (!isRollouts(saved))
      throw new InputError('checkpoint', 'has no completions of this run', 'Start again');
    this.current = saved;
  }

  private group(prompt: number[], completion: number[]): TokenizedExample {
    const { numGenerations } = this.parts.settings;
    const tokens = numGenerations * completion.length;
    return {
      prompt,
      completions: Array.from({ length: numGenerations }, () => completion),
      columns: { advantage: new Float32Array(numGenerations), oldLogprobs: new Float32Array(tokens) },
    };
  }

  /** Writes, rates and scores a batch of completions. */
  private async *collect(
    number: number,
    step: number,
    context: StepContext,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<TrainEvent, Rollouts | undefined> {
    const { model, tokenizer, prompts, settings, rewards, baseline } = this.parts;
    const chosen = [...examplesOfStep(this.order, number)].map((i) => prompts[i] as Prompt);
    const drawing = { ...settings, seed: settings.seed + number };
    const mostTokens = chosen.length * settings.numGenerations * settings.maxCompletionLength;
    const clock = stopwatch();
    const writing = sampleCompletions(model, tokenizer, chosen, drawing, signal);
    let samples: Samples | undefined;
    for (;;) {
      const next = await writing.next();
      if (next.done) {
        samples = next.value;
        break;
      }
      yield { type: 'writing', step, tokens: next.value, mostTokens };
    }
    if (!samples) return undefined;
    const written = clock();
    const earned = await earnings(context, samples, rewards, { ...settings, step, signal });
    const values = advantages(earned.returns, {
      numGenerations: settings.numGenerations,
      baseline,
      normalize: settings.normalizeAdvantages,
    });
    const metrics = rolloutMetrics(samples, earned, settings.numGenerations);
    yield {
      type: 'rollout',
      step,
      ...report(samples, earned, values, metrics, { writing: written, ...earned.seconds }),
    };
    const { oldLogprobs } = earned;
    const { numGenerations } = settings;
    const examples = samples.examples.map((example, p) => {
      const own = p * numGenerations;
      return {
        ...example,
        columns: {
          advantage: [...values.subarray(own, own + numGenerations)],
          oldLogprobs: oldLogprobs.slice(own, own + numGenerations).flatMap((rows) => [...rows]),
        },
      };
    });
    return { number, examples, metrics };
  }
}

/** The hash detects corruption, not tampering, so what is learned from is looked at all the same. */
function isRollouts(saved: unknown): saved is Rollouts {
  if (!isObject(saved) || !Number.isSafeInteger(saved.number) || !isObject(saved.metrics)) return false;
  return Array.isArray(saved.examples) && saved.examples.every(isExample);
}

function isExample(example: unknown): boolean {
  if (!isObject(example) || !isObject(example.columns) || !Array.isArray(example.completions)) return false;
  const { advantage, oldLogprobs } = example.columns;
  const isNumbers = (values: unknown) =>
    Array.isArray(values) && values.every((value) => typeof value === 'number');
  const areIds = (ids: unknown) =>
    Array.isArray(ids) &&
    ids.length > 0 &&
    ids.every((id) => Number.isSafeInteger(id) && (id as number) >= 0);
  return (
    areIds(example.prompt) &&
    example.completions.every(areIds) &&
    isNumbers(advantage) &&
    isNumbers(oldLogprobs)
  );
}

function report(
  { prompts, completions }: Samples,
  { rewards }: Earned,
  values: Float64Array,
  metrics: Metrics,
  seconds: RolloutReport['seconds'],
): RolloutReport {
  return {
    prompts: prompts.map(({ row }) => textOfCompletion(row.prompt)),
    completions: completions.map(textOfCompletion),
    rewards: [...rewards],
    advantages: [...values],
    metrics,
    seconds,
  };
}

/** Seconds since it was made. */
function stopwatch(): () => number {
  const start = performance.now();
  return () => (performance.now() - start) / 1000;
}

function requireMultiple(name: string, value: number, of: string, unit: number): void {
  if (value % unit === 0) return;
  const wayOut = `Give a multiple of ${unit}`;
  throw new InputError('settings', say`${setting(name)} is ${value}, and ${setting(of)} is ${unit}`, wayOut);
}
