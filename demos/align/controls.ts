/**
 * Start, Pause, Resume, Stop, and the settings of a run. Which buttons there are follows from the phase alone; the table
 * below is all of it.
 */
import { byId, onPress, setText, setUsable } from '../shared/dom.ts';
import type { Phase, Settings } from './messages.ts';

export type Action = 'start' | 'pause' | 'resume' | 'stop' | 'discard';

interface Offer {
  label: string;
  action?: Action;
}

const START: Offer = { label: 'Start', action: 'start' };
const PAUSE: Offer = { label: 'Pause', action: 'pause' };
const RESUME: Offer = { label: 'Resume', action: 'resume' };
const STOP: Offer = { label: 'Stop', action: 'stop' };
const running: [Offer, Offer] = [PAUSE, STOP];

/** The first and the second button of each phase; without an action a button only shows its name. */
const OFFERS: Record<Phase | 'loading', [Offer, Offer]> = {
  loading: [{ label: 'Start' }, { label: 'Stop' }],
  idle: [START, { label: 'Stop' }],
  kept: [RESUME, { label: 'Discard', action: 'discard' }],
  before: running,
  reference: running,
  training: running,
  pausing: [{ label: 'Pause' }, { label: 'Stop' }],
  paused: [RESUME, STOP],
  after: [{ label: 'Pause' }, STOP],
  done: [{ label: 'Start again', action: 'start' }, { label: 'Stop' }],
  failed: [{ label: 'Start again', action: 'start' }, { label: 'Stop' }],
};

const FIELDS = ['beta', 'learningRate', 'numTrainEpochs', 'perDeviceTrainBatchSize', 'r', 'seed'] as const;

export class Controls {
  private readonly buttons = [
    byId('primary', HTMLButtonElement),
    byId('secondary', HTMLButtonElement),
  ] as const;
  private readonly form = byId('settings', HTMLFormElement);
  private readonly fields = byId('fields', HTMLFieldSetElement);
  private offers = OFFERS.loading;
  private isWaiting = false;

  /** `act` resolves when the worker has taken the order. */
  constructor(private readonly act: (action: Action) => Promise<void>) {
    this.buttons.forEach((button, i) => {
      onPress(button, () => void this.press(this.offers[i as 0 | 1].action));
    });
    // Enter in a field.
    this.form.addEventListener('submit', (event) => {
      event.preventDefault();
      if (this.offers[0].action === 'start') void this.press('start');
    });
  }

  enter(phase: Phase): void {
    this.offers = OFFERS[phase];
    this.fields.disabled = !['idle', 'done', 'failed'].includes(phase);
    this.render();
  }

  show(settings: Settings): void {
    for (const name of FIELDS) this.input(name).value = String(settings[name]);
  }

  /** What the fields say, undefined where one of them makes no sense; the browser then says which. */
  read(): Settings | undefined {
    if (!this.form.reportValidity()) return undefined;
    return Object.fromEntries(
      FIELDS.map((name) => [name, this.input(name).valueAsNumber]),
    ) as unknown as Settings;
  }

  private async press(action: Action | undefined): Promise<void> {
    if (!action || this.isWaiting) return;
    this.isWaiting = true;
    this.render();
    await this.act(action).finally(() => {
      this.isWaiting = false;
      this.render();
    });
  }

  private render(): void {
    this.buttons.forEach((button, i) => {
      const { label, action } = this.offers[i as 0 | 1];
      setText(button, label);
      setUsable(button, action !== undefined && !this.isWaiting);
    });
  }

  private input(name: (typeof FIELDS)[number]): HTMLInputElement {
    return this.form.elements.namedItem(name) as HTMLInputElement;
  }
}
