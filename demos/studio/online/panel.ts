/**
 * "Learn as I pick" on the tab Collect: the switch, what the run has come to, and the step back. Hands the worker the judgments
 * whenever they change; which of them a step learns from is decided there.
 */
import type { Remote } from 'comlink';
import { counted } from '../../../src/base/counted.ts';
import { byId, onPress, setText, setUsable } from '../../shared/dom.ts';
import { messageOf } from '../../shared/message-of.ts';
import type { PhaseUpdate } from '../../shared/run-job.ts';
import type { Phase, StudioJob } from '../messages.ts';
import type { PreferenceStore } from '../preferences/store.ts';
import { picksPerMinute } from './pace.ts';
import type { OnlineState } from './state.ts';

/** Phases in which a switched-on run can be switched off. */
const ON: readonly Phase[] = ['reference', 'picking', 'training', 'pausing'];
/** Phases in which a run can begin. */
const FREE: readonly Phase[] = ['idle', 'done', 'failed'];
/** Phases in which a run that was begun online goes on. */
const WAITING: readonly Phase[] = ['paused', 'kept'];

const OFF = 'The current model writes the drafts, and learns from each few picks as you make them.';
const BUSY = 'Another run is under way. Stop it on the tab Train first.';

/** What the panel asks of the page. */
export interface OnlineActions {
  job(): Remote<StudioJob> | undefined;
  store: PreferenceStore;
  /** Starts a run that learns after so many picks. */
  begin(picks: number): Promise<void>;
  /** New drafts of the prompt on the page. */
  write(): void;
  /** Draws drafts from the whole distribution while it is on: otherwise they are not samples of the model. */
  lock(isOn: boolean): void;
  complain(text: string): void;
}

export class OnlinePanel {
  private readonly toggle = byId('online-switch', HTMLInputElement);
  private readonly batch = byId('online-batch', HTMLInputElement);
  private readonly back = byId('online-back', HTMLButtonElement);
  private readonly text = byId('online-text', HTMLElement);
  private phase: Phase | undefined;
  private startedAt = 0;
  /** Whether the run of the page is an online one. */
  private isOnline = false;
  private state: OnlineState | undefined;
  /** How the switch was set, until the worker has taken the order. */
  private wanted: boolean | undefined;
  private offering: Promise<void> = Promise.resolve();

  constructor(private readonly actions: OnlineActions) {
    this.toggle.addEventListener('change', () => void this.flip());
    onPress(this.back, () => void this.stepBack());
    actions.store.subscribe(() => this.offer());
    this.draw();
  }

  /** Whether picks are learned from now. */
  get isOn(): boolean {
    return this.isOnline && this.phase !== undefined && ON.includes(this.phase);
  }

  /** Resolves when what the picks so far are due has been learned. */
  settled(): Promise<void> {
    return this.offering;
  }

  /** The run that the worker tells of next is online, or is not. */
  runs(isOnline: boolean): void {
    this.isOnline = isOnline;
    this.draw();
  }

  enter({ phase, startedAt }: PhaseUpdate<Phase>): void {
    const before = this.phase;
    if (startedAt !== this.startedAt) this.state = undefined;
    Object.assign(this, { phase, startedAt });
    if (phase === 'idle') this.isOnline = false;
    this.actions.lock(this.isOn);
    this.draw();
    if (phase !== 'picking') return;
    this.offer();
    // A run that begins or goes on has drafts of its own; after a learning step they follow the pick.
    if (before === 'reference') this.actions.write();
  }

  show(state: OnlineState): void {
    this.state = state;
    this.draw();
  }

  /** There is nobody any more who learns. */
  leave(): void {
    this.phase = undefined;
    this.draw();
  }

  private offer(): void {
    const job = this.actions.job();
    if (!job || !this.isOnline || this.phase !== 'picking') return;
    const judgments = this.actions.store.all().filter(({ time }) => time > this.startedAt);
    this.offering = job.offerPicks(judgments).catch((error: unknown) => {
      this.actions.complain(messageOf(error));
    });
  }

  private async flip(): Promise<void> {
    const job = this.actions.job();
    const { phase } = this;
    if (!job || !phase) return;
    this.wanted = this.toggle.checked;
    try {
      if (!this.wanted) await (this.isOn && job.pause());
      else if (this.isOnline && WAITING.includes(phase)) await job.resume();
      else if (!FREE.includes(phase)) this.actions.complain(BUSY);
      else if (this.batch.reportValidity()) await this.actions.begin(this.batch.valueAsNumber);
    } catch (error) {
      this.actions.complain(messageOf(error));
    }
    this.wanted = undefined;
    this.draw();
  }

  private async stepBack(): Promise<void> {
    try {
      await this.actions.job()?.stepBack();
    } catch (error) {
      this.actions.complain(messageOf(error));
    }
  }

  private draw(): void {
    const { phase, state, isOnline } = this;
    this.toggle.checked = this.wanted ?? this.isOn;
    this.toggle.disabled = phase === undefined || phase === 'pausing';
    this.batch.disabled = !(phase !== undefined && FREE.includes(phase));
    this.back.hidden = !isOnline;
    const canGoBack = phase === 'picking' || (phase !== undefined && WAITING.includes(phase));
    setUsable(this.back, canGoBack && (state?.stepsBack ?? 0) > 0);
    byId('online-tiles', HTMLElement).hidden = !(isOnline && state);
    setText(this.text, this.sentence());
    if (state) this.drawTiles(state);
  }

  private sentence(): string {
    const { phase, state, isOnline } = this;
    if (!isOnline || !phase || FREE.includes(phase)) return OFF;
    if (WAITING.includes(phase))
      return 'Off: picks are kept, but the model does not learn from them. Switch it on to continue, or stop the run on the tab Train.';
    if (phase === 'training') return 'Learning from your last picks.';
    if (!state) return 'On.';
    const { pending, batchSize, heldOut } = state;
    const held =
      heldOut > 0
        ? ` ${counted(heldOut, 'pick')} on held-out prompts ${heldOut === 1 ? 'is' : 'are'} kept for comparisons.`
        : '';
    return `${pending} of ${batchSize} picks until it learns. Only drafts that were shown to their end count.${held}`;
  }

  private drawTiles({ steps, kl, drafts, agreed, compared, secondsPerStep }: OnlineState): void {
    const tile = (name: string, value: string, note: string) => {
      setText(byId(`online-${name}`, HTMLElement), value);
      setText(byId(`online-${name}-note`, HTMLElement), note);
    };
    const judged = this.actions.store.all().filter(({ time }) => time > this.startedAt);
    const pace = picksPerMinute(judged.map(({ time }) => time));
    tile('steps', String(steps), steps === 0 ? '' : `of ${counted(this.state?.batchSize ?? 0, 'pick')} each`);
    const error = kl && Number.isFinite(kl.standardError) ? ` ± ${kl.standardError.toFixed(2)}` : '';
    const ofDrafts = `nats a draft, from the last ${counted(drafts, 'draft')} of its own`;
    tile('kl', kl ? `${kl.mean.toFixed(2)}${error}` : '–', kl ? ofDrafts : 'after the first step');
    const share = compared > 0 ? `${Math.round((100 * agreed) / compared)}%` : '–';
    const ofPicks = `of the last ${counted(compared, 'pick')}, before it learned from them`;
    tile('agreement', share, compared > 0 ? ofPicks : 'after the second step');
    const seconds = secondsPerStep === undefined ? '' : `${secondsPerStep.toFixed(1)} s a step`;
    tile('pace', pace === undefined ? '–' : pace.toFixed(pace < 10 ? 1 : 0), seconds);
  }
}
