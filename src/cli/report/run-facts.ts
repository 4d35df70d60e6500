/** The facts in a report besides the results: settings, machine, time and memory. */
import { isOwn, own } from '../../base/lookup.ts';
import type { Gpu } from '../../gpu/device.ts';
import { formatBytes } from '../../gpu/errors.ts';
import { adapterName } from '../open.ts';
import { trainedTokens } from '../rollout-summary.ts';
import type { RunSummary } from '../training.ts';
import { duration, type Facts, shown, whole } from './parts.ts';

type Entries = Facts['entries'];

/** Settings that differ from their defaults; the others are folded. A setting without a default counts as different. */
export function settingFacts(
  settings: Readonly<Record<string, unknown>>,
  defaults: Readonly<Record<string, unknown>>,
): Facts {
  const all = Object.entries(settings).map(([name, value]) => ({ name, value: shown(value) }));
  const isUsual = ({ name, value }: (typeof all)[number]) =>
    isOwn(defaults, name) && shown(own(defaults, name)) === value;
  const entries = (some: typeof all): Entries => some.map(({ name, value }) => [name, value]);
  const changed = entries(all.filter((each) => !isUsual(each)));
  const usual = entries(all.filter(isUsual));
  return {
    title: 'Settings',
    entries: changed.length > 0 ? changed : [['all', 'default']],
    folded: { title: `${usual.length} more, with their defaults`, entries: usual },
  };
}

/** The machine, the time and the memory of the run. */
export function machineFacts(
  { adapter }: Pick<Gpu, 'adapter'>,
  summary: RunSummary,
  seconds: number,
  more: Entries = [],
): Facts {
  return {
    title: 'Machine',
    entries: [
      ['Adapter', adapterName(adapter)],
      ['Features', adapter.features.join(', ') || 'none'],
      ['Runtime', `Node ${process.versions.node} on ${process.platform}, ${process.arch}`],
      ['Time', duration(seconds)],
      ...more,
      ['Tokens trained on', whole(trainedTokens(summary))],
      ['Tokens per second', whole(summary.tokensPerSecond)],
      ['Peak GPU memory', formatBytes(summary.peakBytes)],
      ['Kernels', [...new Set(Object.values(summary.variants))].join(', ')],
    ],
  };
}
