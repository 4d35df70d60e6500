/**
 * Direct preference optimisation of a model's adapter, or of all its weights, with TRL's names and defaults. Reads as
 * the data flows: plan, reference, steps, evaluation, checkpoints. No step waits for the device: metrics arrive a step or
 * two late, and a loss that is not finite stops the run before a checkpoint could keep it.
 */
import type { TokenizedPair } from '../data/packing.ts';
import type { PreferenceRow } from '../data/preference-dataset.ts';
import { tokenizePairs } from '../data/tokenize-pairs.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { MemoryCapError } from '../gpu/errors.ts';
import type { CheckpointStore } from '../io/checkpoint.ts';
import { InputError } from '../io/errors.ts';
import { contentHash } from '../io/hash.ts';
import type { Adapter, LoraConfig } from '../io/peft.ts';
import type { ReferenceCache } from '../io/reference-cache.ts';
import type { CausalLM } from '../model/causal-lm.ts';
import { freshAdapter, type LoraAdapter } from '../model/lora.ts';
import { objectiveParameters, PAIRWISE_OBJECTIVES } from '../objectives/catalogue.ts';
import type { ParameterStore } from '../tensor/parameters.ts';
import { type DPOConfig, resolveDPOConfig, resolveLoraConfig } from './config.ts';
import { NonFiniteLossError } from './errors.ts';
import type { Metrics, RunPlan, TrainEvent } from './events.ts';
import { VocabularyMean } from './forward.ts';
import { evalMetrics, meanMetrics } from './metrics.ts';
import { Optimizer } from './optimizer.ts';
import { examplesOfStep, type Order, stepsPerEpoch } from './order.ts';
import { type PairBatch, type PairStepContext, runPairs } from './pair-step.ts';
import { type ReferenceLogprobs, referenceLogprobs } from './reference.ts';
import { learningRate, type Schedule } from './schedule.ts';
import { loadRun, type RunState, restoreParameters, saveRun } from './state.ts';

/** Steps whose metrics may be on their way. */
const METRICS_LATE = 2;

export interface DPOTrainerOptions {
  model: CausalLM;
  /** Settings; TRL's defaults for what is left out. */
  args?: Partial<DPOConfig>;
  /** Rows as read, or token ids. */
  trainDataset: readonly PreferenceRow[] | readonly TokenizedPair[];
  evalDataset?: readonly PreferenceRow[] | readonly TokenizedPair[];
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
  private state: RunState = { step: 0, tokens: 0, numTokens: 0, log: [] };

