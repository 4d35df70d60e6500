/**
 * The training loop that all trainers share, with TRL's names. Reads as the data flows: plan, reference, examples, steps,
 * evaluation, checkpoints. What is minimised on which examples is a {@link Task}; nothing here knows a loss or a source. No
 * step waits for the device: metrics arrive a step or two late, and a loss that is not finite stops the run before a
 * checkpoint could keep it.
 */
import type { CausalLM } from '../model/causal-lm.ts';
import type { LoraAdapter } from '../model/lora.ts';
import { Clock } from './clock.ts';
import { keptActivations, type TrainingConfig } from './config.ts';
import { NonFiniteLossError } from './errors.ts';
import type { Evaluation } from './evaluation.ts';
import type { Metrics, RunPlan, TrainEvent } from './events.ts';
import { evalMetrics, silentMeans, stepMetrics } from './metrics.ts';
import { Optimizer } from './optimizer.ts';
import { largestStep, planRun } from './plan.ts';
import type { Reference } from './reference.ts';
import { referenceFor } from './references.ts';
import { type CompletionScore, completionScores } from './role-scores.ts';
import { castRoles, continues, type Roles } from './roles.ts';
import { learningRate, type Schedule, scheduleOf } from './schedule.ts';
import type { SourcedStep } from './source.ts';
import { loadRun, type RunState, restoreParameters, runHash, saveRun } from './state.ts';
import { countTokens, runBatch, type StepContext } from './step.ts';
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
  private readonly roles: Roles;
  private readonly optimizer: Optimizer;
  private readonly schedule: Schedule;
  private readonly reference: Reference | undefined;
  private state: RunState = { step: 0, tokens: 0, numTokens: 0, log: [] };

  constructor(
    private readonly options: TrainerOptions,
    private readonly task: Task<Config>,
  ) {
    const { model, peftConfig } = options;
    const { config, source, beside } = task;
    this.model = model;
    this.config = config;
    this.notices = task.notices;
    this.roles = castRoles({ model, peftConfig, seed: config.seed, policy: task, beside });
    this.adapter = this.roles.policy.adapter;
    this.optimizer = new Optimizer(model.gpu, this.roles.parameters, config);
    this.reference = this.initialReference();
    this.schedule = scheduleOf(config, source.stepsPerEpoch);
  }

  /** Optimizer steps done so far. */
  get step(): number {
    return this.state.step;
  }

  /** How it is judged, and on what. */
  get evaluation(): Evaluation {
    return this.task.evaluation;
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
    const { source, evaluation } = this.task;
    const { gpu } = model;
    const { parameters } = this.roles;
    const configHash = await runHash(model, parameters, [
      config,
      this.adapter?.config ?? null,
      source.identity,
      evaluation.identity,
      ...(await Promise.all(this.roles.beside.map((role) => role.began()))),
    ]);
    const { totalSteps } = this.schedule;
    let resumed = this.options.checkpoint && (await loadRun(this.options.checkpoint, configHash));
    yield { type: 'start', plan: await this.plan(), resumedFrom: resumed?.state.step };

    if (this.reference) {
      yield* this.reference.prepare(source.ahead(totalSteps) ?? []);
      yield* this.reference.prepare(evaluation.examples);
    }
    if (resumed) {
      restoreParameters(parameters, resumed.checkpoint);
      this.reference?.restore(resumed.checkpoint.tensors);
      source.restore(resumed.state.source);
      this.state = resumed.state;
      // Three numbers for each trained one, which this generator would keep until the run ends.
      resumed = undefined;
    }

    const clock = new Clock(totalSteps - this.state.step);
    const pending: PendingStep[] = [];
    while (this.state.step < totalSteps && !signal?.aborted) {
      if (source.waits) for (const late of pending.splice(0)) yield await this.stepEvent(late, clock);
      const next = this.state.step + 1;
      const sourced = yield* source.step(next, this.context, signal, () => this.keep(configHash));
      if (!sourced) break;
      pending.push(this.runStep(next, sourced));
      await gpu.settle(gpu.recorder.throttle());
      if (pending.length > METRICS_LATE) yield await this.stepEvent(pending.shift() as PendingStep, clock);

      const { step } = this.state;
      const evaluates = isDue(step, config.evalSteps) && step < totalSteps;
      const saves = isDue(step, config.saveSteps) && step < totalSteps;
      if (!evaluates && !saves) continue;
      // A checkpoint keeps only what is known to be finite.
      for (const late of pending.splice(0)) yield await this.stepEvent(late, clock);
      if (evaluates) yield* this.evaluateNow(signal);
      if (saves) yield* this.save(configHash);
    }
    for (const late of pending.splice(0)) yield await this.stepEvent(late, clock);
    const completed = this.state.step >= totalSteps;
    if (completed && !this.hasEvaluated()) yield* this.evaluateNow(signal);
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
    const { evaluation } = this.task;
    for await (const _ of this.reference?.prepare(evaluation.examples) ?? []);
    const running = evaluation.run(this.context);
    for (;;) {
      const { done, value } = await running.next();
      if (done) return value ?? {};
    }
  }

  /** What the policy, as it stands, gives to each completion of the first `most` examples held out. */
  async heldOutScores(most: number): Promise<CompletionScore[]> {
    return completionScores(this.model, this.roles.policy, this.evaluation.examples.slice(0, most), {
      ...this.context,
      batchSize: this.config.perDeviceEvalBatchSize,
    });
  }

  /** What there is to do and what it will need; compiles the kernels. Throws {@link MemoryCapError}. */
  async plan(): Promise<RunPlan> {
    return {
      totalSteps: this.schedule.totalSteps,
      examples: this.task.source.length,
      evalExamples: this.task.evaluation.length,
      trainableParameters: this.roles.parameters.count,
      ...(await planRun(this.context, this.roles.parameters, this.task, this.config)),
    };
  }

  /** Goes through the largest step where the model is on a counting device: a rehearsal may end before it comes to it. */
  rehearseLargestStep(): void {
    largestStep(this.model.gpu, this.context, this.roles.parameters, this.task.source, this.config);
  }

  /** Frees what the trainer holds; the policy's adapter stays on the model. */
  dispose(): void {
    this.optimizer.dispose();
    const { policy, beside } = this.roles;
    for (const { scorer } of [policy, ...beside]) scorer.dispose();
    for (const { adapter } of beside) this.model.detach(adapter);
    this.reference?.dispose();
  }

  /** One optimizer step: its micro-batches, then the update. Records everything, waits for nothing. */
  private runStep(step: number, sourced: SourcedStep): PendingStep {
    const { examples, silent = [], lengths } = sourced;
    const { source, loss } = this.task;
    const { batchSize } = source;
    const all = [...examples, ...silent];
    const results = [];
    for (let start = 0; start < examples.length; start += batchSize) {
      const batch = examples.slice(start, start + batchSize);
      results.push(runBatch(this.model.gpu, this.context, batch, all, lengths));
    }
    const rate = learningRate(this.schedule, step);
    const norm = this.optimizer.step(step, rate);
    this.reference?.stepped(step);
    const tokens = results.reduce((sum, result) => sum + result.tokens, 0);
    this.state.step = step;
    this.state.tokens += tokens;
    this.state.numTokens += countTokens(all, loss.unit);
    const { numTokens } = this.state;
    const metrics = Promise.all([Promise.all(results.map((result) => result.means)), norm]).then(
      ([parts, gradNorm]) => ({
        ...stepMetrics([...parts, silentMeans(loss.metrics, silent, loss.unit)], sourced),
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
    const entry = {
      type: 'step',
      step,
      epoch: step / this.task.source.stepsPerEpoch,
      metrics: values,
    } as const;
    this.state.log.push(entry);
    return { ...entry, totalSteps: this.schedule.totalSteps, ...clock.report() };
  }

  private async *evaluateNow(signal: AbortSignal | undefined): AsyncGenerator<TrainEvent> {
    const { evaluation } = this.task;
    if (evaluation.length === 0) return;
    const { step } = this.state;
    const found = yield* evaluation.run(this.context, signal);
    if (!found) return;
    const metrics = evalMetrics(found);
    this.state.log.push({ type: 'evaluate', step, metrics });
    yield { type: 'evaluate', step, metrics };
  }

  private async *save(configHash: string): AsyncGenerator<TrainEvent> {
    if (!this.options.checkpoint) return;
    await this.keep(configHash);
    yield { type: 'checkpoint', step: this.state.step };
  }

  private async keep(configHash: string): Promise<void> {
    if (!this.options.checkpoint) return;
    const source = this.task.source.save();
    const others = await this.reference?.save();
    await saveRun(
      this.options.checkpoint,
      configHash,
      this.roles.parameters,
      { ...this.state, source },
      others,
    );
  }

  private initialReference(): Reference | undefined {
    const { model, roles, task, options, config } = this;
    const { parameters } = roles;
    const { loss, temperature = 1, reference = referenceFor(task.source.ahead(1) !== undefined) } = task;
    if (!loss.usesReference && !task.source.usesReference) return undefined;
    const { perDeviceEvalBatchSize: batchSize } = config;
    const without = continues(options.peftConfig) ? undefined : this.adapter;
    return reference({ model, parameters, without, batchSize, temperature, cache: options.referenceCache });
  }

  private get context(): StepContext {
    const { model, reference, config } = this;
    const { policy, beside } = this.roles;
    const { scorer, loss } = policy;
    const { filterEps } = config;
    return { model, scorer, loss, reference, kept: keptActivations(config), filterEps, beside };
  }

  private hasEvaluated(): boolean {
    return this.state.log.some((entry) => entry.type === 'evaluate' && entry.step === this.state.step);
  }
}

function isDue(step: number, every: number): boolean {
  return every > 0 && step % every === 0;
}
