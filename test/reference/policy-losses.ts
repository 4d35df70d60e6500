/**
 * Losses on sampled tokens in float64, one completion at a time, as defined by their papers and TRL; derivatives come from
 * finite differences of these.
 */

export interface SampledCompletion {
  /** log π of each token. */
  logp: Float64Array;
  /** log π of the policy that sampled the tokens. */
  old: ArrayLike<number>;
  reference: ArrayLike<number>;
  /** Advantage of each token; all have the same sign, and 0 masks a token. */
  advantage: ArrayLike<number>;
}

export interface PolicyOptions {
  beta: number;
  epsilon: number;
  epsilonHigh: number;
  delta: number;
  /** Whether ratios are those of whole completions. */
  sequence: boolean;
  corrected: boolean;
  threshold: number;
}

export const POLICY_DEFAULTS: PolicyOptions = {
  beta: 0,
  epsilon: 0.2,
  epsilonHigh: 0.2,
  delta: Number.POSITIVE_INFINITY,
  sequence: false,
  corrected: true,
  threshold: Number.POSITIVE_INFINITY,
};

/** Token losses of a completion at `logp`; quantities without a gradient are computed at `fixed`. */
export type PolicyLoss = (given: SampledCompletion, fixed: Float64Array, options: PolicyOptions) => number[];

const clamp = (x: number, low: number, high: number) => Math.min(Math.max(x, low), high);
const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

const logRatios = ({ old }: SampledCompletion, logp: Float64Array) =>
  Array.from(logp, (value, t) => value - old[t]);

/** ρ of each token, or of the completion instead. */
function ratios(given: SampledCompletion, logp: Float64Array, { sequence }: PolicyOptions): number[] {
  const logs = logRatios(given, logp);
  return logs.map((value) => Math.exp(sequence ? mean(logs) : value));
}

/** Advantages without those that the off-policy mask drops. */
function kept(given: SampledCompletion, fixed: Float64Array, { threshold }: PolicyOptions): number[] {
  const drift = -mean(logRatios(given, fixed));
  return Array.from(given.advantage, (value) => (value < 0 && drift > threshold ? 0 : value));
}

function withKl(given: SampledCompletion, losses: number[], options: PolicyOptions): number[] {
  const { logp, reference } = given;
  const ratio = ratios(given, logp, options);
  return losses.map((loss, t) => {
    const k1 = logp[t] - reference[t];
    const k3 = Math.expm1(-k1) + k1;
    return loss + options.beta * k3 * (options.corrected ? ratio[t] : 1);
  });
}

const clipped: PolicyLoss = (given, fixed, options) => {
  const { epsilon, epsilonHigh, delta } = options;
  const gains = kept(given, fixed, options);
  const losses = ratios(given, given.logp, options).map((ratio, t) => {
    const gain = gains[t];
    return -Math.min(Math.min(ratio, delta) * gain, clamp(ratio, 1 - epsilon, 1 + epsilonHigh) * gain);
  });
  return withKl(given, losses, options);
};

const cispo: PolicyLoss = (given, fixed, options) => {
  const gains = kept(given, fixed, options);
  const weights = ratios(given, fixed, options).map((ratio) => Math.min(ratio, options.epsilonHigh));
  const losses = weights.map((weight, t) => -weight * gains[t] * given.logp[t]);
  return withKl(given, losses, options);
};

const sapo: PolicyLoss = (given, fixed, options) => {
  const gains = kept(given, fixed, options);
  const losses = ratios(given, given.logp, options).map((ratio, t) => {
    const gain = gains[t];
    const temperature = gain > 0 ? 1 : 1.05;
    return (-gain * sigmoid(temperature * (ratio - 1)) * 4) / temperature;
  });
  return withKl(given, losses, options);
};

const vespo: PolicyLoss = (given, fixed, options) => {
  const gains = kept(given, fixed, options);
  const sum = logRatios(given, fixed).reduce((a, b) => a + clamp(b, -20, 20), 0);
  const log = clamp(sum, Math.log(1e-8), 20);
  const losses = gains.map((gain, t) => {
    const [k, lambda] = given.advantage[t] >= 0 ? [2, 3] : [3, 2];
    const phi = Math.exp(lambda + k * log - lambda * Math.exp(log));
    return -phi * gain * given.logp[t];
  });
  return withKl(given, losses, options);
};

const gmpo: PolicyLoss = (given, _, options) => {
  const { advantage } = given;
  const logs = logRatios(given, given.logp);
  const parts = logs.flatMap((value, t) => {
    if (advantage[t] === 0) return [];
    return advantage[t] > 0 ? Math.min(value, options.epsilonHigh) : Math.max(value, -options.epsilon);
  });
  const coefficient = parts.length > 0 ? Math.exp(mean(parts)) : 0;
  const gain = Array.from(advantage).find((value) => value !== 0) ?? 0;
  return withKl(
    given,
    logs.map(() => -coefficient * gain),
    { ...options, corrected: false },
  );
};

const rloo: PolicyLoss = (given, _, { epsilon, epsilonHigh }) => {
  const ratio = Math.exp(logRatios(given, given.logp).reduce((a, b) => a + b, 0));
  const gain = given.advantage[0];
  const loss = -Math.min(ratio * gain, clamp(ratio, 1 - epsilon, 1 + epsilonHigh) * gain);
  return Array.from(given.logp, () => loss / given.logp.length);
};

export const POLICY_FORMULAS: Readonly<Record<string, PolicyLoss>> = {
  rloo,
  grpo: clipped,
  bnpo: clipped,
  dr_grpo: clipped,
  dapo: clipped,
  luspo: clipped,
  cispo,
  sapo,
  vespo,
  gmpo,
};

/** Sum of a completion's token losses, and its derivative with respect to every log π by central differences. */
export function policyLoss(
  name: string,
  given: SampledCompletion,
  options: Partial<PolicyOptions> = {},
): { loss: number; slopes: Float64Array } {
  const formula = POLICY_FORMULAS[name];
  const all = { ...POLICY_DEFAULTS, ...options };
  const fixed = given.logp.slice();
  const at: (logp: Float64Array) => number = (logp) =>
    formula({ ...given, logp }, fixed, all).reduce((a, b) => a + b, 0);
  const step = 1e-6;
  const slopes = given.logp.map((value, t) => {
    const moved = (by: number) => at(given.logp.with(t, value + by));
    return (moved(step) - moved(-step)) / (2 * step);
  });
  return { loss: at(given.logp), slopes };
}
