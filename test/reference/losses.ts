/**
 * Every loss and divergence in float64 as TRL defines it: from sums of token log-probabilities, a loss for each record and
 * the derivative of their sum. Derivatives come from {@link Dual}.
 */
import { mean, type Reals } from './arrays.ts';
import { Dual } from './dual.ts';

/** Sums over completion tokens, one per pair. */
export interface PairLogprobs {
  policyChosen: Reals;
  policyRejected: Reals;
  referenceChosen: Reals;
  referenceRejected: Reals;
  /** Tokens of the completions; default 1. */
  chosenTokens?: Reals;
  rejectedTokens?: Reals;
  /** By how much the chosen reward should be larger; default 0. */
  margin?: Reals;
}

/** `beta` and the loss's own options, named as in the catalogue. */
export type Options = Readonly<Record<string, number>>;

export interface Divergence {
  type: string;
  alpha?: number;
}

/** All values are per pair. */
export interface PairResult {
  losses: Float64Array;
  /** d sum of losses / d policyChosen[p], not divided by the number of pairs. */
  dchosen: Float64Array;
  drejected: Float64Array;
  chosenRewards: Float64Array;
  rejectedRewards: Float64Array;
}

interface Completion {
  logp: Dual;
  reference: number;
  tokens: number;
  ratio: Dual;
  score: Dual;
  /** Of its pair. */
  margin: number;
}

type Formula = (chosen: Completion[], rejected: Completion[], options: Options) => Dual[];

/** f′(t) of t = π/π_ref, given log t. Exponents stop at 80. */
const SCORES: Readonly<Record<string, (logT: Dual, alpha: number) => Dual>> = {
  reverse_kl: (logT) => logT,
  forward_kl: (logT) => power(logT, -1).times(-1),
  js: (logT) => logT.logSigmoid().plus(Math.LN2),
  alpha: (logT, alpha) => (alpha === 1 ? logT : power(logT, alpha - 1).times(1 / (alpha - 1))),
};

/** t^k − 1. */
function power(logT: Dual, k: number): Dual {
  const exponent = logT.value * k;
  return exponent > 80
    ? new Dual(Math.expm1(80))
    : logT.through(Math.expm1(exponent), k * Math.exp(exponent));
}

/** A formula that is applied to each pair separately. */
const each =
  (formula: (chosen: Completion, rejected: Completion, options: Options) => Dual): Formula =>
  (chosen, rejected, options) =>
    chosen.map((completion, p) => formula(completion, rejected[p], options));

/** A formula of z = β (s₊ − s₋). */
const ofMargin = (formula: (z: Dual, options: Options) => Dual) =>
  each((chosen, rejected, options) =>
    formula(chosen.score.minus(rejected.score).times(options.beta), options),
  );

const perToken = (of: Dual, { tokens }: Completion) => of.times(1 / Math.max(1, tokens));

function smoothed(z: Dual, e: number): Dual {
  return z
    .logSigmoid()
    .times(-(1 - e))
    .minus(z.times(-1).logSigmoid().times(e));
}

function log1mexp(x: Dual): Dual {
  const { value } = x;
  const log = value > -Math.LN2 ? Math.log(-Math.expm1(value)) : Math.log1p(-Math.exp(value));
  return x.through(log, Math.exp(value) / Math.expm1(value));
}

/** log of the odds of the chosen completion's mean token over those of the rejected one's. */
function logOdds(chosen: Completion, rejected: Completion): Dual {
  const [a, b] = [perToken(chosen.logp, chosen), perToken(rejected.logp, rejected)];
  return a.minus(b).minus(log1mexp(a).minus(log1mexp(b)));
}

/** Sorted values compared with sorted values; a row's loss is that of the rank of its own `first`. */
function transport(first: Dual[], second: Dual[], { beta, labelSmoothing }: Options): Dual[] {
  const order = first.map((_, p) => p).sort((p, q) => first[p].value - first[q].value);
  const others = [...second].sort((a, b) => a.value - b.value);
  const losses: Dual[] = [];
  order.forEach((p, rank) => {
    losses[p] = smoothed(first[p].minus(others[rank]).times(beta), labelSmoothing);
  });
  return losses;
}

