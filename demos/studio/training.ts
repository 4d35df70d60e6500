/**
 * The tab in which a run is started and watched: what it would learn from, settings with defaults for that much, curves, and the
 * buttons of the run.
 */
import type { Remote } from 'comlink';
import { counted } from '../../src/base/counted.ts';
import { AlignCharts } from '../align/charts.ts';
import { type Action, Controls, type Offer, RUNNING } from '../shared/controls.ts';
import { byId, make, onPress, setText } from '../shared/dom.ts';
import { messageOf } from '../shared/message-of.ts';
import { type Handlers, handle } from './handlers.ts';
import { adapterOf, type PastRun } from './history.ts';
import type { Lesson, ModelFacts, Settings, StagePhase, StudioJob, Update } from './messages.ts';
import { METHOD_NAMES, type MethodName, methodOf } from './methods.ts';
import { policyEvalSteps } from './policy/defaults.ts';
import { NO_REWARD, policyPlanOf } from './policy/plan.ts';
import { PolicyView } from './policy/view.ts';
import { split } from './preferences/split.ts';
import type { PreferenceStore } from './preferences/store.ts';
import { warnings } from './preferences/warnings.ts';
import { StudioProgress } from './progress.ts';
import type { RewardFigures } from './reward/figures.ts';
import { showSamples } from './samples-view.ts';
import { samplingNow } from './sampling.ts';
import { FIELDS } from './settings.ts';
import { defaultsFor, evalStepsOf, stepsOf } from './task.ts';
import { showFields, showLines } from './training-form.ts';

const TRAIN: Offer = { label: 'Train', action: 'start' };
const STOP: Offer = { label: 'Stop' };
/** Steps by which the charts of a run without an end grow. */
const AXIS = 20;
/** Fewer rows teach nothing. */
const FEWEST = 2;

export class Training {
  readonly progress = new StudioProgress();
  private readonly charts = new AlignCharts();
  private readonly policy = new PolicyView();
  private reward: RewardFigures | undefined;
  private readonly controls: Controls<StagePhase, keyof Settings>;
  private readonly method = byId('set-method', HTMLSelectElement);
  private readonly form = byId('settings', HTMLFormElement);
  private model: ModelFacts | undefined;
  private from: PastRun | undefined;
  /** Settings that the person has changed, which the defaults leave alone. */
  private readonly changed = new Set<string>();

  private readonly handlers: Handlers<Update> = {
    phase: (update) => {
      this.controls.enter(update.phase);
      this.progress.enter(update);
      if (update.phase === 'idle') this.charts.begin(1);
      if (update.phase !== 'training') this.policy.quiet();
      this.look();
    },
    run: ({ method, settings, totalSteps, train, heldOut, policy }) => {
      this.method.value = method;
      this.fix(settings);
      this.policy.show(policy !== undefined);
      if (policy) this.policy.goOn(totalSteps, policy);
      else this.charts.goOn(axisOf(totalSteps, train.at(-1)?.step), train, heldOut);
      showLines('advice', []);
    },
    plan: ({ totalSteps, plannedBytes }) => {
      this.charts.setTotal(axisOf(totalSteps));
      this.policy.setTotal(totalSteps);
      this.progress.plan(totalSteps, plannedBytes);
    },
    progress: ({ done, total }) => this.progress.share(done, total),
    optimum: ({ optimum, point }) => this.policy.measured(optimum, point),
    writing: ({ step, share }) => this.policy.progress(step, share),
    steps: ({ points, policy, pace }) => {
      if (!Number.isFinite(pace.totalSteps)) this.charts.setTotal(axisOf(pace.totalSteps, pace.step));
      for (const point of points) this.charts.addPoint('train', point);
      this.policy.steps(policy);
      this.progress.pace(pace);
    },
    heldOut: ({ point }) => this.charts.addPoint('held', point),
    policyHeldOut: ({ point }) => this.policy.heldOut(point),
    samples: ({ samples }) => showSamples(samples),
    online: () => {},
    advice: ({ lines }) => showLines('advice', lines),
    notice: ({ text }) => this.progress.note(text),
    failed: ({ message }) => this.progress.complain(message),
  };

