/**
 * A page that is hidden while it trains: its title shows the state of the run, and a user who returns is told that browsers slow
 * hidden pages down.
 */
import type { Phase } from './messages.ts';

const TITLES: Readonly<Partial<Record<Phase, string>>> = {
  reference: 'Training …',
  optimum: 'Training …',
  training: 'Training …',
  pausing: 'Pausing …',
  done: 'Trained',
  failed: 'Training has ended early',
};
const BUSY: readonly Phase[] = ['reference', 'optimum', 'training'];
const SLOWED =
  'The page was hidden, and browsers slow hidden pages down. In a window of its own it trains at full speed.';

export class HiddenPage {
  private readonly title = document.title;
  private phase: Phase = 'idle';
  private wasHidden = false;

  /** `tell` gets a sentence when the page is looked at again during a run. */
  constructor(private readonly tell: (text: string) => void) {
    document.addEventListener('visibilitychange', () => this.look());
  }

  enter(phase: Phase): void {
    this.phase = phase;
    this.look();
  }

  private look(): void {
    const isBusy = BUSY.includes(this.phase);
    const { hidden } = document;
    const words = TITLES[this.phase];
    document.title = hidden && words ? `${words} · ${this.title}` : this.title;
    if (this.wasHidden && !hidden && isBusy) this.tell(SLOWED);
    this.wasHidden = hidden && isBusy;
  }
}
