/**
 * The tab that compares two models by blind votes on held-out prompts. It says how many votes there are and nothing of how they fell
 * until the last one; then comes the result, and what stands behind it.
 */
import type { Remote } from 'comlink';
import { byId, make, onPress, setText, setUsable } from '../shared/dom.ts';
import { messageOf } from '../shared/message-of.ts';
import type { ComparisonPlans } from './comparison-plans.ts';
import type { PastRun } from './history.ts';
import type { Side, StudioJob } from './messages.ts';
import { showPoints } from './policy/points-view.ts';
import type { PreferenceStore } from './preferences/store.ts';
import { offerWriters, samplingNow, writersOf } from './sampling.ts';
import { showUnblinded } from './unblinded-view.ts';
import type { Unblinded } from './unblinding.ts';
import { type WinRate, winRates } from './win-rate.ts';

const percent = (share: number) => `${Math.round(100 * share)}%`;
const BEFORE = 'the model before';

/** What the tab asks of the page. */
export interface CompareActions {
  job(): Remote<StudioJob> | undefined;
  store: PreferenceStore;
  plans: ComparisonPlans;
  /** Shows blind drafts of both. Throws where there is no prompt for them. */
  begin(sides: readonly [Side, Side]): void;
}

export class Compare {
  private readonly table = byId('compare-table', HTMLTableElement);
  private readonly rows = byId('compare-rows', HTMLTableSectionElement);
  private readonly picks = byId('compare-picks', HTMLInputElement);
  private readonly start = byId('compare-start', HTMLButtonElement);
  private readonly sides = [
    byId('compare-a', HTMLSelectElement),
    byId('compare-b', HTMLSelectElement),
  ] as const;
  private hasAdapter = false;
  private hasRuns = false;
  private runs: readonly PastRun[] = [];
  private isShown = false;
  /** What stands behind comparisons that have ended, by key. */
  private readonly unblinded = new Map<string, Promise<Unblinded>>();

  constructor(private readonly actions: CompareActions) {
    onPress(this.start, () => this.begin());
    actions.store.subscribe(() => this.draw());
    this.offerRuns([]);
  }

  /** Whether there is an adapter that has learned something. */
  allow(hasAdapter: boolean): void {
    this.hasAdapter = hasAdapter;
    this.draw();
  }

  /** Offers runs that have ended, on the model of this page. */
  offerRuns(runs: readonly PastRun[]): void {
    this.runs = runs;
    this.hasRuns = runs.length > 0;
    const [a, b] = this.sides;
    offerWriters(a, writersOf(runs), 'now');
    offerWriters(b, writersOf(runs), 'before');
    this.draw();
  }

  /** Whether the tab is looked at; what has ended is measured then. */
  show(isShown: boolean): void {
    this.isShown = isShown;
    if (!isShown) return;
    showPoints(this.runs, this.rates());
    this.look();
  }

  /** Measures what stands behind the latest comparison, where that has ended. */
  private look(): void {
    const [rate] = this.rates();
    if (!rate?.result) return;
    const { key, adapter, against, votes } = rate;
    const job = this.actions.job();
    if (!job) return;
    const known = this.unblinded.get(key);
    const { maxNewTokens } = samplingNow();
    const found = known ?? job.unblind({ votes, pairing: { adapter, against }, maxNewTokens });
    this.unblinded.set(key, found);
    showUnblinded({ adapter, against }, found);
    // What failed is tried again when somebody looks again.
    found.catch(() => this.unblinded.delete(key));
  }

  private begin(): void {
    const error = byId('compare-error', HTMLElement);
    setText(error, '');
    if (!this.picks.reportValidity()) return;
    const [a, b] = this.sides.map(({ value }) => value as Side) as [Side, Side];
    try {
      if (a === b) throw new Error('Both sides are the same model. Choose another one.');
      this.actions.begin([a, b]);
    } catch (problem) {
      setText(error, messageOf(problem));
    }
  }

  /** Fixes how many votes decide a comparison that has just got its first. */
  private rates(): WinRate[] {
    const { store, plans } = this.actions;
    const judgments = store.all();
    const picks = this.picks.checkValidity() ? this.picks.valueAsNumber : Number.NaN;
    for (const { key, wins, losses, undecided } of winRates(judgments, plans.byAdapter))
      if (wins + losses + undecided === 1 && Number.isFinite(picks)) plans.fix(key, picks);
    return winRates(judgments, plans.byAdapter);
  }

  private draw(): void {
    const rates = this.rates();
    this.rows.replaceChildren(...rates.map(rowOf));
    this.table.hidden = rates.length === 0;
    const canStart = this.hasAdapter || this.hasRuns;
    setUsable(this.start, canStart);
    const none = canStart
      ? 'There are no blind votes on held-out prompts yet.'
      : 'There is no trained adapter yet: collect some picks and train first.';
    setText(byId('compare-now', HTMLElement), rates[0] ? sentenceOf(rates[0]) : none);
    byId('unblinded', HTMLElement).hidden = !rates[0]?.result;
    // A hidden element has no width to draw in.
    if (this.isShown) showPoints(this.runs, rates);
    if (rates[0]?.result && this.isShown) this.look();
  }
}

function sentenceOf({ adapter, against = BEFORE, wins, losses, planned, result }: WinRate): string {
  const decided = wins + losses;
  if (planned === undefined)
    return `${adapter} was better than ${against} in ${wins} of ${decided} votes that decided. How many there should be was not fixed before the first, so there is no interval.`;
  if (!result)
    return `${adapter}: ${decided} of the ${planned} votes that decide are there. The result is shown after the last.`;
  const [low, high] = result.interval;
  const shown = `${adapter} was better than ${against} in ${result.wins} of ${planned} votes that decided, ${percent(result.rate)} (95% interval ${percent(low)} to ${percent(high)}).`;
  const isClear = low > 0.5 || high < 0.5;
  return isClear
    ? shown
    : `${shown} That is too close to call. To find a smaller difference, set more votes before the next comparison.`;
}

function rowOf({ adapter, against, wins, losses, undecided, planned, result }: WinRate): HTMLElement {
  const name = make('th', '', adapter);
  name.scope = 'row';
  // How the votes fall is not shown while they fall.
  const isOpen = planned !== undefined && !result;
  const counts = [isOpen ? '–' : wins, isOpen ? '–' : losses, undecided].map(String);
  const shares = result
    ? [percent(result.rate), result.interval.map(percent).join(' to ')]
    : [planned === undefined ? '–' : `after ${planned} votes`, '–'];
  const cells = [against ?? BEFORE, ...counts, ...shares];
  return make('tr', '', name, ...cells.map((text) => make('td', '', text)));
}
