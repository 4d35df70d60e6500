/**
 * The progress of a run, as text, a bar and four numbers. The text changes with the phase rather than with every step,
 * because screen readers read it aloud.
 */

import { formatBytes } from 'webalign/gpu';
import { counted } from '../../src/base/counted.ts';
import { byId, duration, setText } from './dom.ts';
import { language } from './language.ts';
import type { Pace } from './pace.ts';
import type { CommonPhase, PhaseUpdate } from './run-job.ts';

const TILES = ['step', 'left', 'speed', 'memory'] as const;

export class Progress<Phase extends string> {
  private readonly status = byId('status', HTMLElement);
  private readonly bar = byId('progress', HTMLProgressElement);
  private readonly tiles = new Map(TILES.map((name) => [name, byId(`tile-${name}`, HTMLElement)]));
  /** Shown before the phase's text, until the run ends or resumes. */
  private notice = '';
  private last = '';

  /** `sentence` describes a phase; `stages` are the phases that do not count steps. */
  constructor(
    private readonly sentence: (update: PhaseUpdate<Phase | CommonPhase>) => string,
    private readonly stages: readonly Phase[],
  ) {}

  say(text: string): void {
    this.last = text;
    setText(this.status, this.notice + text);
    delete this.status.dataset.kind;
  }

  /** Shows a notice that does not stop the run. */
  note(text: string): void {
    if (!this.notice.includes(text)) this.notice += `${text} `;
    this.say(this.last);
  }

  /** Shows an error, in a sentence. */
  complain(text: string): void {
    setText(this.status, text);
    this.status.dataset.kind = 'problem';
  }

  /** Takes an error back that no longer holds. */
  withdraw(): void {
    this.say(this.last);
  }

  enter(update: PhaseUpdate<Phase | CommonPhase>): void {
    const { phase, step, totalSteps } = update;
    const isStage = (this.stages as readonly string[]).includes(phase);
    if (!isStage && phase !== 'training' && phase !== 'pausing') this.notice = '';
    this.say(this.sentence(update));
    this.tile('step', totalSteps > 0 ? placeOf(step, totalSteps) : '–');
    if (phase !== 'training') this.tile('left', '–');
    if (phase === 'idle') for (const name of TILES) this.tile(name, '–');
    this.setBar(isStage ? 0 : phase === 'done' ? 1 : totalSteps > 0 ? step / totalSteps : 0);
  }

  plan(totalSteps: number, plannedBytes: number): void {
    this.tile('step', placeOf(0, totalSteps));
    this.tile('memory', formatBytes(plannedBytes));
  }

  /** Progress of a stage without steps, or of the run. */
  share(done: number, total: number): void {
    this.setBar(total > 0 ? done / total : 0);
  }

  pace({ step, totalSteps, tokensPerSecond, secondsLeft, peak }: Pace): void {
    this.setBar(step / totalSteps);
    this.tile('step', placeOf(step, totalSteps));
    this.tile('left', step < totalSteps && Number.isFinite(totalSteps) ? duration(secondsLeft) : '–');
    this.tile('speed', Math.round(tokensPerSecond).toLocaleString('en'));
    this.tile('memory', formatBytes(peak));
  }

  private setBar(value: number): void {
    this.bar.value = Math.min(1, Math.max(0, value));
  }

  private tile(name: (typeof TILES)[number], text: string): void {
    const tile = this.tiles.get(name);
    if (tile) setText(tile, text);
  }
}

/** `3 of 10`; `3` in a run that goes on until it is stopped. */
const placeOf = (step: number, totalSteps: number): string =>
  Number.isFinite(totalSteps) ? `${step} of ${totalSteps}` : String(step);

/** The text of phases that every run has. */
export function commonSentence(update: PhaseUpdate<CommonPhase>): string {
  const { phase, step, totalSteps, startedAt, unkept } = update;
  const keeping = unkept || 'It is kept in this browser, also when you close the tab.';
  switch (phase) {
    case 'idle':
      return `Ready. ${unkept}`.trimEnd();
    case 'kept': {
      const date = new Date(startedAt);
      const when = date.toLocaleString(language, { dateStyle: 'medium', timeStyle: 'short' });
      if (step === totalSteps) {
        return `A finished run of ${when} is kept in this browser. Resume it to use its adapter, or discard it.`;
      }
      return `A run of ${when} is kept in this browser, at step ${placeOf(step, totalSteps)}. Resume it, or discard it to begin anew.`;
    }
    case 'training':
      return 'Training.';
    case 'pausing':
      return 'Finishing the step under way.';
    case 'paused':
      if (step === 0) return 'Paused before the first step.';
      return `Paused at step ${placeOf(step, totalSteps)}. ${keeping}`;
    case 'done':
      return `Done after ${counted(step, 'step')}. Compare the stories below, and take the adapter with you. ${unkept}`.trimEnd();
    case 'failed':
      return 'The run has ended early.';
  }
}
