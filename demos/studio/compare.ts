/** The tab that compares the model before and after training by blind picks, and says what the picks so far show. */
import { byId, make, onPress, setText, setUsable } from '../shared/dom.ts';
import type { PreferenceStore } from './preferences/store.ts';
import { type WinRate, winRates } from './win-rate.ts';

const percent = (share: number) => `${Math.round(100 * share)}%`;

export class Compare {
  private readonly table = byId('compare-table', HTMLTableElement);
  private readonly rows = byId('compare-rows', HTMLTableSectionElement);
  private readonly start = byId('compare-start', HTMLButtonElement);
  private canStart = false;

  /** `begin` sets the drafts to one of each and shows them. */
  constructor(
    private readonly store: PreferenceStore,
    begin: () => void,
  ) {
    onPress(this.start, begin);
    store.subscribe(() => this.draw());
    this.draw();
  }

  /** Whether there is an adapter that has learned something. */
  allow(canStart: boolean): void {
    this.canStart = canStart;
    this.draw();
  }

  private draw(): void {
    const rates = winRates(this.store.all());
    this.rows.replaceChildren(...rates.map(rowOf));
    this.table.hidden = rates.length === 0;
    setUsable(this.start, this.canStart);
    const none = this.canStart
      ? 'There are no blind picks between the two yet.'
      : 'There is no trained adapter yet: collect some picks and train first.';
    setText(byId('compare-now', HTMLElement), rates[0] ? sentenceOf(rates[0]) : none);
  }
}

function sentenceOf({ adapter, wins, losses, rate, interval }: WinRate): string {
  if (rate === undefined) return `${adapter}: no pick has decided between before and after yet.`;
  const [low, high] = interval;
  const shown = `After training was better in ${wins} of ${wins + losses} picks that decided, ${percent(rate)} (95% interval ${percent(low)} to ${percent(high)}).`;
  const isClear = low > 0.5 || high < 0.5;
  return isClear ? shown : `${shown} That is too close to call: go on picking.`;
}

function rowOf({ adapter, wins, losses, undecided, rate, interval: [low, high] }: WinRate): HTMLElement {
  const name = make('th', '', adapter);
  name.scope = 'row';
  const cells = [wins, losses, undecided].map(String);
  const shares = rate === undefined ? ['–', '–'] : [percent(rate), `${percent(low)} to ${percent(high)}`];
  return make('tr', '', name, ...[...cells, ...shares].map((text) => make('td', '', text)));
}
