/**
 * The objectives as data: a formula in WGSL, its options and its way into the metrics. A new objective is one `.wgsl`
 * file and one row here; a user's own is the same row, made outside with {@link objectiveShader}. Nothing in the library
 * asks an objective for its name.
 */
import ktoShader from '../../shaders/objectives/kto.wgsl';
import nllShader from '../../shaders/objectives/nll.wgsl';
import sftShader from '../../shaders/objectives/sft.wgsl';
import sigmoidShader from '../../shaders/objectives/sigmoid.wgsl';
import type { Shader } from '../gpu/shader.ts';
import { EXAMPLE_RECORD, KTO_METRICS, type MetricColumns, PAIR_METRICS, PAIR_RECORD } from './record.ts';

/** Options of a formula by name: `beta`, which scales the rewards, and whatever else its `Options` declares. */
export type ObjectiveOptions = Readonly<Record<string, number> & { beta: number }>;

export interface Objective {
  /** TRL's `loss_type`. */
  readonly name: string;
  /** What a record is made of: a chosen and a rejected completion, or a completion with a label. */
  readonly unit: 'pair' | 'example';
  /** The formula with its driver, `lib/pairwise.wgsl` or `lib/labelled.wgsl`. */
  readonly shader: Shader;
  /** Every option with its default: `labelSmoothing` here is `label_smoothing` in the shader. */
  readonly defaults: ObjectiveOptions;
  /** What an option may be, where that is not any finite number: [from, up to]. */
  readonly ranges: Readonly<Record<string, readonly [number, number]>>;
  /** What is logged of the records that the objective writes. */
  readonly metrics: MetricColumns;
  /** Whether it is made of the policy alone. */
  readonly referenceFree?: boolean;
  /** Whether the loss is made of scores, so that another divergence than the reverse KL makes sense. */
  readonly divergences?: boolean;
  /** Whether a record's loss depends on the rest of its batch, so that it has no weight of its own. */
  readonly joint?: boolean;
  /** Whether each example brings another's completion along, for the KL baseline. */
  readonly baseline?: boolean;
}

const BETA: readonly [number, number] = [0, Number.MAX_VALUE];
const SMOOTHING: readonly [number, number] = [0, 0.5];

/** DPO (Rafailov et al. 2023), with cDPO's label smoothing. */
export const sigmoid: Objective = {
  name: 'sigmoid',
  unit: 'pair',
  shader: sigmoidShader,
  defaults: { beta: 0.1, labelSmoothing: 0 },
  ranges: { beta: BETA, labelSmoothing: SMOOTHING },
  metrics: PAIR_METRICS,
  divergences: true,
};

/** Cross-entropy of the chosen completion, for lists (RPO, MPO) and for CPO. */
export const sft: Objective = {
  name: 'sft',
  unit: 'pair',
  shader: sftShader,
  defaults: { beta: 0.1 },
  ranges: { beta: BETA },
  metrics: { ...PAIR_METRICS, nll_loss: [PAIR_RECORD.nll, PAIR_RECORD.chosenTokens] },
  divergences: true,
};

/** KTO (Ethayarajh et al. 2024). */
export const kto: Objective = {
  name: 'kto',
  unit: 'example',
  shader: ktoShader,
  defaults: { beta: 0.1, desirableWeight: 1, undesirableWeight: 1 },
  ranges: { beta: BETA, desirableWeight: BETA, undesirableWeight: BETA },
  metrics: KTO_METRICS,
  baseline: true,
};

/** Supervised fine-tuning. */
export const nll: Objective = {
  name: 'nll',
  unit: 'example',
  shader: nllShader,
  defaults: { beta: 1 },
  ranges: { beta: BETA },
  metrics: { loss: EXAMPLE_RECORD.loss },
  referenceFree: true,
};

/** All of them, by name. */
export const OBJECTIVES: Readonly<Record<string, Objective>> = Object.fromEntries(
  [sigmoid, sft, kto, nll].map((objective) => [objective.name, objective]),
);

/**
 * The options of an objective with its defaults filled in. Throws a RangeError for a name that the objective does not
 * have, listing those it has, and for a value out of range.
 */
export function objectiveOptions(
  { name, defaults, ranges }: Objective,
  given: Readonly<Record<string, number | undefined>> = {},
): ObjectiveOptions {
  const unknown = Object.keys(given).filter((key) => !(key in defaults));
  if (unknown.length > 0) {
    throw new RangeError(
      `objective ${name} has no ${unknown.join(', ')}; its options are ${Object.keys(defaults).join(', ')}`,
    );
  }
  const values = Object.keys(defaults).map((key): [string, number] => {
    const value = given[key] ?? (defaults[key] as number);
    const [low, high] = ranges[key] ?? [-Number.MAX_VALUE, Number.MAX_VALUE];
    if (!(value >= low && value <= high)) {
      throw new RangeError(`objective ${name}: ${key} is ${value}, but must be from ${low} to ${high}`);
    }
    return [key, value];
  });
  return Object.fromEntries(values) as ObjectiveOptions;
}
