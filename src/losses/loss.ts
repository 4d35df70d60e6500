/**
 * A loss as a row of the catalogue: a formula in WGSL, its options and its metrics. User-defined losses are
 * rows of the same type.
 */
import type { ColumnSpecs } from '../data/packing.ts';
import type { Shader } from '../gpu/shader.ts';
import type { LossOption } from './options.ts';
import type { Divisor, MetricColumns } from './units.ts';

/** Options of a formula by name: `beta`, which scales the rewards, and all others that its `Options` declares. */
export type LossOptions = Readonly<Record<string, number> & { beta: number }>;

export interface Loss {
  /** TRL's `loss_type`. */
  readonly name: string;
  /** The unit of the formula: a pair of completions, one completion, or a token. */
  readonly unit: 'pair' | 'example' | 'token';
  /** The formula with its driver: `lib/pairwise.wgsl`, `lib/labelled.wgsl` or `lib/tokenwise.wgsl`. */
  readonly shader: Shader;
  /** Columns that it reads besides log-probabilities; `oldLogprobs` is called `old_logprobs` in the shader. */
  readonly reads?: ColumnSpecs;
  /** The divisor that makes a mean from a sum over tokens; default: the mean length in the batch. */
  readonly over?: Divisor;
  /** Every option of the formula; `labelSmoothing` is called `label_smoothing` in the shader. */
  readonly options: Readonly<Record<string, LossOption>> & { readonly beta: LossOption };
  /** The metrics computed from the loss's records. */
  readonly metrics: MetricColumns;
  /** Further metrics if the run has a reference. */
  readonly referenceMetrics?: MetricColumns;
  /** Whether the loss depends only on the policy. */
  readonly referenceFree?: boolean;
  /** Whether the loss is a function of scores, so that it can be used with other divergences than the reverse KL. */
  readonly divergences?: boolean;
  /** Whether it contains means over tokens, or the option that enables them if it is not 0. */
  readonly perToken?: true | string;
  /** Whether its derivative refers to log π with all tokens weighted equally, even with LD-DPO: a cross-entropy. For pairs only. */
  readonly whole?: boolean;
  /** Whether a record's loss depends on the rest of its batch, so that it cannot be weighted by itself. */
  readonly joint?: boolean;
  /** Whether each example also has another example's completion, for the KL baseline. */
  readonly baseline?: boolean;
  /** False if TRL has no such loss; or the options that TRL's version fixes. */
  readonly trl?: false | Readonly<Record<string, number>>;
}

/** β of a formula, which may be 0; the trainers' setting is in `src/train/settings`. */
export const BETA: LossOption = { default: 0.1, range: { from: 0 } };
