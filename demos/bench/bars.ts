/**
 * The results as bars, a group each: how much of the adapter's measured peak a case reaches, or, where it has none, how
 * fast it is beside the fastest of its group. The numbers stand beside them as text.
 */
import type { Measured, Peak, Result } from '../../test/bench/bench.ts';
import { milliseconds, rate, spread } from '../../test/bench/report.ts';
import { OURS } from '../../test/bench/suite.ts';
import { byId, make } from '../shared/dom.ts';

const list = byId('results', HTMLElement);

/** Share of the peak, from 0 to 1; undefined for what is neither arithmetic nor copying. */
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
    time.title = `± ${(50 * spread(own)).toFixed(0)} % between the quartiles, ${own.samples} samples`;
    row.append(bar, time, make('span', 'rate', rate(result.work, own.median, peak)));
  } else row.append(make('span', 'failed', own ?? 'was not run'));
  section(result.group).append(row);
}

/** The list of a group, made when its first result comes. */
function section(group: string): HTMLElement {
  const id = `group-${group.replaceAll(' ', '-')}`;
  const known = document.getElementById(id);
  if (known) return known;
  const rows = make('ol');
  rows.id = id;
  list.append(make('section', 'card group', make('h2', '', group), rows));
  return rows;
}
