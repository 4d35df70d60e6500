/**
 * Completions that the policy writes itself, as the source of examples: prompts in their order, a group of completions for
 * each, and what a method makes of them. A rollout batch may serve several steps, by parts and by passes; it is kept in the
 * checkpoint until the last of them. Knows prompts, never a reward or a loss.
 */

import { own } from '../base/lookup.ts';
import { say, setting } from '../base/sentence.ts';
import { columnLength, type TokenizedExample } from '../data/packing.ts';
import type { PromptRow } from '../data/prompt-dataset.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { type Rehearsal, rehearse } from '../gpu/rehearsal.ts';
import { InputError } from '../io/errors.ts';
import { isObject, type Json } from '../io/json.ts';
import type { CausalLM } from '../model/causal-lm.ts';
import { planGeneration } from '../model/generation-plan.ts';
import type { Metrics, RolloutReport, TrainEvent } from '../train/events.ts';
import { examplesOfStep, largestOfSteps, type Order, stepsPerEpoch } from '../train/order.ts';
import { bySize, type ExampleSource, type SourcedStep, sizeOf } from '../train/source.ts';
import type { StepContext } from '../train/step.ts';
import type { Experience, ExperienceMaker, MakeOptions } from './experience.ts';
import { textOfCompletion } from './rewards.ts';
import { drawn, type Prompt, type Samples, type sampleCompletions, writeCompletions } from './sampling.ts';

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
  seed: number;
  shuffleDataset: boolean;
}

/** What rollouts are made of. */
export interface RolloutParts {
  model: CausalLM;
  tokenizer: Tokenizer;
  prompts: readonly Prompt[];
  maker: ExperienceMaker;
  settings: RolloutSettings;
  /** Where completions come from; the model writes them where it is left out. */
  sample?: typeof sampleCompletions;
}

