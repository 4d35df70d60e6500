/**
 * The training loop that all trainers share, with TRL's names. Reads as the data flows: plan, reference, steps,
 * evaluation, checkpoints. What is minimised on which examples is a {@link Task}; nothing here knows an objective. No step
 * waits for the device: metrics arrive a step or two late, and a loss that is not finite stops the run before a
 * checkpoint could keep it.
 */
import type { TokenizedExample } from '../data/packing.ts';
import { InputError } from '../io/errors.ts';
import type { LoraArgs } from '../io/lora-settings.ts';
import type { Adapter } from '../io/peft.ts';
import { shortNames } from '../io/target-modules.ts';
import type { CausalLM } from '../model/causal-lm.ts';
import { freshAdapter, type LoraAdapter } from '../model/lora.ts';
import type { ParameterStore } from '../tensor/parameters.ts';
import { Clock } from './clock.ts';
import { keptActivations, resolveLoraConfig, type TrainingConfig } from './config.ts';
import { NonFiniteLossError } from './errors.ts';
import { evaluateExamples } from './evaluation.ts';
import type { Metrics, RunPlan, TrainEvent } from './events.ts';
import { VocabularyMean } from './forward.ts';
import { evalMetrics, joinMeans } from './metrics.ts';
import { MovingReference } from './moving-reference.ts';
import { Optimizer } from './optimizer.ts';
import { examplesOfStep, type Order, stepsPerEpoch } from './order.ts';
import { largestStep, planRun } from './plan.ts';
import { CachedReference, type Reference } from './reference.ts';
import { learningRate, type Schedule, scheduleOf } from './schedule.ts';
import { loadRun, type RunState, restoreParameters, runHash, saveRun } from './state.ts';
import { meanTokens, runBatch, type StepContext } from './step.ts';
import type { Task, TrainerOptions } from './task.ts';

/** Steps whose metrics may be on their way. */
const METRICS_LATE = 2;

interface PendingStep {
  step: number;
  tokens: number;
  metrics: Promise<Metrics>;
}

export class Trainer<Config extends TrainingConfig = TrainingConfig> {
  readonly config: Config;
  readonly notices: readonly string[];
  /** The adapter in training; undefined where all weights train. */
  readonly adapter: LoraAdapter | undefined;
  private readonly model: CausalLM;
  private readonly parameters: ParameterStore;
  private readonly optimizer: Optimizer;
  private readonly vocabularyMean: VocabularyMean;
  private readonly order: Order;
  private readonly schedule: Schedule;
  private readonly reference: Reference | undefined;
  private state: RunState = { step: 0, tokens: 0, numTokens: 0, log: [] };

  constructor(
    private readonly options: TrainerOptions,
    private readonly task: Task<Config>,
  ) {
    const { model, peftConfig = {} } = options;
    this.model = model;
    this.config = task.config;
    this.notices = task.notices;
    if (task.train.length === 0)
      throw new InputError('training data', 'has no rows', 'Give at least one row');

    if (peftConfig) this.adapter = model.attach(this.initialAdapter(peftConfig), { trainable: true });
    const parameters = this.adapter?.parameters ?? model.parameters;
    if (!parameters) {
      const wayOut = 'Load it with { trainable: true }, or give a peftConfig';
      throw new InputError(model.name, 'was loaded frozen, and no adapter is asked for', wayOut);
    }
    this.parameters = parameters;
    this.optimizer = new Optimizer(model.gpu, parameters, this.config);
    this.vocabularyMean = new VocabularyMean(model);
    this.reference = this.initialReference();

    const { perDeviceTrainBatchSize, gradientAccumulationSteps, seed, shuffleDataset } = this.config;
    this.order = {
      examples: task.train.length,
      stepSize: perDeviceTrainBatchSize * gradientAccumulationSteps,
      seed,
      shuffle: shuffleDataset && !task.keepsOrder,
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
      this.task.train,
      this.task.evaluation,
    ]);
    const resumed = this.options.checkpoint && (await loadRun(this.options.checkpoint, configHash));
    yield { type: 'start', plan: await this.plan(), resumedFrom: resumed?.state.step };

    if (this.reference) {
      yield* this.reference.prepare(this.examplesInReach());
      yield* this.reference.prepare(this.task.evaluation);
    }
    if (resumed) {
      restoreParameters(this.parameters, resumed.checkpoint);
      this.reference?.restore(resumed.checkpoint.tensors);
      this.state = resumed.state;
    }

    const { totalSteps } = this.schedule;
    const clock = new Clock(totalSteps - this.state.step);
    const pending: PendingStep[] = [];
    while (this.state.step < totalSteps && !signal?.aborted) {
      pending.push(this.runStep(this.state.step + 1));
      await gpu.settle(gpu.recorder.throttle());
      if (pending.length > METRICS_LATE) yield await this.stepEvent(pending.shift() as PendingStep, clock);

      const { step } = this.state;
      const evaluates = isDue(step, config.evalSteps) && step < totalSteps;
      const saves = isDue(step, config.saveSteps) && step < totalSteps;
      if (!evaluates && !saves) continue;
      // A checkpoint keeps only what is known to be finite.
      for (const late of pending.splice(0)) yield await this.stepEvent(late, clock);
      if (evaluates) yield* this.evaluateNow();
      if (saves) yield* this.save(configHash);
    }
    for (const late of pending.splice(0)) yield await this.stepEvent(late, clock);
    const completed = this.state.step >= totalSteps;
    if (completed && !this.hasEvaluated()) yield* this.evaluateNow();
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

