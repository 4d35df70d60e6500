/**
 * The preference objectives on pairs, as data: a formula in WGSL, its parameters and its way into the metrics. A new
 * objective is one `.wgsl` file and one row here; a user's own is the same row, made outside with {@link
 * objectiveShader}. Nothing in the library asks an objective for its name.
 */
import driver from '../../shaders/lib/pairwise.wgsl';
import sigmoidShader from '../../shaders/objectives/sigmoid.wgsl';
import type { Shader } from '../gpu/shader.ts';
import { type MetricColumns, REWARD_METRICS } from './record.ts';

/** Parameters of a formula by name: `beta`, which scales the rewards, and whatever else its `Params` declares. */
export type ObjectiveParameters = Readonly<Record<string, number> & { beta: number }>;

export interface PairwiseObjective {
  /** TRL's `loss_type`. */
  readonly name: string;
  /** The formula on top of `lib/pairwise.wgsl`. */
  readonly shader: Shader;
  /** Every parameter with its default: `labelSmoothing` here is `label_smoothing` in the shader. */
  readonly defaults: ObjectiveParameters;
  /** What a parameter may be, where that is not any finite number: [from, up to]. */
  readonly ranges: Readonly<Record<string, readonly [number, number]>>;
  /** What is logged of the records that the objective writes. */
  readonly metrics: MetricColumns;
}

/** DPO (Rafailov et al. 2023), with cDPO's label smoothing. */
export const sigmoid: PairwiseObjective = {
  name: 'sigmoid',
  shader: sigmoidShader,
  defaults: { beta: 0.1, labelSmoothing: 0 },
  ranges: { beta: [0, Number.MAX_VALUE], labelSmoothing: [0, 0.5] },
  metrics: REWARD_METRICS,
};

/** All of them, by name. */
export const PAIRWISE_OBJECTIVES: Readonly<Record<string, PairwiseObjective>> = Object.fromEntries(
  [sigmoid].map((objective) => [objective.name, objective]),
);

/**
 * The shader of an objective written outside the library: WGSL with `struct Params` and `fn objective`, which may use
 * all that `lib/pairwise.wgsl` declares. `path` names it in errors. The line that includes the library file may stand
 * or not.
 */
export function objectiveShader(path: string, formula: string): Shader {
  const own = formula.replace(/^[ \t]*#include[ \t]+"lib\/pairwise\.wgsl"[^\n]*$/m, '').replace(/\n?$/, '\n');
  const lines = own.split('\n').slice(0, -1);
  return {
    path,
    code: own + driver.code,
    lines: [...lines.map((_, index) => ({ file: path, line: index + 1 })), ...driver.lines],
  };
}

/**
 * The parameters of an objective with its defaults filled in. Throws a RangeError for a name that the objective does
 * not have, listing those it has, and for a value out of range.
 */
export function objectiveParameters(
  { name, defaults, ranges }: PairwiseObjective,
  given: Readonly<Record<string, number | undefined>> = {},
): ObjectiveParameters {
  const unknown = Object.keys(given).filter((key) => !(key in defaults));
  if (unknown.length > 0) {
    throw new RangeError(
      `objective ${name} has no ${unknown.join(', ')}; its parameters are ${Object.keys(defaults).join(', ')}`,
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
  return Object.fromEntries(values) as ObjectiveParameters;
}
