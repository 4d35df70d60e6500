/** The curves of a run on rollouts, and its points that are kept with an adapter. Plain data, which worker and page share. */
import type { AdapterFiles } from 'webalign/models';
import type { HeldOutPoint, Optimum, PolicyPoint } from '../../shared/policy-run.ts';

export interface PolicyCurves {
  train: readonly PolicyPoint[];
  /** The one before the first step comes first. */
  heldOut: readonly HeldOutPoint[];
  /** β log Z; undefined before it is estimated. */
  optimum: Optimum | undefined;
}

/** The adapter of an evaluated step. */
export interface Snapshot {
  step: number;
  files: AdapterFiles;
}

/** The stored part of such a run, in addition to its checkpoint. */
export interface PolicyRecord {
  /** β log Z, and the policy before its first step. */
  reference?: { optimum: Optimum; point: HeldOutPoint };
  snapshots: readonly Snapshot[];
}