const PAIRWISE: Readonly<Record<string, Formula>> = {
  sigmoid: ofMargin((z, { labelSmoothing }) => smoothed(z, labelSmoothing)),
  hinge: ofMargin((z) => (z.value < 1 ? z.times(-1).plus(1) : new Dual(0))),
  ipo: each((chosen, rejected, { beta, ipoTokenMean }) => {
    const [a, b] =
      ipoTokenMean === 1
        ? [perToken(chosen.score, chosen), perToken(rejected.score, rejected)]
        : [chosen.score, rejected.score];
    return a
      .minus(b)
      .minus(1 / (2 * beta))
      .squared();
  }),
  robust: ofMargin((z, { labelSmoothing: e }) => {
    const clean = z.logSigmoid().times(-(1 - e));
    const flipped = z.times(-1).logSigmoid().times(-e);
    return clean.minus(flipped).times(1 / (1 - 2 * e));
  }),
  exo_pair: ofMargin((z, { labelSmoothing: e }) => {
    const flipped = z.times(-1);
    const straightPart = z.sigmoid().times(z.logSigmoid().minus(Math.log1p(-e)));
    return straightPart.plus(flipped.sigmoid().times(flipped.logSigmoid().minus(Math.log(e))));
  }),
  nca_pair: each((chosen, rejected, { beta }) => {
    const [c, r] = [chosen.ratio.times(beta), rejected.ratio.times(beta)];
    const halves = c.times(-1).logSigmoid().plus(r.times(-1).logSigmoid()).times(0.5);
    return c.logSigmoid().plus(halves).times(-1);
  }),
  bco_pair: each((chosen, rejected, { beta }) =>
    chosen.ratio.times(beta).logSigmoid().plus(rejected.ratio.times(-beta).logSigmoid()).times(-1),
  ),
  sppo_hard: each(({ ratio }, rejected, { beta }) =>
    ratio
      .minus(0.5 / beta)
      .squared()
      .plus(rejected.ratio.plus(0.5 / beta).squared()),
  ),
  aot: (chosen, rejected, options) => {
    const margins = chosen.map(({ logp }, p) => logp.minus(rejected[p].logp));
    const references = chosen.map(({ reference }, p) => new Dual(reference - rejected[p].reference));
    return transport(margins, references, options);
  },
  aot_unpaired: (chosen, rejected, options) => {
    const [first, second] = [chosen, rejected].map((side) => side.map(({ ratio }) => ratio));
    return transport(first, second, options);
  },
  apo_zero: each((chosen, rejected, { beta }) =>
    chosen.ratio.times(-beta).sigmoid().plus(rejected.ratio.times(beta).sigmoid()),
  ),
  apo_down: each(({ ratio }, rejected, { beta }) =>
    ratio.times(beta).sigmoid().plus(ratio.minus(rejected.ratio).times(-beta).sigmoid()),
  ),
  discopop: ofMargin((z, { discopopTau }) => {
    const u = z.times(1 / discopopTau);
    return z.logSigmoid().times(-1).times(u.times(-1).sigmoid()).plus(z.times(-1).exp().times(u.sigmoid()));
  }),
  cal_dpo: each(({ ratio }, rejected, { beta, calDpoShift: s }) =>
    ratio
      .minus(rejected.ratio)
      .logSigmoid()
      .times(-1)
      .plus(ratio.minus((1 - s) / beta).squared())
      .plus(rejected.ratio.plus(s / beta).squared()),
  ),
  sigmoid_norm: each((chosen, rejected, { beta }) =>
    perToken(chosen.score, chosen)
      .minus(perToken(rejected.score, rejected))
      .times(beta)
      .logSigmoid()
      .times(-1),
  ),
  simpo: each((chosen, rejected, { beta, labelSmoothing, simpoGamma }) => {
    const margin = perToken(chosen.logp, chosen).minus(perToken(rejected.logp, rejected));
    return smoothed(margin.times(beta).minus(simpoGamma), labelSmoothing);
  }),
  orpo: each((chosen, rejected, { beta }) =>
    perToken(chosen.logp, chosen).times(-1).minus(logOdds(chosen, rejected).logSigmoid().times(beta)),
  ),
  bradley_terry: each((chosen, rejected, { beta, centerRewardsCoefficient }) => {
    const [c, r] = [chosen.score.times(beta), rejected.score.times(beta)];
    const comparison = c.minus(r).minus(chosen.margin).logSigmoid().times(-1);
    return comparison.plus(c.plus(r).squared().times(centerRewardsCoefficient));
  }),
  sft: each((chosen) => perToken(chosen.logp, chosen).times(-1)),
};

/** Losses whose rewards are β times token means of the policy alone. */
const MEAN_REWARDS = ['simpo', 'orpo'];

/** A loss on pairs, by its name in the catalogue. */
export function pairwise(
  name: string,
  sums: PairLogprobs,
  options: Options,
  { type, alpha = 0.5 }: Divergence = { type: 'reverse_kl' },
): PairResult {
  const side = (logps: Reals, references: Reals, tokens: Reals | undefined, first: number) =>
    Array.from(logps, (value, p): Completion => {
      const logp = Dual.variable(value, 2 * p + first);
      const ratio = logp.minus(references[p]);
      const score = SCORES[type](ratio, alpha);
      const margin = sums.margin?.[p] ?? 0;
      return { logp, reference: references[p], tokens: tokens?.[p] ?? 1, ratio, score, margin };
    });
  const chosen = side(sums.policyChosen, sums.referenceChosen, sums.chosenTokens, 0);
  const rejected = side(sums.policyRejected, sums.referenceRejected, sums.rejectedTokens, 1);
  const losses = PAIRWISE[name](chosen, rejected, options);
  const slopes = slopesOf(losses, 2 * chosen.length);
  const reward = (completion: Completion) =>
    options.beta *
    (MEAN_REWARDS.includes(name)
      ? completion.logp.value / Math.max(1, completion.tokens)
      : completion.ratio.value);
  return {
    losses: Float64Array.from(losses, ({ value }) => value),
    dchosen: slopes.filter((_, s) => s % 2 === 0),
    drejected: slopes.filter((_, s) => s % 2 === 1),
    chosenRewards: Float64Array.from(chosen, reward),
    rejectedRewards: Float64Array.from(rejected, reward),
  };
}