  constructor(private readonly options: DPOTrainerOptions) {
    const { model, args = {}, peftConfig = {} } = options;
    this.model = model;
    this.config = resolveDPOConfig(args, {
      lora: peftConfig !== null,
      lossTypes: Object.keys(PAIRWISE_OBJECTIVES),
    });
    this.trainPairs = this.tokenize(options.trainDataset);
    this.evalPairs = this.tokenize(options.evalDataset ?? []);
    if (this.trainPairs.length === 0)
      throw new InputError('training data', 'has no rows', 'Give at least one pair');
    checkIds([...this.trainPairs, ...this.evalPairs], model);

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
    this.schedule = this.makeSchedule();
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
    const configHash = await this.configHash();
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
      tokensPerSecond: clock.tokensPerSecond,
      memory: gpu.memory(),
    };
  }

  /** Metrics on the evaluation pairs as the model stands, without the `eval_` prefix. */
  async evaluate(): Promise<Metrics> {
    const reference = this.reference(this.evalPairs);
    let next = await reference.next();
    while (!next.done) next = await reference.next();
    return this.evaluatePairs(next.value);
  }

  /** What the run will hold at most, and how much of it there is to do; compiles the kernels it will use. */
  async plan(): Promise<RunPlan> {
    const { model, config } = this;
    const counting = model.gpu.countingCopy();
    const size = (pair: TokenizedPair) => pair.prompt.length + pair.chosen.length + pair.rejected.length;
    const largest = [...this.trainPairs]
      .sort((a, b) => size(b) - size(a))
      .slice(0, config.perDeviceTrainBatchSize);
    const reference = largest.map((pair) => new Float32Array(pair.chosen.length + pair.rejected.length));
    runPairs(counting, this.context, { pairs: largest, reference }, 1);
    new Optimizer(counting, this.parameters, config).step(1, 0);
    const plannedBytes = model.gpu.memory().live + counting.memory().peak;
    const { cap } = model.gpu.pool;
    if (plannedBytes > cap) throw new MemoryCapError(plannedBytes, cap, 'Training');
    await model.gpu.compile(counting.wantedPipelines);
    return {
      totalSteps: this.schedule.totalSteps,
      pairs: this.trainPairs.length,
      evalPairs: this.evalPairs.length,
      trainableParameters: this.parameters.count,
      plannedBytes,
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
      const batch = take(
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
    const epoch = step / stepsPerEpoch(this.order);
    clock.tick(tokens);
    this.state.log.push({ type: 'step', step, epoch, metrics: values });
    const { tokensPerSecond, secondsLeft } = clock;
    return {
      type: 'step',
      step,
      totalSteps: this.schedule.totalSteps,
      epoch,
      metrics: values,
      tokensPerSecond,
      secondsLeft,
    };
  }

  private async *evaluateNow(reference: ReferenceLogprobs): AsyncGenerator<TrainEvent> {
    if (this.evalPairs.length === 0) return;
    const { step } = this.state;
    const metrics = evalMetrics(await this.evaluatePairs(reference));
    this.state.log.push({ type: 'evaluate', step, metrics });
    yield { type: 'evaluate', step, metrics };
  }

  private async evaluatePairs(reference: ReferenceLogprobs): Promise<Metrics> {
    const { gpu } = this.model;
    const { perDeviceEvalBatchSize } = this.config;
    const all = Uint32Array.from(this.evalPairs, (_, i) => i);
    const parts = [];
    for (let start = 0; start < all.length; start += perDeviceEvalBatchSize) {
      const batch = take(all.subarray(start, start + perDeviceEvalBatchSize), this.evalPairs, reference);
      const { metrics } = runPairs(gpu, this.context, batch);
      metrics.catch(() => undefined);
      await gpu.settle(gpu.recorder.throttle());
      parts.push(metrics);
    }
    return meanMetrics(await gpu.settle(Promise.all(parts)));
  }

  private async *save(configHash: string): AsyncGenerator<TrainEvent> {
    if (!this.options.checkpoint) return;
    await saveRun(this.options.checkpoint, configHash, this.parameters, this.state);
    yield { type: 'checkpoint', step: this.state.step };
  }

  /** The reference is this model with the trained adapter off; with all weights in training, as it stands at step 0. */
  private async *reference(pairs: readonly TokenizedPair[]): AsyncGenerator<TrainEvent, ReferenceLogprobs> {
    if (pairs.length === 0) return [];
    const { model, adapter, vocabularyMean, options, config } = this;
    if (adapter) adapter.enabled = false;
    try {
      const size = config.perDeviceEvalBatchSize;
      return yield* referenceLogprobs(model, pairs, size, vocabularyMean, options.referenceCache);
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

  private makeSchedule(): Schedule {
    const {
      maxSteps,
      numTrainEpochs,
      warmupSteps,
      warmupRatio,
      lrSchedulerType,
      learningRate: peak,
    } = this.config;
    const totalSteps = maxSteps > 0 ? maxSteps : Math.ceil(numTrainEpochs * stepsPerEpoch(this.order));
    const warmup = warmupSteps > 0 ? warmupSteps : Math.ceil(warmupRatio * totalSteps);
    return { type: lrSchedulerType, peak, warmupSteps: warmup, totalSteps };
  }

  private tokenize(rows: readonly PreferenceRow[] | readonly TokenizedPair[]): readonly TokenizedPair[] {
    if (
      rows.length === 0 ||
      (Array.isArray((rows[0] as TokenizedPair).prompt) &&
        typeof (rows[0] as TokenizedPair).prompt[0] === 'number')
    ) {
      return rows as readonly TokenizedPair[];
    }
    const { processingClass } = this.options;
    if (!processingClass)
      throw new InputError('training data', 'is text, and no tokenizer was given', 'Give a processingClass');
    const maxLength = Math.min(this.config.maxLength, this.model.config.maxPositionEmbeddings);
    const { pairs, notices } = tokenizePairs(rows as readonly PreferenceRow[], processingClass, {
      maxLength,
    });
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

  private async configHash(): Promise<string> {
    const { adapter, model, config, trainPairs, evalPairs } = this;
    const parameters = [...this.parameters.tensors].map(([name, tensor]) => [name, tensor.shape]);
    const about = { config, lora: adapter?.config ?? null, parameters };
    return contentHash(
      model.fingerprint,
      JSON.stringify(about),
      JSON.stringify(trainPairs),
      JSON.stringify(evalPairs),
    );
  }
}

/** Tokens per second and time left, from the steps that have arrived. */
class Clock {
  private readonly started = performance.now();
  private tokens = 0;
  private steps = 0;

  constructor(private readonly totalSteps: number) {}

  tick(tokens: number): void {
    this.tokens += tokens;
    this.steps++;
  }

  get tokensPerSecond(): number {
    return this.tokens === 0 ? 0 : this.tokens / this.seconds;
  }

  get secondsLeft(): number {
    return (this.seconds / Math.max(1, this.steps)) * (this.totalSteps - this.steps);
  }

  private get seconds(): number {
    return (performance.now() - this.started) / 1000;
  }
}

function isDue(step: number, every: number): boolean {
  return every > 0 && step % every === 0;
}

function take(
  examples: Uint32Array,
  pairs: readonly TokenizedPair[],
  reference: ReferenceLogprobs,
): PairBatch {
  const chosen = [...examples];
  return { pairs: chosen.map((i) => pairs[i]), reference: chosen.map((i) => reference[i]) };
}

/** Ids that the model has no row for would read past the end of its embedding. */
function checkIds(pairs: readonly TokenizedPair[], { config, name }: CausalLM): void {
  pairs.forEach(({ prompt, chosen, rejected }, i) => {
    for (const ids of [prompt, chosen, rejected]) {
      const bad = ids.find((id) => id >= config.vocabSize || id < 0);
      if (bad === undefined) continue;
      const what = `token id ${bad} is not in the vocabulary of ${name}, which has ${config.vocabSize} entries`;
      throw new InputError(`pair ${i + 1}`, what, 'Use the tokenizer that belongs to the model');
    }
    const longest = prompt.length + Math.max(chosen.length, rejected.length);
    if (longest > config.maxPositionEmbeddings) {
      const what = `has ${longest} tokens, the model has positions for ${config.maxPositionEmbeddings}`;
      throw new InputError(`pair ${i + 1}`, what, 'Lower maxLength');
    }
  });
}
