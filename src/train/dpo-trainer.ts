/**
 * Direct preference optimisation of a model's adapter, or of all its weights, with TRL's names and defaults. Reads as
 * the data flows: plan, reference, steps, evaluation, checkpoints. No step waits for the device: metrics arrive a step or
 * two late, and a loss that is not finite stops the run before a checkpoint could keep it.
 */
import type { TokenizedPair } from '../data/packing.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import type { CheckpointStore } from '../io/checkpoint.ts';
import { InputError } from '../io/errors.ts';
import type { Adapter, LoraConfig } from '../io/peft.ts';
import type { ReferenceCache } from '../io/reference-cache.ts';
import type { CausalLM } from '../model/causal-lm.ts';
import { freshAdapter, type LoraAdapter } from '../model/lora.ts';
import { objectiveParameters, PAIRWISE_OBJECTIVES } from '../objectives/catalogue.ts';
import type { ParameterStore } from '../tensor/parameters.ts';
import { Clock } from './clock.ts';
import { type DPOConfig, resolveDPOConfig, resolveLoraConfig } from './config.ts';
import { NonFiniteLossError } from './errors.ts';
import { evaluatePairs } from './evaluation.ts';
import type { Metrics, RunPlan, TrainEvent } from './events.ts';
import { VocabularyMean } from './forward.ts';
import { evalMetrics, meanMetrics } from './metrics.ts';
import { Optimizer } from './optimizer.ts';
import { examplesOfStep, type Order, stepsPerEpoch } from './order.ts';
import { type PairDataset, preparePairs } from './pair-dataset.ts';
import { type PairStepContext, pairBatch, runPairs } from './pair-step.ts';
import { planRun } from './plan.ts';
import { type ReferenceLogprobs, referenceLogprobs } from './reference.ts';
import { learningRate, type Schedule, scheduleOf } from './schedule.ts';
import { loadRun, type RunState, restoreParameters, runHash, saveRun } from './state.ts';

/** Steps whose metrics may be on their way. */
const METRICS_LATE = 2;

export interface DPOTrainerOptions {
  model: CausalLM;
  /** Settings; TRL's defaults for what is left out. */
  args?: Partial<DPOConfig>;
  trainDataset: PairDataset;
  evalDataset?: PairDataset;
  /** The model's tokenizer; needed for rows. */
  processingClass?: Tokenizer;
  /** LoRA settings, an adapter to continue, or null to train all weights (load the model with `trainable`). */
  peftConfig?: Partial<LoraConfig> | Adapter | null;
  /** Where the run is kept; without one it cannot be resumed. */
  checkpoint?: CheckpointStore;
  referenceCache?: ReferenceCache;
}

interface PendingStep {
  step: number;
  tokens: number;
  metrics: Promise<Metrics>;
}

export class DPOTrainer {
  readonly config: DPOConfig;
  /** Things a person should know about the data, a line each. */
  readonly notices: string[] = [];
  /** The adapter in training; undefined where all weights train. */
  readonly adapter: LoraAdapter | undefined;
  private readonly model: CausalLM;
  private readonly parameters: ParameterStore;
  private readonly trainPairs: readonly TokenizedPair[];
  private readonly evalPairs: readonly TokenizedPair[];
  private readonly optimizer: Optimizer;
  private readonly vocabularyMean: VocabularyMean;
  private readonly order: Order;
  private readonly schedule: Schedule;
  private readonly references = new Map<readonly TokenizedPair[], ReferenceLogprobs>();
  private state: RunState = { step: 0, tokens: 0, numTokens: 0, log: [] };

  constructor(private readonly options: DPOTrainerOptions) {
    const { model, args = {}, peftConfig = {} } = options;
    this.model = model;
    this.config = resolveDPOConfig(args, {
      lora: peftConfig !== null,
      lossTypes: Object.keys(PAIRWISE_OBJECTIVES),
    });
    this.trainPairs = this.prepare(options.trainDataset);
    this.evalPairs = this.prepare(options.evalDataset ?? []);
    if (this.trainPairs.length === 0)
      throw new InputError('training data', 'has no rows', 'Give at least one pair');

    if (peftConfig) this.adapter = model.attach(this.initialAdapter(peftConfig), { trainable: true });
    const parameters = this.adapter?.parameters ?? model.parameters;
    if (!parameters) {
      throw new InputError(
        model.name,
        'was loaded frozen, and no adapter is asked for',
        'Load it with { trainable: true }, or give a peftConfig',
      );
    }
    this.parameters = parameters;
    this.optimizer = new Optimizer(model.gpu, parameters, this.config);
    this.vocabularyMean = new VocabularyMean(model);

    const { perDeviceTrainBatchSize, gradientAccumulationSteps, seed, shuffleDataset } = this.config;
    this.order = {
      examples: this.trainPairs.length,
      stepSize: perDeviceTrainBatchSize * gradientAccumulationSteps,
      seed,
      shuffle: shuffleDataset,
    };
    this.schedule = scheduleOf(this.config, stepsPerEpoch(this.order));
  }