  /** Metrics on the evaluation data as the model stands, without the `eval_` prefix. */
  async evaluate(): Promise<Metrics> {
    const preparing = this.reference?.prepare(this.task.evaluation);
    while (preparing && !(await preparing.next()).done);
    return evaluateExamples(this.context, this.task.evaluation, this.config.perDeviceEvalBatchSize);
  }

  /** What there is to do and what it will need; compiles the kernels. Throws {@link MemoryCapError}. */
  async plan(): Promise<RunPlan> {
    return {
      totalSteps: this.schedule.totalSteps,
      examples: this.task.train.length,
      evalExamples: this.task.evaluation.length,
      trainableParameters: this.parameters.count,
      ...(await planRun(this.context, this.parameters, this.task, this.config)),
    };
  }

  /** Goes through the largest step where the model is on a counting device: a rehearsal may end before it comes to it. */
  rehearseLargestStep(): void {
    largestStep(this.model.gpu, this.context, this.parameters, this.task.train, this.config);
  }

  /** Frees what the trainer holds; the adapter stays on the model. */
  dispose(): void {
    this.optimizer.dispose();
    this.vocabularyMean.dispose();
    this.reference?.dispose();
  }

  /** The examples that the run takes: all, unless it is shorter than an epoch. */
  private examplesInReach(): readonly TokenizedExample[] {
    const { train } = this.task;
    const taken = new Set<number>();
    for (let step = 1; step <= this.schedule.totalSteps && taken.size < train.length; step++)
      for (const i of examplesOfStep(this.order, step)) taken.add(i);
    return train.filter((_, i) => taken.has(i));
  }

  /** One optimizer step: its micro-batches, then the update. Records everything, waits for nothing. */
  private runStep(step: number): PendingStep {
    const { train, tokenMeanOverStep } = this.task;
    const examples = [...examplesOfStep(this.order, step)].map((i) => train[i] as TokenizedExample);
    const share = {
      scale: 1 / examples.length,
      ...(tokenMeanOverStep ? { meanTokens: meanTokens(examples) } : {}),
    };
    const { perDeviceTrainBatchSize } = this.config;
    const results = [];
    for (let start = 0; start < examples.length; start += perDeviceTrainBatchSize) {
      const batch = examples.slice(start, start + perDeviceTrainBatchSize);
      results.push(runBatch(this.model.gpu, this.context, batch, share));
    }
    const rate = learningRate(this.schedule, step);
    const norm = this.optimizer.step(step, rate);
    this.reference?.stepped(step);
    const tokens = results.reduce((sum, result) => sum + result.tokens, 0);
    this.state.step = step;
    this.state.tokens += tokens;
    this.state.numTokens += results.reduce((sum, result) => sum + result.numTokens, 0);
    const { numTokens } = this.state;
    const metrics = Promise.all([Promise.all(results.map((result) => result.means)), norm]).then(
      ([parts, gradNorm]) => ({
        ...joinMeans(parts),
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

  private async *evaluateNow(): AsyncGenerator<TrainEvent> {
    if (this.task.evaluation.length === 0) return;
    const { step } = this.state;
    const metrics = evalMetrics(await this.evaluate());
    this.state.log.push({ type: 'evaluate', step, metrics });
    yield { type: 'evaluate', step, metrics };
  }

  private async *save(configHash: string): AsyncGenerator<TrainEvent> {
    if (!this.options.checkpoint) return;
    await saveRun(
      this.options.checkpoint,
      configHash,
      this.parameters,
      this.state,
      await this.reference?.save(),
    );
    yield { type: 'checkpoint', step: this.state.step };
  }

  /**
   * The reference is this model without the trained adapter. Where an adapter is continued, or all weights train, it is the
   * model as it stands before the first step; and there a reference that moves always begins.
   */
  private initialReference(): Reference | undefined {
    const { model, parameters, task, options, config } = this;
    if (!task.loss.usesReference) return undefined;
    if (task.movingReference) return new MovingReference(model, parameters, task.movingReference);
    const { perDeviceEvalBatchSize: batchSize } = config;
    const without = continues(options.peftConfig) ? undefined : this.adapter;
    return new CachedReference(model, { without, batchSize, cache: options.referenceCache });
  }

  private get context(): StepContext {
    const { model, vocabularyMean, task } = this;
    const { filterEps } = this.config;
    const kept = keptActivations(this.config);
    return { model, loss: task.loss, reference: this.reference, vocabularyMean, kept, filterEps };
  }

  private initialAdapter(peftConfig: LoraArgs | Adapter): Adapter {
    if (continues(peftConfig)) return peftConfig;
    const config = resolveLoraConfig(peftConfig, shortNames(this.model.linears.keys()));
    const { name, revision } = this.model;
    const fresh = freshAdapter(config, this.model.targets(config.targetModules), name, this.config.seed);
    return { ...fresh, ...(revision !== undefined && { baseRevision: revision }) };
  }

  private hasEvaluated(): boolean {
    return this.state.log.some((entry) => entry.type === 'evaluate' && entry.step === this.state.step);
  }
}

/** Whether an adapter is given rather than the settings of a new one. */
function continues(peftConfig: TrainerOptions['peftConfig']): peftConfig is Adapter {
  return !!peftConfig && 'weights' in peftConfig;
}

function isDue(step: number, every: number): boolean {
  return every > 0 && step % every === 0;
}
