/**
 * The results as bars, one group each: the fraction of the adapter's measured peak or, if a case has none, its speed
 * relative to the fastest of its group. The numbers are shown as text.
 */
import type { Measured, Peak, Result } from '../../test/bench/bench.ts';
import { milliseconds, rate, spread } from '../../test/bench/report.ts';
import { OURS } from '../../test/bench/suite.ts';
import { byId, make } from '../shared/dom.ts';

const list = byId('results', HTMLElement);

/** Fraction of the peak, from 0 to 1; undefined for cases that are neither arithmetic nor copying. */
export function shareOfPeak({ work }: Result, { median }: Measured, peak: Peak): number | undefined {
  if (work.flop) return work.flop / median / 1e6 / peak.gflops;
  return work.bytes ? work.bytes / median / 1e6 / peak.gbytes : undefined;
}

export function clearBars(): void {
  list.replaceChildren();
}

export function addBar(result: Result, peak: Peak): void {
  const own = result.by[OURS];
  const row = make('li', 'row', make('span', 'name', result.id));
  if (typeof own === 'object') {
    const share = shareOfPeak(result, own, peak);
    const bar = make('span', 'bar');
    bar.style.setProperty('--share', String(Math.min(1, share ?? 0)));
    bar.ariaHidden = 'true';
    const time = make('span', 'time', milliseconds(own.median));
    time.title = `± ${(50 * spread(own)).toFixed(0)} % between quartiles, ${own.samples} samples`;
    row.append(bar, time, make('span', 'rate', rate(result.work, own.median, peak)));
  } else row.append(make('span', 'failed', own ?? 'was not run'));
  section(result.group).append(row);
}

/** The list of a group, created with its first result. */
function section(group: string): HTMLElement {
  const id = `group-${group.replaceAll(' ', '-')}`;
  const known = document.getElementById(id);
  if (known) return known;
  const rows = make('ol');
  rows.id = id;
  list.append(make('section', 'card group', make('h2', '', group), rows));
  return rows;
}
