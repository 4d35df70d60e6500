/**
 * How kernels fit an adapter: a CPU that stands in for a GPU, or a GPU. A device makes its profile once from the adapter report;
 * operations read it, or keep constants of their own in a table with a row for each kind. It measures nothing.
 */
import type { AdapterReport } from './adapter.ts';

export type AdapterKind = 'software' | 'hardware';

export interface AdapterProfile {
  /** The key of an operation's own table, where its constants depend on the adapter. */
  readonly kind: AdapterKind;
  /** Threads of a workgroup that reduces a row. */
  readonly rowThreads: number;
  /** Whether a workgroup computes a head's attention while decoding, and not a thread for each part of it. */
  readonly wideDecoding: boolean;
  /** Whether variants are measured unless a user says otherwise. */
  readonly tunesByDefault: boolean;
}

export const PROFILES: Readonly<Record<AdapterKind, AdapterProfile>> = {
  /**
   * Four threads are one vector of the processor: a row of 1,024 logits took 3.5 times as long with one, which leaves three
   * lanes idle, and 4 times with 64, whose barriers cost more than they gain. Measuring takes long, and the best variants are known.
   */
  software: { kind: 'software', rowThreads: 4, wideDecoding: false, tunesByDefault: false },
  hardware: { kind: 'hardware', rowThreads: 64, wideDecoding: true, tunesByDefault: true },
};

export function profileOf({ software }: Pick<AdapterReport, 'software'>): AdapterProfile {
  return PROFILES[software ? 'software' : 'hardware'];
}