  constructor(
    private readonly job: () => Remote<StudioJob> | undefined,
    private readonly store: PreferenceStore,
  ) {
    this.controls = new Controls<StagePhase, keyof Settings>(
      FIELDS,
      {
        loading: [{ label: 'Train' }, STOP],
        idle: [TRAIN, STOP],
        done: [TRAIN, { label: 'Discard', action: 'discard' }],
        failed: [TRAIN, STOP],
        reference: RUNNING,
        optimum: RUNNING,
        picking: RUNNING,
      },
      (action) => this.act(action),
    );
    this.method.append(
      ...METHOD_NAMES.map((name) => {
        const option = make('option', '', methodOf(name).label);
        option.value = name;
        return option;
      }),
    );
    this.method.addEventListener('change', () => {
      // Its fields mean something else where it learns while its person picks.
      this.changed.clear();
      this.changed.add('method');
      this.look();
    });
    this.form.addEventListener('input', (event) => {
      const { name } = event.target as HTMLInputElement;
      this.changed.add(name);
      this.sayPlan();
    });
    onPress(byId('go-on-not', HTMLButtonElement), () => this.goOnFrom(undefined));
    store.subscribe(() => this.look());
  }

  ready(model: ModelFacts): void {
    this.model = model;
    this.look();
  }

  /** The next run continues from the adapter of this one, with its settings. */
  goOnFrom(run: PastRun | undefined): void {
    if (run && byId('fields', HTMLFieldSetElement).disabled) {
      this.progress.complain('End or discard the current run before you continue another one.');
      return;
    }
    this.from = run;
    byId('go-on', HTMLElement).hidden = run === undefined;
    if (!run) return;
    setText(
      byId('go-on-text', HTMLElement),
      `The next run continues from the adapter of ${run.name} and keeps its rank of ${run.settings.r}.`,
    );
    this.method.value = run.method;
    this.fix(run.settings);
    this.look();
  }

  /** The reward model of the picks that there is now. */
  setReward(figures: RewardFigures | undefined): void {
    this.reward = figures;
    this.progress.withdraw();
    this.look();
  }

  /** The next run is one against the reward model, with its defaults. */
  chooseReward(): void {
    if (byId('fields', HTMLFieldSetElement).disabled) {
      this.progress.complain('End or discard the current run before you start another one.');
      return;
    }
    this.method.value = 'rloo';
    this.method.dispatchEvent(new Event('change'));
  }

  /** Starts a run that learns while its person picks, so many at a time. */
  async beginOnline(picks: number): Promise<void> {
    if (this.chosen() !== 'online') {
      this.method.value = 'online';
      this.method.dispatchEvent(new Event('change'));
    }
    this.field('perDeviceTrainBatchSize').value = String(picks);
    this.changed.add('perDeviceTrainBatchSize');
    await this.act('start');
  }

  /** The worker has ended. */
  leave(): void {
    this.controls.leave();
  }

  show(update: Update): void {
    handle(this.handlers, update);
  }

  private async act(action: Action): Promise<void> {
    const job = this.job();
    if (!job) return;
    try {
      if (action !== 'start') return await job[action]();
      const settings = this.controls.read();
      if (!settings) return;
      const { train, heldOut } = split(this.store.all());
      const method = this.chosen();
      const { row, count, isOnline, isPolicy } = methodOf(method);
      const rows = count(train);
      if (isPolicy && !this.reward) return this.progress.complain(NO_REWARD);
      if (!isOnline && rows < (isPolicy ? 1 : FEWEST)) {
        const what = `There is ${counted(rows, row)} to learn from. Pick at least ${FEWEST} on the tab Collect first.`;
        return this.progress.complain(what);
      }
      const learned = isOnline ? [] : train;
      await job.start({ method, train: learned, heldOut, ...(await this.beginning(settings)) });
      this.goOnFrom(undefined);
    } catch (error) {
      this.progress.complain(messageOf(error));
    }
  }

  /** The settings of the next run, and the adapter that it continues from. */
  private async beginning(settings: Settings): Promise<Pick<Lesson, 'settings' | 'start'>> {
    if (!this.from) return { settings };
    const start = await adapterOf(this.from);
    if (!start)
      throw new Error(`${this.from.name} was deleted. Choose another run, or start with a new adapter.`);
    return { settings: { ...settings, r: this.from.settings.r }, start };
  }

