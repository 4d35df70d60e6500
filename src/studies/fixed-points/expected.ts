/**
 * The expected credit of a completion over the rest of its group, so that a step can follow the expected gradient. Groups
 * of two are listed, with the function that rollouts use; a large group has the statistics of the policy.
 */
import { DIVISORS, type Divisor, type DivisorContext } from 'webalign/losses';
import { type AdvantageOptions, advantages } from 'webalign/rollouts';
import { type Distribution, expectation, type Problem } from './problem.ts';

/** Expectations over the other completions of a group, given that a completion is sampled. A is its advantage, w its weight. */
export interface Credit {
  /** E[w max(A, 0)] and E[w min(A, 0)], because formulas may treat signs differently. */
  positive: readonly number[];
  negative: readonly number[];
  /** E[w]: the weight of its own loss, whatever its advantage. */
  weight: readonly number[];
}

export type CreditRule = (problem: Problem, policy: Distribution, returns: readonly number[]) => Credit;

export type PairOptions = Omit<AdvantageOptions, 'numGenerations'>;

/** Groups of two: all pairs of completions, with the advantages that rollouts would compute. */
export function groupsOfTwo(options: PairOptions, over: Divisor): CreditRule {
  /** Rewards without a penalty do not change between steps. */
  const known = new WeakMap<readonly number[], Float64Array>();
  return ({ completions }, { probabilities }, returns) => {
    const values = known.get(returns) ?? advantagesOfPairs(returns, options);
    known.set(returns, values);
    const divisor = divisorOf(over);
    const lengths = completions.map(({ tokens }) => tokens.length);
    const [positive, negative, weight] = [0, 1, 2].map(() => new Array<number>(lengths.length).fill(0));
    let at = 0;
    for (const [y, own] of lengths.entries()) {
      for (const [z, other] of lengths.entries()) {
        const share = probabilities[z] / divisor([own, other]);
        const advantage = values[at];
        const side = advantage > 0 ? positive : negative;
        side[y] = side[y] + share * advantage;
        weight[y] = weight[y] + share;
        at += 2;
      }
    }
    return { positive, negative, weight } as Credit;
  };
}

function advantagesOfPairs(returns: readonly number[], options: PairOptions): Float64Array {
  const pairs = returns.flatMap((own) => returns.flatMap((other) => [own, other]));
  return advantages(pairs, { ...options, numGenerations: 2 });
}

/**
 * The divisor of the sum over a completion's tokens in a group of these lengths. The driver applies divisors that do not
 * depend on them.
 */
function divisorOf(over: Divisor): (lengths: readonly number[]) => number {
  const rule = DIVISORS[over] as (context: DivisorContext) => number;
  return (lengths) => rule({ batch: lengths, step: lengths, rollout: lengths, options: {} }) || 1;
}

/**
 * The mean of the others, for any group size: the expected value of a leave-one-out baseline is the policy's mean. Positive
 * and negative advantages are not separated, which does not matter without clipping.
 */
export const meanOfOthers: CreditRule = (_problem, policy, returns) => {
  const mean = expectation(policy, returns);
  return bySign(
    returns.map((value) => value - mean),
    1,
  );
};

/** Infinite groups: mean, deviation and mean length are those of the policy. */
export function largeGroups(over: Divisor): CreditRule {
  return ({ completions }, policy, returns) => {
    const mean = expectation(policy, returns);
    const squares = returns.map((value) => (value - mean) ** 2);
    const deviation = Math.sqrt(expectation(policy, squares)) + DEVIATION_EPSILON;
    const lengths = completions.map(({ tokens }) => tokens.length);
    const weight = 1 / divisorOf(over)([expectation(policy, lengths)]);
    return bySign(
      returns.map((value) => (weight * (value - mean)) / deviation),
      weight,
    );
  };
}

/** The same as in TRL and in `advantages`. */
const DEVIATION_EPSILON = 1e-4;

function bySign(values: readonly number[], weight: number): Credit {
  return {
    positive: values.map((a) => Math.max(a, 0)),
    negative: values.map((a) => Math.min(a, 0)),
    weight: values.map(() => weight),
  };
}

/** The same if the driver divides by each completion's own length. */
export function perToken(rule: CreditRule): CreditRule {
  return (problem, policy, returns) => {
    const { positive, negative, weight } = rule(problem, policy, returns);
    const divided = (values: readonly number[]) =>
      values.map((value, y) => value / problem.completions[y].tokens.length);
    return { positive: divided(positive), negative: divided(negative), weight: divided(weight) };
  };
}

/** E[w A]. */
export function meanAdvantages({ positive, negative }: Credit): number[] {
  return positive.map((value, y) => value + negative[y]);
}
