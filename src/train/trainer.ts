/**
 * The training loop shared by all trainers, with TRL's names. Reads in the order of the data flow: plan, reference, examples, steps,
 * evaluation, checkpoints. A {@link Task} defines the loss and the examples; this file depends on no loss and no source. No
 * step waits for the device: metrics arrive a step or two late, and a non-finite loss stops the run before a
 * checkpoint could save it.
 */
import { resultOf } from '../base/result-of.ts';
import type { TokenizedExample } from '../data/packing.ts';
import type { CausalLM } from '../model/causal-lm.ts';
import type { LoraAdapter } from '../model/lora.ts';
import { Clock } from './clock.ts';
import { NonFiniteLossError } from './errors.ts';
import type { Evaluation } from './evaluation.ts';
import type { Metrics, RunPlan, TrainEvent } from './events.ts';
import { areFinite, lateMetrics, METRICS_LATE, metricsOf, type PendingStep } from './late-steps.ts';
import { evalMetrics } from './metrics.ts';
import { Optimizer } from './optimizer.ts';
import { type PlannedRun, planRun, type RunRehearsal, rehearseRun } from './plan.ts';
import type { Reference } from './references/reference.ts';
import { beginReference, dueOf, dueUnless, isAhead, referenceOf } from './references/references.ts';
import { identityOf, type RunIdentity } from './resume.ts';
import { type CompletionScore, completionScores } from './role-scores.ts';
import { castRoles, continues, type Roles } from './roles.ts';
import { isDue, learningRate, type Schedule, scheduleOf } from './schedule.ts';
import { keptActivations, type TrainingConfig } from './settings/trainer.ts';
import type { SourcedStep } from './source.ts';
import { loadRun, owesEvaluation, positionOf, type RunState, restoreParameters, saveRun } from './state.ts';
import { countTokens, givesFiniteLoss, microBatches, runBatch, type StepContext } from './step.ts';
import type { Task, TrainerOptions } from './training-task.ts';