/** A rollout batch that is learned from. */
interface Rollouts {
  /** Counted from 1. */
  number: number;
  examples: TokenizedExample[];
  silent: boolean[];
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
    const { prompts, maker, settings } = parts;
    const { perDeviceTrainBatchSize: batch, gradientAccumulationSteps: accumulation } = settings;
    const { stepsPerGeneration, numGenerations, seed, shuffleDataset } = settings;
    if (prompts.length === 0)
      throw new InputError('training data', 'has no rows', 'Give at least one prompt');
    const microBatches = stepsPerGeneration ?? accumulation;
    requireMultiple('perDeviceTrainBatchSize', batch, 'numGenerations', numGenerations);
    requireMultiple('stepsPerGeneration', microBatches, 'gradientAccumulationSteps', accumulation);
    this.length = prompts.length;
    this.batchSize = batch / numGenerations;
    this.groupsPerStep = this.batchSize * accumulation;
    const parts_ = microBatches / accumulation;
    this.serves = stepsServed(settings);
    this.order = {
      examples: prompts.length,
      stepSize: this.groupsPerStep * parts_,
      seed,
      shuffle: shuffleDataset,
    };
    this.stepsPerEpoch = stepsPerEpoch(this.order) * this.serves;
    this.usesReference = maker.usesReference;
    const rows = prompts.map(({ ids, row }): [number[], PromptRow['columns']] => [ids, row.columns]);
    this.identity = { prompts: rows, maker: maker.identity };
  }

  ahead(): undefined {}

  /** Every completion as long as it may be, for prompts that come together, or the longest where that is not known. */
  largest(count: number, steps: number): TokenizedExample[] {
    const { settings, prompts, maker } = this.parts;
    const completion = new Array<number>(settings.maxCompletionLength).fill(0);
    const groups = prompts.map(({ ids }) => this.group(ids, completion));
    if (maker.prepare || maker.permutesPasses) return bySize(groups).slice(0, count);
    const written = { sizes: groups.map(sizeOf), count, steps: Math.ceil(steps / this.serves) };
    return largestOfSteps(this.order, written).map((i) => groups[i] as TokenizedExample);
  }

  shortest(count: number): TokenizedExample[] {
    return bySize(this.parts.prompts.map(({ ids }) => this.group(ids, [0]))).slice(-count);
  }

  /** Writing, and what is made of the completions; one gives its memory back before the other begins. */
  rehearse(context: StepContext, steps: number): readonly Rehearsal[] {
    const { model, settings, maker } = this.parts;
    const written = this.largest(this.order.stepSize, steps);
    const lengths = written.map(({ prompt }) => prompt.length);
    const counts = [settings.numGenerations, maker.drawnAhead ?? 0].filter((count) => count > 0);
    const plans = counts.map((numGenerations) =>
      planGeneration(model, lengths, drawn({ ...settings, numGenerations })),
    );
    const made = rehearse(model.gpu, (counting) => maker.rehearse?.(counting, written, context));
    return [...plans, made];
  }

  async *step(
    step: number,
    context: StepContext,
    signal?: AbortSignal,
    keep = async () => {},
  ): AsyncGenerator<TrainEvent, SourcedStep | undefined> {
    const number = Math.floor((step - 1) / this.serves) + 1;
    if (this.current?.number !== number)
      this.current = yield* this.collect(number, context, { step, signal, keep });
    if (!this.current) return undefined;
    const { maker, settings } = this.parts;
    const { examples, silent, metrics } = this.current;
    // Each pass over the batch is an epoch of it.
    const passes = {
      examples: examples.length,
      stepSize: this.groupsPerStep,
      seed: settings.seed + number,
      shuffle: maker.permutesPasses ?? false,
    };
    const chosen = [...examplesOfStep(passes, ((step - 1) % this.serves) + 1)];
    const [skipped, kept] = [true, false].map((is) => chosen.filter((i) => silent[i] === is)) as [
      number[],
      number[],
    ];
    const at = (i: number) => examples[i] as TokenizedExample;
    return {
      examples: kept.map(at),
      silent: skipped.map(at),
      lengths: examples.flatMap(({ completions }) => completions.map(({ length }) => length)),
      metrics: { ...metrics, groups_skipped: skipped.length },
      derive: (means) => maker.derive?.(means, metrics) ?? {},
    };
  }

  save(): Json | undefined {
    const maker = this.parts.maker.save?.();
    if (!this.current && maker === undefined) return undefined;
    return { ...this.current, ...(maker === undefined ? {} : { maker }) } as unknown as Json;
  }

  restore(saved: Json | undefined): void {
    if (saved === undefined) return;
    const { maker: kept, ...rollouts } = isObject(saved) ? saved : {};
    if (kept !== undefined) this.parts.maker.restore?.(kept);
    // A run that was stopped before its first completions has no more than that.
    if (kept !== undefined && Object.keys(rollouts).length === 0) return;
    if (!this.isRollouts(rollouts))
      throw new InputError('checkpoint', 'has no completions of this run', 'Start again');
    this.current = rollouts;
  }

  /** As large as an example of a prompt may be. */
  private group(prompt: number[], completion: number[]): TokenizedExample {
    const completions = Array.from({ length: this.parts.maker.completions }, () => completion);
    const example = { prompt, completions };
    const columns = this.columnLengths(example).map(([name, length]) => [
      name,
      new Array<number>(length).fill(0),
    ]);
    return { ...example, columns: Object.fromEntries(columns) };
  }

  /** How many numbers an example has in each column that is read, and what stands for one that is not there. */
  private columnLengths(
    example: TokenizedExample,
  ): [name: string, length: number, usual: number | undefined][] {
    const { reads, beside = [] } = this.parts.maker;
    return [{ reads, rows: 'targets' } as const, ...beside].flatMap(({ reads, rows }) =>
      Object.entries(reads).map(([name, spec]): [string, number, number | undefined] => [
        name,
        columnLength(example, spec, rows),
        spec.default,
      ]),
    );
  }

  /** Writes a batch of completions, and lets the method make examples of it. */
  private async *collect(
    number: number,
    context: StepContext,
    options: MakeOptions,
  ): AsyncGenerator<TrainEvent, Rollouts | undefined> {
    const { model, tokenizer, settings, maker, sample } = this.parts;
    const { step, signal } = options;
    const prompts = maker.prepare
      ? yield* maker.prepare(this.parts.prompts, context, options)
      : this.parts.prompts;
    if (!prompts) return undefined;
    const order = { ...this.order, examples: prompts.length };
    const chosen = [...examplesOfStep(order, number)].map((i) => prompts[i] as Prompt);
    const drawing = { ...settings, seed: settings.seed + number };
    const clock = stopwatch();
    const samples = yield* writeCompletions(model, tokenizer, chosen, drawing, { ...options, sample });
    if (!samples) return undefined;
    const written = clock();
    let made: Experience;
    try {
      made = await maker.make(samples, context, options);
    } catch (error) {
      if (signal?.aborted) return undefined;
      throw error;
    }
    yield { type: 'rollout', step, ...report(samples, made, written) };
    const { examples, metrics, silent = examples.map(() => false) } = made;
    return { number, examples, silent, metrics };
  }

  /** The hash detects corruption, not tampering, so the numbers are validated all the same. */
  private isRollouts(saved: unknown): saved is Rollouts {
    if (!isObject(saved) || !Number.isSafeInteger(saved.number) || !isObject(saved.metrics)) return false;
    const { examples, silent } = saved;
    if (!Array.isArray(examples) || !Array.isArray(silent)) return false;
    if (examples.length !== silent.length || !silent.every((is) => typeof is === 'boolean')) return false;
    return examples.every((example) => this.isExample(example));
  }

  private isExample(example: unknown): boolean {
    if (!isObject(example) || !isObject(example.columns) || !Array.isArray(example.completions)) return false;
    if (!areIds(example.prompt) || !example.completions.every(isLeftOutOrIds)) return false;
    const { columns } = example;
    const shape = example as unknown as TokenizedExample;
    return this.columnLengths(shape).every(([name, length, usual]) => {
      const values = own(columns, name);
      if (values === undefined) return usual !== undefined;
      return Array.isArray(values) && values.length === length && values.every(Number.isFinite);
    });
  }
}

/** Optimizer steps that a rollout batch serves. */
export function stepsServed({
  gradientAccumulationSteps: accumulation,
  stepsPerGeneration,
  numIterations,
}: Pick<RolloutSettings, 'gradientAccumulationSteps' | 'stepsPerGeneration' | 'numIterations'>): number {
  return ((stepsPerGeneration ?? accumulation) / accumulation) * numIterations;
}

function areIds(ids: unknown): boolean {
  return Array.isArray(ids) && ids.length > 0 && ids.every((id) => Number.isSafeInteger(id) && id >= 0);
}

/** A completion that is left out of the loss has no tokens. */
function isLeftOutOrIds(ids: unknown): boolean {
  return areIds(ids) || (Array.isArray(ids) && ids.length === 0);
}

function report(
  { prompts, completions }: Samples,
  { rewards, byFunction = new Map(), advantages, metrics, seconds }: Experience,
  writing: number,
): RolloutReport {
  return {
    prompts: prompts.map(({ row }) => textOfCompletion(row.prompt)),
    completions: completions.map(textOfCompletion),
    rewards,
    rewardsByFunction: Object.fromEntries([...byFunction].map(([name, values]) => [name, [...values]])),
    advantages,
    metrics,
    seconds: { writing, ...seconds },
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
