/**
 * User-written input for computing advantages: rewards of completions, and how they are compared. Validates everything and
 * names the invalid field; `advantages.ts` computes the advantages.
 */
import { counted } from '../base/counted.ts';
import { isOwn, own } from '../base/lookup.ts';
import { didYouMean } from '../base/suggest.ts';
import { InputError, listed, quote } from '../io/errors.ts';
import {
  AGGREGATIONS,
  type Aggregation,
  BASELINES,
  type Baseline,
  SCALES,
  type Scale,
} from './advantages.ts';

/** Fields under TRL's names, with GRPO's defaults. */
export interface AdvantageCase {
  /**
   * For each reward function, one number per completion, grouped by prompt, or null for a completion that it cannot rate. A
   * plain list of numbers is that of a single function.
   */
  rewards: readonly (readonly (number | null)[])[] | readonly (number | null)[];
  /** Completions per prompt. */
  numGenerations: number;
  /** Default: `group_mean`; RLOO uses `leave_one_out`. */
  baseline?: Baseline;
  /** Default: `group`, or `none` with another baseline. True means `group`, false means `none`. */
  scaleRewards?: Scale | boolean;
  /** Default: `sum_then_normalize`. */
  multiObjectiveAggregation?: Aggregation;
  /** One weight per function. */
  rewardWeights?: readonly number[] | null;
  /** Whether advantages are standardized over the batch; default: false. */
  normalizeAdvantages?: boolean;
}

type Values = Readonly<Record<string, unknown>>;
type Rewards = readonly (number | null)[];

const SPELLINGS: Readonly<Record<string, Scale>> = { true: 'group', false: 'none' };

/** The advantage of each completion. `where` names the case in errors. Throws {@link InputError} with the invalid field. */
export function advantagesOfCase(input: AdvantageCase, where = 'advantages'): number[] {
  const values = input as unknown as Values;
  checkNames(values, where);
  const functions = functionsOf(input.rewards, where);
  const count = functions[0].length;
  const { numGenerations, rewardWeights, normalizeAdvantages: normalize = false } = input;
  if (!(Number.isSafeInteger(numGenerations) && numGenerations >= 1))
    throw new InputError(where, `numGenerations is ${quote(numGenerations)}`, 'Give a whole number from 1');
  if (count % numGenerations !== 0) {
    const what = `numGenerations is ${numGenerations}, but there are ${count} completions`;
    throw new InputError(where, what, 'Give rewards for a multiple of numGenerations completions');
  }
  if (typeof normalize !== 'boolean')
    throw new InputError(where, `normalizeAdvantages is ${quote(normalize)}`, 'Give true or false');
  const weights = weightsOf(rewardWeights ?? functions.map(() => 1), functions.length, where);
  const baseline = oneOf(BASELINES, 'baseline', values.baseline ?? 'group_mean', where);
  const usual = baseline === 'group_mean' ? 'group' : 'none';
  const given = values.scaleRewards ?? usual;
  const scale = oneOf(SCALES, 'scaleRewards', own(SPELLINGS, String(given)) ?? given, where);
  const aggregation = oneOf(
    AGGREGATIONS,
    'multiObjectiveAggregation',
    values.multiObjectiveAggregation ?? 'sum_then_normalize',
    where,
  );
  const returns = Array.from({ length: count }, (_, i) => {
    const rated = functions.flatMap((rewards, f) => {
      const reward = rewards[i];
      return reward === null ? [] : [weights[f] * reward];
    });
    return rated.length === 0 ? null : rated.reduce((a, b) => a + b, 0);
  });
  const byFunction = new Map(
    functions.map((rewards, f) => [`${f + 1}`, { weight: weights[f], values: rewards }]),
  );
  const made = AGGREGATIONS[aggregation]({ baseline, scale, normalize });
  return Array.from(made({ returns, byFunction, numGenerations }));
}

function functionsOf(rewards: unknown, where: string): readonly Rewards[] {
  const wayOut = 'Give a list of numbers for each reward function, or one list';
  if (!Array.isArray(rewards) || rewards.length === 0)
    throw new InputError(where, `rewards is ${quote(rewards)}`, wayOut);
  const functions: unknown[] = rewards.some(Array.isArray) ? rewards : [rewards];
  const count = Array.isArray(functions[0]) ? functions[0].length : 0;
  for (const [f, list] of functions.entries()) {
    if (!Array.isArray(list)) throw new InputError(where, `rewards ${f + 1} is ${quote(list)}`, wayOut);
    if (list.length !== count || count === 0) {
      const what = `rewards ${f + 1} has ${counted(list.length, 'number')}, but rewards 1 has ${count}`;
      throw new InputError(where, what, 'Give one number per completion, or null');
    }
    const wrong = list.findIndex((value) => value !== null && !Number.isFinite(value));
    if (wrong < 0) continue;
    const what = `rewards ${f + 1} has ${quote(list[wrong])} for completion ${wrong + 1}`;
    throw new InputError(where, what, 'Give a number, or null if there is none');
  }
  return functions as Rewards[];
}

function weightsOf(weights: unknown, count: number, where: string): readonly number[] {
  if (Array.isArray(weights) && weights.length === count && weights.every(Number.isFinite)) return weights;
  throw new InputError(
    where,
    `rewardWeights is ${quote(weights)}`,
    `Give ${count} numbers, one per function`,
  );
}

function oneOf<Table extends object>(
  table: Table,
  name: string,
  value: unknown,
  where: string,
): keyof Table & string {
  if (typeof value === 'string' && isOwn(table, value)) return value as keyof Table & string;
  const known = Object.keys(table);
  const suggestion = typeof value === 'string' ? didYouMean(value, known) : '';
  throw new InputError(where, `${name} is ${quote(value)}`, `${suggestion}Supported: ${listed(known)}`);
}

const FIELDS: readonly (keyof AdvantageCase)[] = [
  'rewards',
  'numGenerations',
  'baseline',
  'scaleRewards',
  'multiObjectiveAggregation',
  'rewardWeights',
  'normalizeAdvantages',
];

function checkNames(values: Values, where: string): void {
  const unknown = Object.keys(values).find((name) => !(FIELDS as readonly string[]).includes(name));
  if (unknown === undefined) return;
  const wayOut = `${didYouMean(unknown, FIELDS)}Supported: ${listed(FIELDS)}`;
  throw new InputError(where, `${quote(unknown)} is not a field of advantages`, wayOut);
}
