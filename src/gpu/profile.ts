/**
 * How kernels are adapted to an adapter: a GPU or a software adapter. A device creates its profile once from the adapter
 * report; operations read it, or have their own table of constants with one row per kind. Measures nothing.
 */
import type { AdapterReport } from './adapter.ts';

export type AdapterKind = 'software' | 'hardware';

export interface AdapterProfile {
  /** The key into an operation's own table of constants. */
  readonly kind: AdapterKind;
  /** Number of threads in a workgroup that reduces a row. */
  readonly rowThreads: number;
  /** Whether a workgroup computes a head's attention while decoding, rather than one thread for each part of it. */
  readonly wideDecoding: boolean;
  /** Whether variants are measured by default. */
  readonly tunesByDefault: boolean;
}

export const PROFILES: Readonly<Record<AdapterKind, AdapterProfile>> = {
  /**
   * Four threads fill one vector of the processor: a row of 1,024 logits took 3.5 times as long with one thread, which
   * leaves three lanes idle, and 4 times with 64, whose barriers cost more than they gain. Measuring is slow, and the best
   * variants are known.
   */
  software: { kind: 'software', rowThreads: 4, wideDecoding: false, tunesByDefault: false },
  hardware: { kind: 'hardware', rowThreads: 64, wideDecoding: true, tunesByDefault: true },
};

export function profileOf({ software }: Pick<AdapterReport, 'software'>): AdapterProfile {
  return PROFILES[software ? 'software' : 'hardware'];
}