export class Trainer<Config extends TrainingConfig = TrainingConfig> {
  readonly config: Config;
  readonly notices: readonly string[];
  /** The adapter in training; undefined if all weights train. */
  readonly adapter: LoraAdapter | undefined;
  private readonly model: CausalLM;
  private readonly roles: Roles;
  private readonly optimizer: Optimizer;
  private readonly schedule: Schedule;
  private readonly reference: Reference | undefined;
  private state: RunState = { step: 0, tokens: 0, numTokens: 0, log: [], changes: [] };
  /** The step of the checkpoint in the store. */
  private keptStep: number | undefined;
  private pending: PendingStep[] = [];
  /** Examples of the last step that is known to be finite. */
  private sound: readonly TokenizedExample[] = [];

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
    this.reference = referenceOf(task, {
      model,
      parameters: this.roles.parameters,
      without: continues(peftConfig) ? undefined : this.adapter,
      batchSize: config.perDeviceEvalBatchSize,
      cache: options.referenceCache,
    });
    this.schedule = scheduleOf(config, source.stepsPerEpoch);
  }

  /** Completed optimizer steps. */
  get step(): number {
    return this.state.step;
  }

  /** How the run is evaluated, and on which data. */
  get evaluation(): Evaluation {
    return this.task.evaluation;
  }

  /** Settings that were changed when it resumed. */
  get changes(): RunState['changes'] {
    return this.state.changes;
  }

  /** All steps and evaluations so far, including those before a resume (TRL's `state.log_history`). */
  get logHistory(): RunState['log'] {
    return this.state.log;
  }

  /**
   * Trains and yields events. A signal stops it after the current step, with a checkpoint. If there is a checkpoint,
   * the run continues from it, bit for bit. Throws `InputError` for a checkpoint of another run,
   * `MemoryCapError` before training, {@link NonFiniteLossError}, and the device's errors.
   */
  async *train(options: { signal?: AbortSignal } = {}): AsyncGenerator<TrainEvent> {
    const { pool } = this.model.gpu;
    const before = pool.budget;
    try {
      yield* this.run(options);
    } catch (error) {
      throw error instanceof NonFiniteLossError ? await this.afterNonFinite(error) : error;
    } finally {
      pool.budget = before;
    }
  }

  private async *run({ signal }: { signal?: AbortSignal }): AsyncGenerator<TrainEvent> {
    const { config } = this;
    const { source } = this.task;
    const { gpu } = this.model;
    const identity = await this.identity();
    const { totalSteps } = this.schedule;
    let resumed = this.options.checkpoint && (await loadRun(this.options.checkpoint, identity, totalSteps));
    const plan = await this.plan();
    gpu.pool.budget = plan.plannedBytes;
    // If sampling takes turns with training, each releases its buffers.
    if (!source.waits) gpu.pool.reserve(this.rehearse().largest.buffers);
    yield { type: 'start', plan, resumedFrom: resumed?.state.step, changed: resumed?.changed ?? [] };

    const known = [source.ahead(totalSteps) ?? [], this.evaluation.examples];
    yield* beginReference(this.reference, known, isAhead(this.task, totalSteps));
    if (resumed) {
      restoreParameters(this.roles.parameters, resumed.checkpoint);
      this.reference?.restore(resumed.checkpoint.tensors);
      source.restore(resumed.state.source);
      this.state = resumed.state;
      this.keptStep = resumed.state.step;
      // Three numbers per trained weight, which this generator would otherwise keep until the run ends.
      resumed = undefined;
    }

    const clock = new Clock(totalSteps - this.state.step);
    if (owesEvaluation(this.state, config, totalSteps)) yield* this.evaluateNow(signal);
    while (this.state.step < totalSteps && !signal?.aborted) {
      if (source.waits) yield* this.told(clock);
      const next = this.state.step + 1;
      const sourced = yield* source.step(next, this.context, signal, () => this.keep(identity));
      if (!sourced) break;
      yield* dueOf(this.reference, sourced.examples);
      this.pending.push(this.runStep(next, sourced));
      await gpu.settle(gpu.recorder.throttle());
      yield* this.told(clock, METRICS_LATE);

      const evaluates = owesEvaluation(this.state, config, totalSteps);
      const saves = isDue(this.state.step, config.saveSteps) && this.state.step < totalSteps;
      if (!evaluates && !saves) continue;
      // A checkpoint only contains weights that are known to be finite.
      yield* this.told(clock);
      if (evaluates) yield* this.evaluateNow(signal);
      if (saves) yield* this.save(identity);
    }
    yield* this.told(clock);
    const completed = this.state.step >= totalSteps;
    if (completed && owesEvaluation(this.state, config, totalSteps)) yield* this.evaluateNow(signal);
    yield* this.save(identity);
    yield {
      type: 'end',
      step: this.state.step,
      completed,
      tokens: this.state.tokens,
      tokensPerSecond: clock.report().tokensPerSecond,
      memory: gpu.memory(),
    };
  }

  /** Metrics of the current model on the evaluation data, without the `eval_` prefix. */
  async evaluate(): Promise<Metrics> {
    for await (const _ of this.reference?.prepare(this.evaluation.examples) ?? []);
    return (await resultOf(this.evaluation.run(this.context))) ?? {};
  }

  /** The current policy's scores of the completions of the first `most` held-out examples. */
  async heldOutScores(most: number): Promise<CompletionScore[]> {
    return completionScores(this.model, this.roles.policy, this.evaluation.examples.slice(0, most), {
      ...this.context,
      batchSize: this.config.perDeviceEvalBatchSize,
    });
  }

  /** The amount of work and its memory; compiles the kernels. Throws `MemoryCapError`. */
  async plan(): Promise<RunPlan> {
    return {
      totalSteps: this.schedule.totalSteps,
      examples: this.task.source.length,
      evalExamples: this.task.evaluation.length,
      trainableParameters: this.roles.parameters.count,
      ...(await planRun(this.planned)),
    };
  }

  /** The memory that it will need, by part. */
  rehearse(): RunRehearsal {
    return rehearseRun(this.planned);
  }

  /** Frees the trainer's memory; the policy's adapter stays on the model. */
  dispose(): void {
    this.optimizer.dispose();
    const { policy, beside } = this.roles;
    for (const { scorer } of [policy, ...beside]) scorer.dispose();
    for (const { adapter } of beside) this.model.detach(adapter);
    this.reference?.dispose();
  }

  /** One optimizer step: its micro-batches, then the update. Records everything and waits for nothing. */
  private runStep(step: number, sourced: SourcedStep): PendingStep {
    const { examples, silent = [], lengths } = sourced;
    const { source, loss } = this.task;
    const all = [...examples, ...silent];
    const parts = microBatches(examples, source.batchSize);
    const results = parts.map((part) => runBatch(this.model.gpu, this.context, part, all, lengths));
    const rate = learningRate(this.schedule, step);
    const norm = this.optimizer.step(step, rate);
    this.reference?.stepped(step);
    const tokens = results.reduce((sum, result) => sum + result.tokens, 0);
    const before = positionOf(this.state);
    const numTokens = before.numTokens + countTokens(all, loss.unit);
    const after = { step, tokens: before.tokens + tokens, numTokens };
    Object.assign(this.state, after);
    const metrics = lateMetrics(loss, sourced, {
      means: results.map(({ means }) => means),
      norm,
      rate,
      numTokens,
    });
    return { step, tokens, metrics, first: parts[0] ?? [], before, after };
  }

  /** Reports the steps whose metrics are due, all but the last `late` ones. */
  private async *told(clock: Clock, late = 0): AsyncGenerator<TrainEvent> {
    while (this.pending.length > late) {
      const pending = this.pending[0];
      const metrics = await metricsOf(this.model.gpu, pending);
      if (!areFinite(metrics)) throw new NonFiniteLossError(pending.step, metrics);
      this.pending.shift();
      clock.tick(pending.tokens);
      yield { ...this.logged(pending, metrics), totalSteps: this.schedule.totalSteps, ...clock.report() };
    }
  }

  private logged({ step, first }: PendingStep, metrics: Metrics) {
    const epoch = step / this.task.source.stepsPerEpoch;
    const entry = { type: 'step', step, epoch, metrics } as const;
    this.state.log.push(entry);
    this.sound = first.length > 0 ? first : this.sound;
    return entry;
  }

  /**
   * The weights are those before the failed step, including later finite steps. They are saved if they still give a
   * finite loss on the last finite examples; if not, an older checkpoint remains.
   */
  private async afterNonFinite({ step, metrics }: NonFiniteLossError): Promise<NonFiniteLossError> {
    const [failed, ...later] = this.pending;
    Object.assign(this.state, failed?.before);
    for (const pending of later) {
      const found = await metricsOf(this.model.gpu, pending);
      if (!areFinite(found)) continue;
      Object.assign(this.state, pending.after);
      this.logged(pending, found);
    }
    this.pending = [];
    const isSound = this.sound.length > 0 && (await givesFiniteLoss(this.context, this.sound));
    if (isSound && this.options.checkpoint) await this.keep(await this.identity());
    return new NonFiniteLossError(step, metrics, this.keptStep);
  }

  private identity(): Promise<RunIdentity> {
    const { model, adapter, config, roles, task } = this;
    return identityOf({ model, adapter, config, roles, task });
  }

  private async *evaluateNow(signal: AbortSignal | undefined): AsyncGenerator<TrainEvent> {
    if (this.evaluation.length === 0) return;
    const { step } = this.state;
    if (!(yield* dueUnless(signal, this.reference, this.evaluation.examples))) return;
    const found = yield* this.evaluation.run(this.context, signal);
    if (!found) return;
    const metrics = evalMetrics(found);
    this.state.log.push({ type: 'evaluate', step, metrics });
    yield { type: 'evaluate', step, metrics };
  }

  private async *save(identity: RunIdentity): AsyncGenerator<TrainEvent> {
    if (!this.options.checkpoint) return;
    const { step } = this.state;
    // The step's own loss was computed before its update.
    if (this.sound.length > 0 && !(await givesFiniteLoss(this.context, this.sound)))
      throw new NonFiniteLossError(step + 1, { loss: Number.NaN, grad_norm: Number.NaN });
    await this.keep(identity);
    yield { type: 'checkpoint', step };
  }

  private async keep(identity: RunIdentity): Promise<void> {
    if (!this.options.checkpoint) return;
    const state = { ...this.state, source: this.task.source.save() };
    await saveRun(
      this.options.checkpoint,
      identity,
      this.roles.parameters,
      state,
      await this.reference?.save(),
    );
    this.keptStep = state.step;
  }

  private get planned(): PlannedRun {
    const { context, roles, task, config, schedule } = this;
    return { context, parameters: roles.parameters, task, config, totalSteps: schedule.totalSteps };
  }

  private get context(): StepContext {
    const { model, reference, config } = this;
    const { policy, beside } = this.roles;
    const { scorer, loss } = policy;
    const { filterEps } = config;
    return { model, scorer, loss, reference, kept: keptActivations(config), filterEps, beside };
  }
}
