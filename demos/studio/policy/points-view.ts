/** The reward model's score beside the person's votes, on the tab Compare. Nothing of a comparison is shown before its last vote. */
import { byId, make, setText } from '../../shared/dom.ts';
import type { PastRun } from '../history.ts';
import { stepNamed } from '../run-names.ts';
import type { WinRate } from '../win-rate.ts';
import { duelsOf, pointsOf, type RunPoint, verdictOn } from './points.ts';
import { drawPoints } from './points-chart.ts';

const fixed = (value: number) => (Number.isFinite(value) ? value.toFixed(2).replace('-', '−') : '–');
const percent = (share: number) => `${Math.round(100 * share)}%`;

/** The run of the latest comparison that has ended, otherwise the latest run against a reward model. */
export function runToShow(runs: readonly PastRun[], rates: readonly WinRate[]): PastRun | undefined {
  const policies = runs.filter(({ policy }) => policy !== undefined);
  for (const { adapter, result } of rates) {
    const run = result && policies.find((each) => stepNamed(each, adapter) !== undefined);
    if (run) return run;
  }
  return policies[0];
}

/** Draws a run's points; hides them without one. */
export function showPoints(runs: readonly PastRun[], rates: readonly WinRate[]): void {
  const run = runToShow(runs, rates);
  byId('points', HTMLElement).hidden = run === undefined;
  if (!run) return;
  const points = pointsOf(run, rates);
  setText(byId('points-run', HTMLElement), run.name);
  setText(byId('points-text', HTMLElement), verdictOn(points, duelsOf(run, rates)));
  byId('points-rows', HTMLTableSectionElement).replaceChildren(...points.map(rowOf));
  drawPoints(byId('points-chart', HTMLDivElement), points);
}

function rowOf({ step, score, kl, votes }: RunPoint): HTMLElement {
  const head = make('th', '', step === 0 ? 'the model before' : `step ${step}`);
  head.scope = 'row';
  const rate = votes ? `${percent(votes.rate)} of ${votes.planned}` : '–';
  const interval = votes ? votes.interval.map(percent).join(' to ') : '–';
  return make(
    'tr',
    '',
    head,
    ...[fixed(score), fixed(kl), rate, interval].map((text) => make('td', '', text)),
  );
}