/** The score of each log-ratio under a divergence, and its slope. */
export function scores(ratios: Reals, { type, alpha = 0.5 }: Divergence) {
  const all = Array.from(ratios, (ratio, i) => SCORES[type](Dual.variable(ratio, i), alpha));
  return { scores: Float64Array.from(all, ({ value }) => value), slopes: slopesOf(all, all.length) };
}

/** Log odds of each pair, and log σ of them: the metrics of ORPO. */
export function oddsRatios({ policyChosen, policyRejected, chosenTokens, rejectedTokens }: PairLogprobs) {
  const bare = (logps: Reals, tokens: Reals | undefined, p: number): Completion => {
    const logp = new Dual(logps[p]);
    return { logp, reference: 0, tokens: tokens?.[p] ?? 1, ratio: logp, score: logp, margin: 0 };
  };
  const odds = Array.from(policyChosen, (_, p) =>
    logOdds(bare(policyChosen, chosenTokens, p), bare(policyRejected, rejectedTokens, p)),
  );
  return {
    odds: Float64Array.from(odds, ({ value }) => value),
    ratios: Float64Array.from(odds, (o) => o.logSigmoid().value),
  };
}

/** Completions with a label each, and the measured log-ratios for KTO's baseline. */
export interface LabelledLogprobs {
  policy: Reals;
  reference: Reals;
  desirable: readonly boolean[];
  tokens?: Reals;
  /** max(0, mean log-ratio of mismatched completions); 0 if left out. */
  kl?: number;
}

const LABELLED: Readonly<Record<string, (logp: Dual, ratio: Dual, wanted: boolean, o: Options) => Dual>> = {
  kto: (_, ratio, wanted, { beta, kl, desirableWeight, undesirableWeight }) => {
    const [z, weight] = wanted
      ? [ratio.minus(kl), desirableWeight]
      : [ratio.minus(kl).times(-1), undesirableWeight];
    // 1 − σ(βz)
    return z.times(-beta).sigmoid().times(weight);
  },
  apo_zero_unpaired: (_, ratio, wanted, { beta, desirableWeight, undesirableWeight }) =>
    wanted
      ? ratio.times(-beta).sigmoid().times(desirableWeight)
      : ratio.times(beta).sigmoid().times(undesirableWeight),
  nll: (logp, _, __, { tokens }) => logp.times(-1 / tokens),
};

/** A loss on labeled completions, by its name in the catalogue. */
export function labelled(name: string, examples: LabelledLogprobs, options: Options) {
  const { policy, reference, desirable, tokens, kl = 0 } = examples;
  const losses = Array.from(policy, (value, e) => {
    const logp = Dual.variable(value, e);
    const own = { ...options, kl, tokens: tokens?.[e] ?? 1 };
    return LABELLED[name](logp, logp.minus(reference[e]), desirable[e], own);
  });
  return {
    losses: Float64Array.from(losses, ({ value }) => value),
    dcompletion: slopesOf(losses, policy.length),
  };
}

/** The derivative of a sum with respect to each variable. */
function slopesOf(losses: readonly Dual[], count: number): Float64Array {
  const slopes = new Float64Array(count);
  for (const loss of losses) for (const [index, slope] of loss.slopes) slopes[index] += slope;
  return slopes;
}

/** DPO with TRL's metrics, a tie counting as wrong; `loss` is the mean over the pairs. */
export function dpo(
  sums: PairLogprobs,
  { beta, labelSmoothing = 0 }: { beta: number; labelSmoothing?: number },
) {
  const result = pairwise('sigmoid', sums, { beta, labelSmoothing });
  const { losses, chosenRewards, rejectedRewards } = result;
  const margins = chosenRewards.map((reward, p) => reward - rejectedRewards[p]);
  return {
    ...result,
    loss: mean(losses),
    metrics: {
      'rewards/chosen': mean(chosenRewards),
      'rewards/rejected': mean(rejectedRewards),
      'rewards/margins': mean(margins),
      'rewards/accuracies': mean(margins.map((margin) => (margin > 0 ? 1 : 0))),
      'logps/chosen': mean(sums.policyChosen),
      'logps/rejected': mean(sums.policyRejected),
    },
  };
}
