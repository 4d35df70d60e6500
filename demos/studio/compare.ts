/** The tab that compares the model before and after training by blind picks, and says what the picks so far show. */
import { byId, make, onPress, setText, setUsable } from '../shared/dom.ts';
import type { ComparisonPlans } from './comparison-plans.ts';
import type { PreferenceStore } from './preferences/store.ts';
import { type WinRate, winRates } from './win-rate.ts';

const percent = (share: number) => `${Math.round(100 * share)}%`;

export class Compare {
  private readonly table = byId('compare-table', HTMLTableElement);
  private readonly rows = byId('compare-rows', HTMLTableSectionElement);
  private readonly picks = byId('compare-picks', HTMLInputElement);
  private readonly start = byId('compare-start', HTMLButtonElement);
  private canStart = false;

  /** `begin` sets the drafts to one of each and shows them. */
  constructor(
    private readonly store: PreferenceStore,
    private readonly plans: ComparisonPlans,
    begin: () => void,
  ) {
    onPress(this.start, () => {
      if (this.picks.reportValidity()) begin();
    });
    store.subscribe(() => this.draw());
    this.draw();
  }

  /** Whether there is an adapter that has learned something. */
  allow(canStart: boolean): void {
    this.canStart = canStart;
    this.draw();
  }

  /** Fixes how many picks decide a comparison that has just got its first. */
  private rates(): WinRate[] {
    const judgments = this.store.all();
    const picks = this.picks.checkValidity() ? this.picks.valueAsNumber : Number.NaN;
    for (const { adapter, wins, losses, undecided } of winRates(judgments, this.plans.byAdapter))
      if (wins + losses + undecided === 1 && Number.isFinite(picks)) this.plans.fix(adapter, picks);
    return winRates(judgments, this.plans.byAdapter);
  }

  private draw(): void {
    const rates = this.rates();
    this.rows.replaceChildren(...rates.map(rowOf));
    this.table.hidden = rates.length === 0;
    setUsable(this.start, this.canStart);
    const none = this.canStart
      ? 'There are no blind picks between the two yet.'
      : 'There is no trained adapter yet: collect some picks and train first.';
    setText(byId('compare-now', HTMLElement), rates[0] ? sentenceOf(rates[0]) : none);
  }
}

function sentenceOf({ adapter, wins, losses, planned, result }: WinRate): string {
  const decided = wins + losses;
  if (planned === undefined)
    return `${adapter}: after training was better in ${wins} of ${decided} picks that decided. How many there should be was not fixed before the first, so there is no interval.`;
  if (!result)
    return `${adapter}: ${decided} of the ${planned} picks that decide are there. The result is shown after the last.`;
  const [low, high] = result.interval;
  const shown = `After training was better in ${result.wins} of ${planned} picks that decided, ${percent(result.rate)} (95% interval ${percent(low)} to ${percent(high)}).`;
  const isClear = low > 0.5 || high < 0.5;
  return isClear
    ? shown
    : `${shown} That is too close to call. To find a smaller difference, set more picks before the next comparison.`;
}

function rowOf({ adapter, wins, losses, undecided, planned, result }: WinRate): HTMLElement {
  const name = make('th', '', adapter);
  name.scope = 'row';
  const cells = [wins, losses, undecided].map(String);
  const shares = result
    ? [percent(result.rate), result.interval.map(percent).join(' to ')]
    : [planned === undefined ? '–' : `after ${planned} picks`, '–'];
  return make('tr', '', name, ...[...cells, ...shares].map((text) => make('td', '', text)));
}
