/**
 * Changes that reduce the memory of a run, the cheapest and least invasive first, each on top of those before it. Includes only
 * settings that the method has.
 */
import { own } from '../base/lookup.ts';
import { defaultsOf } from '../train/settings/trainer.ts';
import type { Method } from './method.ts';
import { OPTIONS, type OptionName, type Settings } from './options.ts';

/** Precisions for which no smaller one is proposed. */
const BLOCKS: readonly (string | undefined)[] = ['q8_0', 'q4_0'];
/** The setting that limits the length of a sequence, by method. */
const LENGTHS = ['maxLength', 'maxCompletionLength'] as const;

export function changesTo(settings: Settings, { settings: trainer }: Method): Settings[] {
  const inForce: Settings = { ...defaultsOf(trainer), ...settings };
  const { perDeviceTrainBatchSize: batch = 1, gradientAccumulationSteps: accumulation = 1 } = inForce;
  // A group is never split.
  const group = own(trainer.settings, 'numGenerations') ? (inForce.numGenerations ?? 1) : 1;
  const changes: Settings[] = [];
  let so: Settings = {};
  const also = (change: Settings) => {
    so = { ...so, ...change };
    changes.push(so);
  };
  if (!settings.gradientCheckpointing) {
    // The two exclude each other, so later changes build on the one that saves more.
    const packed = settings.savedActivations === 'float16';
    if (!packed) changes.push({ savedActivations: 'float16' });
    also({ gradientCheckpointing: true, ...(packed && { savedActivations: 'float32' }) });
  }
  const groups = Math.floor(batch / group);
  const spread = (count: number) => ({
    perDeviceTrainBatchSize: count * group,
    gradientAccumulationSteps: accumulation * Math.ceil(groups / count),
  });
  if (groups > 2) also(spread(Math.floor(groups / 2)));
  if (groups > 1) also(spread(1));
  if (!settings.full && !BLOCKS.includes(settings.dtype)) also({ dtype: 'q8_0' });
  for (const name of LENGTHS) {
    const length = own(trainer.settings, name) && inForce[name];
    if (length) also({ [name]: Math.max(2, Math.floor(length / 2)) });
  }
  return changes;
}

/** The change as flags. */
export function flagsOf(change: Settings): string {
  return Object.entries(change)
    .map(([name, value]) => {
      const { flag, kind } = OPTIONS[name as OptionName];
      return kind === 'switch' ? flag : `${flag} ${value}`;
    })
    .join(' ');
}