  /** The form holds these settings, which defaults leave alone. A run of an earlier version has fewer. */
  private fix(settings: Settings): void {
    this.controls.show({ ...this.defaults(), ...settings });
    for (const name of [...FIELDS, 'method']) this.changed.add(name);
  }

  private defaults(): Settings {
    const rows = methodOf(this.chosen()).count(split(this.store.all()).train);
    const { maxNewTokens } = samplingNow();
    const draftLength = maxNewTokens > 0 ? maxNewTokens : undefined;
    const about = { spread: this.reward?.spread, draftLength };
    return defaultsFor(rows, this.model?.parameters ?? 0, this.chosen(), about);
  }

  /** What there is to learn from now, with defaults for that much. */
  private look(): void {
    // Thumbs alone make no pair.
    if (!this.changed.has('method')) this.method.value = this.hasThumbsAlone() ? 'kto' : 'dpo';
    const { meaning } = methodOf(this.chosen());
    setText(byId('method-meaning', HTMLElement), meaning);
    showFields(this.form, this.chosen());
    if (!byId('fields', HTMLFieldSetElement).disabled && this.model) {
      const defaults = this.defaults();
      for (const name of FIELDS) {
        if (!this.changed.has(name)) this.field(name).value = String(defaults[name]);
      }
    }
    this.sayPlan();
    this.warn();
  }

  private hasThumbsAlone(): boolean {
    const all = this.store.all();
    return methodOf('dpo').count(all) === 0 && methodOf('kto').count(all) > 0;
  }

  private sayPlan(): void {
    const { isOnline, isPolicy } = methodOf(this.chosen());
    const plan = isOnline ? this.onlinePlan() : isPolicy ? this.policyPlan() : this.plan();
    setText(byId('plan', HTMLElement), plan);
  }

  private policyPlan(): string {
    const { count } = methodOf('rloo');
    const { train, heldOut } = split(this.store.all());
    const value = (name: keyof Settings) => this.field(name).valueAsNumber;
    const steps = value('maxSteps');
    if (!this.changed.has('evalSteps') && steps > 0)
      this.field('evalSteps').value = String(policyEvalSteps(steps));
    return policyPlanOf({
      prompts: count(train),
      heldOut: count(heldOut),
      steps,
      batch: value('perDeviceTrainBatchSize'),
      generations: value('numGenerations'),
      hasReward: this.reward !== undefined,
      isOwnBeta: this.changed.has('beta'),
    });
  }

  private onlinePlan(): string {
    const picks = counted(this.field('perDeviceTrainBatchSize').valueAsNumber, 'pick');
    return `A learning step after every ${picks} on the tab Collect, for as long as you pick. Picks on held-out prompts are kept for evaluation.`;
  }

  private plan(): string {
    const { row, count } = methodOf(this.chosen());
    const { train, heldOut } = split(this.store.all());
    const [rows, held] = [count(train), count(heldOut)];
    const settings = Object.fromEntries(FIELDS.map((name) => [name, this.field(name).valueAsNumber]));
    const steps = stepsOf(rows, settings as unknown as Settings);
    if (!this.changed.has('evalSteps') && Number.isFinite(steps))
      this.field('evalSteps').value = String(evalStepsOf(steps));
    const learned = `${counted(rows, row)} to learn from, ${held} held out by their prompts to check on`;
    const ahead = rows >= FEWEST && Number.isFinite(steps) ? `: ${counted(steps, 'step')}` : '';
    return `${learned}${ahead}.`;
  }

  private warn(): void {
    showLines(
      'warnings',
      this.store.all().length > 0 ? warnings(this.store.all()).map(({ text }) => text) : [],
    );
  }

  private chosen(): MethodName {
    return METHOD_NAMES.find((name) => name === this.method.value) ?? 'dpo';
  }

  private field(name: keyof Settings): HTMLInputElement {
    return this.form.elements.namedItem(name) as HTMLInputElement;
  }
}

/** Width of the charts in steps: the length of the run, or slightly more than the steps so far if the run has no end. */
const axisOf = (totalSteps: number, step = 0): number =>
  Number.isFinite(totalSteps) ? totalSteps : AXIS * Math.ceil((step + 1) / AXIS);
