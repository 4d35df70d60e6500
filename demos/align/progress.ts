/**
 * How far the run is, in words, in a bar and in four numbers. The words change with the phase, not with every step, because
 * a screen reader says them aloud.
 */
import { formatBytes } from '../../src/gpu/errors.ts';
import { byId, duration, setText } from '../shared/dom.ts';
import { language } from './language.ts';
import type { Pace, Phase, Update } from './messages.ts';

const UNDER_WAY: readonly Phase[] = ['before', 'reference', 'training', 'pausing', 'after'];

type PhaseUpdate = Extract<Update, { type: 'phase' }>;

const TILES = ['step', 'left', 'speed', 'memory'] as const;

export class Progress {
  private readonly status = byId('status', HTMLElement);
  private readonly bar = byId('progress', HTMLProgressElement);
  private readonly tiles = Object.fromEntries(TILES.map((name) => [name, byId(`tile-${name}`, HTMLElement)]));

  /** Said before what the phases say, until the run ends or is taken up anew. */
  private notice = '';

  say(text: string): void {
    setText(this.status, this.notice + text);
    delete this.status.dataset.kind;
  }

  /** Something happened that a person should know, and the run goes on. */
  note(text: string): void {
    this.notice = `${text} `;
    this.say('');
  }

  /** Something went wrong, in a sentence. */
  complain(text: string): void {
    setText(this.status, text);
    this.status.dataset.kind = 'problem';
  }

  enter(update: PhaseUpdate, { measured, durable }: { measured: number; durable: boolean }): void {
    const { phase, step, totalSteps } = update;
    if (!UNDER_WAY.includes(phase)) this.notice = '';
    this.say(sentence(update, measured, durable));
    this.tile('step', totalSteps > 0 ? `${step} of ${totalSteps}` : '–');
    if (phase !== 'training') this.tile('left', '–');
    if (phase === 'idle') for (const name of TILES) this.tile(name, '–');
    const isMeasured = phase === 'before' || phase === 'reference' || phase === 'after';
    this.setBar(isMeasured ? 0 : phase === 'done' ? 1 : totalSteps > 0 ? step / totalSteps : 0);
  }

  plan(totalSteps: number, plannedBytes: number): void {
    this.tile('step', `0 of ${totalSteps}`);
    this.tile('memory', formatBytes(plannedBytes));
  }

  /** Part of a stage that has no steps. */
  share(done: number, total: number): void {
    this.setBar(total > 0 ? done / total : 0);
  }

  pace({ step, totalSteps, tokensPerSecond, secondsLeft, peak }: Pace): void {
    this.setBar(step / totalSteps);
    this.tile('step', `${step} of ${totalSteps}`);
    this.tile('left', step < totalSteps ? duration(secondsLeft) : '–');
    this.tile('speed', Math.round(tokensPerSecond).toLocaleString('en'));
    this.tile('memory', formatBytes(peak));
  }

  private setBar(value: number): void {
    this.bar.value = Math.min(1, Math.max(0, value));
  }

  private tile(name: (typeof TILES)[number], text: string): void {
    const tile = this.tiles[name];
    if (tile) setText(tile, text);
  }
}

function sentence(
  { phase, step, totalSteps, startedAt }: PhaseUpdate,
  measured: number,
  durable: boolean,
): string {
  const keeping = durable
    ? 'It is kept in this browser, also when you close the tab.'
    : 'It is kept as long as this tab is open.';
  switch (phase) {
    case 'idle':
      return durable ? 'Ready.' : 'Ready. This browser keeps nothing for this tab, so a run ends with it.';
    case 'kept': {
      const date = new Date(startedAt);
      const when = date.toLocaleString(language, { dateStyle: 'medium', timeStyle: 'short' });
      if (step === totalSteps) {
        return `A finished run of ${when} is kept in this browser. Resume it to use its adapter, or discard it.`;
      }
      return `A run of ${when} is kept in this browser, at step ${step} of ${totalSteps}. Resume it, or discard it to begin anew.`;
    }
    case 'before':
      return `Before: writing ${measured} stories with the model as it is.`;
    case 'reference':
      return 'Preparing: how likely the model finds every story as it is.';
    case 'training':
      return 'Training.';
    case 'pausing':
      return 'Finishing the step under way.';
    case 'paused':
      if (step === 0) return 'Paused before the first step.';
      return `Paused at step ${step} of ${totalSteps}. ${keeping}`;
    case 'after':
      return `After: writing the same ${measured} stories with the adapter.`;
    case 'done':
      return `Done after ${step} steps. Compare the stories below, and take the adapter with you.`;
    case 'failed':
      return 'The run has ended early.';
  }
}
