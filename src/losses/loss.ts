/**
 * What a loss is, as a row of the catalogue: a formula in WGSL, its options and its way into the metrics. Losses of one's own are
 * made of the same.
 */
import type { ColumnSpecs } from '../data/packing.ts';
import type { Shader } from '../gpu/shader.ts';
import type { LossOption } from './options.ts';
import type { Divisor, MetricColumns } from './units.ts';

/** Options of a formula by name: `beta`, which scales the rewards, and whatever else its `Options` declares. */
export type LossOptions = Readonly<Record<string, number> & { beta: number }>;

export interface Loss {
  /** TRL's `loss_type`. */
  readonly name: string;
  /** What the formula is about: a chosen and a rejected completion, a completion, or a token. */
  readonly unit: 'pair' | 'example' | 'token';
  /** The formula with its driver: `lib/pairwise.wgsl`, `lib/labelled.wgsl` or `lib/tokenwise.wgsl`. */
  readonly shader: Shader;
  /** Columns that it reads beside log-probabilities: `oldLogprobs` here is `old_logprobs` in the shader. */
  readonly reads?: ColumnSpecs;
  /** What divides a sum over tokens where it is made into a mean; the batch's mean length where it is left out. */
  readonly over?: Divisor;
  /** Every option of the formula: `labelSmoothing` here is `label_smoothing` in the shader. */
  readonly options: Readonly<Record<string, LossOption>> & { readonly beta: LossOption };
  /** What is logged of the records that the loss writes. */
  readonly metrics: MetricColumns;
  /** What is logged of them beside where the run has a reference. */
  readonly referenceMetrics?: MetricColumns;
  /** Whether it is made of the policy alone. */
  readonly referenceFree?: boolean;
  /** Whether the loss is made of scores, so that another divergence than the reverse KL makes sense. */
  readonly divergences?: boolean;
  /** Whether means over tokens are in it, or the option that has them there where it is not 0. */
  readonly perToken?: true | string;
  /** Whether its derivative is to log π with every token alike, however LD-DPO weighs them: a cross-entropy. Of pairs alone. */
  readonly whole?: boolean;
  /** Whether a record's loss depends on the rest of its batch, so that it has no weight of its own. */
  readonly joint?: boolean;
  /** Whether each example brings another's completion along, for the KL baseline. */
  readonly baseline?: boolean;
  /** False if TRL has no such loss; or the options that TRL's has fixed. */
  readonly trl?: false | Readonly<Record<string, number>>;
}

/** β of a formula, which has a value at 0 too; the setting of the trainers is in `src/train/settings`. */
export const BETA: LossOption = { default: 0.1, range: { from: 0 } };
