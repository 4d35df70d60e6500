/**
 * Start, Pause, Resume, Stop, and the settings of a run. The available buttons depend only on the phase; the table below
 * defines them.
 */
import { byId, onPress, setText, setUsable } from './dom.ts';
import type { CommonPhase } from './run-job.ts';

export type Action = 'start' | 'pause' | 'resume' | 'stop' | 'discard';

export interface Offer {
  label: string;
  action?: Action;
}

/** The first and the second button; without an action a button only shows its label. */
export type Offers = readonly [Offer, Offer];

const STOP: Offer = { label: 'Stop', action: 'stop' };
const AGAIN: Offers = [{ label: 'Start again', action: 'start' }, { label: 'Stop' }];

/** A stage that can be paused and stopped. */
export const RUNNING: Offers = [{ label: 'Pause', action: 'pause' }, STOP];
/** A stage that can only be stopped. */
export const CLOSING: Offers = [{ label: 'Pause' }, STOP];

const COMMON: Readonly<Record<CommonPhase | 'loading', Offers>> = {
  loading: [{ label: 'Start' }, { label: 'Stop' }],
  idle: [{ label: 'Start', action: 'start' }, { label: 'Stop' }],
  kept: [
    { label: 'Resume', action: 'resume' },
    { label: 'Discard', action: 'discard' },
  ],
  training: RUNNING,
  pausing: [{ label: 'Pause' }, { label: 'Stop' }],
  paused: [{ label: 'Resume', action: 'resume' }, STOP],
  done: AGAIN,
  failed: AGAIN,
};

/** Phases in which settings can be changed. */
const EDITABLE: readonly string[] = ['idle', 'done', 'failed'] satisfies CommonPhase[];

export class Controls<Phase extends string, Field extends string> {
  private readonly buttons = [
    byId('primary', HTMLButtonElement),
    byId('secondary', HTMLButtonElement),
  ] as const;
  private readonly form = byId('settings', HTMLFormElement);
  private readonly fields = byId('fields', HTMLFieldSetElement);
  private readonly offers: ReadonlyMap<string, Offers>;
  private offered: Offers = COMMON.loading;
  private isWaiting = false;

  /**
   * `act` resolves when the worker has accepted the request; `stages` are phases that only this page has, or labels
   * differently.
   */
  constructor(
    private readonly names: readonly Field[],
    stages: Readonly<Record<Phase, Offers> & Partial<Record<CommonPhase | 'loading', Offers>>>,
    private readonly act: (action: Action) => Promise<void>,
  ) {
    this.offers = new Map(Object.entries<Offers>({ ...COMMON, ...stages }));
    this.buttons.forEach((button, i) => {
      onPress(button, () => void this.press(this.offered[i as 0 | 1].action));
    });
    // The Enter key in a field.
    this.form.addEventListener('submit', (event) => {
      event.preventDefault();
      if (this.offered[0].action === 'start') void this.press('start');
    });
  }

  enter(phase: Phase | CommonPhase): void {
    this.offered = this.offers.get(phase) ?? COMMON.loading;
    this.fields.disabled = !EDITABLE.includes(phase);
    this.render();
  }

  /** Disables all buttons. */
  leave(): void {
    this.offered = COMMON.loading;
    this.fields.disabled = true;
    this.render();
  }

  show(settings: Readonly<Record<Field, number>>): void {
    for (const name of this.names) this.input(name).value = String(settings[name]);
  }

  /** The values of the fields; undefined if one is invalid, which the browser then reports. */
  read(): Record<Field, number> | undefined {
    if (!this.form.reportValidity()) return undefined;
    const values = this.names.map((name) => [name, this.input(name).valueAsNumber]);
    return Object.fromEntries(values) as Record<Field, number>;
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
      const { label, action } = this.offered[i as 0 | 1];
      setText(button, label);
      setUsable(button, action !== undefined && !this.isWaiting);
    });
  }

  private input(name: Field): HTMLInputElement {
    return this.form.elements.namedItem(name) as HTMLInputElement;
  }
}