  /** Optimizer steps done so far. */
  get step(): number {
    return this.state.step;
  }

  /** All steps and evaluations so far, those before a resume included (TRL's `state.log_history`). */
  get logHistory(): RunState['log'] {
    return this.state.log;
  }

  /**
   * Trains, telling what happens. A signal stops it after the step under way, with a checkpoint. Where a checkpoint is
   * there, the run goes on from it, bit for bit. Throws {@link InputError} for a checkpoint of another run,
   * {@link MemoryCapError} before anything is trained, {@link NonFiniteLossError}, and the device's errors.
   */
  async *train({ signal }: { signal?: AbortSignal } = {}): AsyncGenerator<TrainEvent> {
    const { model, config } = this;
    const { gpu } = model;
    const configHash = await runHash(model, this.parameters, [
      config,
      this.adapter?.config ?? null,
      this.trainPairs,
      this.evalPairs,
    ]);
    const resumed = this.options.checkpoint && (await loadRun(this.options.checkpoint, configHash));
    yield { type: 'start', plan: await this.plan(), resumedFrom: resumed?.state.step };

    const train = yield* this.reference(this.trainPairs);
    const evaluation = yield* this.reference(this.evalPairs);
    if (resumed) {
      restoreParameters(this.parameters, resumed.checkpoint);
      this.state = resumed.state;
    }

    const { totalSteps } = this.schedule;
    const clock = new Clock(totalSteps - this.state.step);
    const pending: PendingStep[] = [];
    while (this.state.step < totalSteps && !signal?.aborted) {
      pending.push(this.runStep(this.state.step + 1, train));
      await gpu.settle(gpu.recorder.throttle());
      if (pending.length > METRICS_LATE) yield await this.stepEvent(pending.shift() as PendingStep, clock);

      const { step } = this.state;
      const evaluates = isDue(step, config.evalSteps) && step < totalSteps;
      const saves = isDue(step, config.saveSteps) && step < totalSteps;
      if (!evaluates && !saves) continue;
      // A checkpoint keeps only what is known to be finite.
      for (const late of pending.splice(0)) yield await this.stepEvent(late, clock);
      if (evaluates) yield* this.evaluateNow(evaluation);
      if (saves) yield* this.save(configHash);
    }
    for (const late of pending.splice(0)) yield await this.stepEvent(late, clock);
    const completed = this.state.step >= totalSteps;
    if (completed && !this.hasEvaluated()) yield* this.evaluateNow(evaluation);
    yield* this.save(configHash);
    yield {
      type: 'end',
      step: this.state.step,
      completed,
      tokens: this.state.tokens,
      tokensPerSecond: clock.report().tokensPerSecond,
      memory: gpu.memory(),
    };
  }

  /** Metrics on the evaluation pairs as the model stands, without the `eval_` prefix. */
  async evaluate(): Promise<Metrics> {
    const reference = this.reference(this.evalPairs);
    let next = await reference.next();
    while (!next.done) next = await reference.next();
    return this.metricsOf(next.value);
  }

  /** What there is to do and what it will need; compiles the kernels. Throws {@link MemoryCapError}. */
  async plan(): Promise<RunPlan> {
    return {
      totalSteps: this.schedule.totalSteps,
      pairs: this.trainPairs.length,
      evalPairs: this.evalPairs.length,
      trainableParameters: this.parameters.count,
      plannedBytes: await planRun(this.context, this.parameters, this.trainPairs, this.config),
    };
  }

  /** Frees what the trainer holds; the adapter stays on the model. */
  dispose(): void {
    this.optimizer.dispose();
    this.vocabularyMean.dispose();
  }

