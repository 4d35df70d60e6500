/** What the worker tells of an online run. */
import type { Standing } from './reading.ts';

export interface OnlineState extends Standing {
  /** Milliseconds since 1970. */
  startedAt: number;
  /** Picks that a learning step takes. */
  batchSize: number;
  /** Picks that the next one has. */
  pending: number;
  /** Picks of this run on held-out prompts, which teach nothing. */
  heldOut: number;
  /** Learning steps that hold. */
  steps: number;
  /** How many of them can be taken back. */
  stepsBack: number;
}