  /** One optimizer step: its micro-batches, then the update. Records everything, waits for nothing. */
  private runStep(step: number, reference: ReferenceLogprobs): PendingStep {
    const examples = examplesOfStep(this.order, step);
    const { perDeviceTrainBatchSize } = this.config;
    const results = [];
    for (let start = 0; start < examples.length; start += perDeviceTrainBatchSize) {
      const batch = pairBatch(
        examples.subarray(start, start + perDeviceTrainBatchSize),
        this.trainPairs,
        reference,
      );
      results.push(runPairs(this.model.gpu, this.context, batch, 1 / examples.length));
    }
    const rate = learningRate(this.schedule, step);
    const norm = this.optimizer.step(step, rate);
    const tokens = results.reduce((sum, result) => sum + result.tokens, 0);
    this.state.step = step;
    this.state.tokens += tokens;
    this.state.numTokens += results.reduce((sum, result) => sum + result.numTokens, 0);
    const { numTokens } = this.state;
    const metrics = Promise.all([Promise.all(results.map((result) => result.metrics)), norm]).then(
      ([parts, gradNorm]) => ({
        ...meanMetrics(parts),
        grad_norm: gradNorm,
        learning_rate: rate,
        num_tokens: numTokens,
      }),
    );
    // A lost device rejects it before anyone waits; whoever waits still gets the error.
    metrics.catch(() => undefined);
    return { step, tokens, metrics };
  }

  private async stepEvent({ step, tokens, metrics }: PendingStep, clock: Clock): Promise<TrainEvent> {
    this.model.gpu.recorder.flush();
    const values = await this.model.gpu.settle(metrics);
    if (!Number.isFinite(values.loss) || !Number.isFinite(values.grad_norm))
      throw new NonFiniteLossError(step, values);
    clock.tick(tokens);
    const entry = { type: 'step', step, epoch: step / stepsPerEpoch(this.order), metrics: values } as const;
    this.state.log.push(entry);
    return { ...entry, totalSteps: this.schedule.totalSteps, ...clock.report() };
  }

  private async *evaluateNow(reference: ReferenceLogprobs): AsyncGenerator<TrainEvent> {
    if (this.evalPairs.length === 0) return;
    const { step } = this.state;
    const metrics = evalMetrics(await this.metricsOf(reference));
    this.state.log.push({ type: 'evaluate', step, metrics });
    yield { type: 'evaluate', step, metrics };
  }

  private metricsOf(reference: ReferenceLogprobs): Promise<Metrics> {
    const { context, evalPairs: pairs, config } = this;
    return evaluatePairs(context, { pairs, reference }, config.perDeviceEvalBatchSize);
  }

  private async *save(configHash: string): AsyncGenerator<TrainEvent> {
    if (!this.options.checkpoint) return;
    await saveRun(this.options.checkpoint, configHash, this.parameters, this.state);
    yield { type: 'checkpoint', step: this.state.step };
  }

  /** The reference is this model with the trained adapter off; with all weights in training, as it stands at step 0. */
  private async *reference(pairs: readonly TokenizedPair[]): AsyncGenerator<TrainEvent, ReferenceLogprobs> {
    const kept = this.references.get(pairs);
    if (kept || pairs.length === 0) return kept ?? [];
    const { model, adapter, options, config } = this;
    if (adapter) adapter.enabled = false;
    try {
      const size = config.perDeviceEvalBatchSize;
      const computed = yield* referenceLogprobs(model, pairs, size, options.referenceCache);
      this.references.set(pairs, computed);
      return computed;
    } finally {
      if (adapter) adapter.enabled = true;
    }
  }

  private get context(): PairStepContext {
    const { beta, labelSmoothing, lossType, gradientCheckpointing } = this.config;
    const objective = PAIRWISE_OBJECTIVES[lossType];
    return {
      model: this.model,
      objective,
      parameters: objectiveParameters(objective, { beta, labelSmoothing }),
      vocabularyMean: this.vocabularyMean,
      gradientCheckpointing,
    };
  }

  private prepare(dataset: PairDataset): readonly TokenizedPair[] {
    const { pairs, notices } = preparePairs(
      dataset,
      this.model,
      this.options.processingClass,
      this.config.maxLength,
    );
    this.notices.push(...notices);
    return pairs;
  }

  private initialAdapter(peftConfig: Partial<LoraConfig> | Adapter): Adapter {
    if ('weights' in peftConfig) return peftConfig;
    const config = resolveLoraConfig(peftConfig);
    return freshAdapter(config, this.model.targets(config.targetModules), this.model.name, this.config.seed);
  }

  private hasEvaluated(): boolean {
    return this.state.log.some((entry) => entry.type === 'evaluate' && entry.step === this.state.step);
  }
}

function isDue(step: number, every: number): boolean {
  return every > 0 && step % every === 0;
}
