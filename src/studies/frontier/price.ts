/**
 * Methods at one β: their objective J = E[r] − β KL, and the gap to the optimum, from the reference's samples and from
 * their own.
 */
import { estimateGap, type GapEstimate } from 'webalign/theory';
import { type Estimate, estimate } from '../../cli/statistics.ts';
import { means } from '../shared/groups.ts';
import type { CurvePoint, Samples } from './analysis.ts';

/** A method at a given β. */
export interface Priced {
  /** J = E[r] − β KL. */
  objective: Estimate;
  /** J* − J, with J* from the reference's samples. Undefined if the curve does not reach this β. */
  gap: Estimate | undefined;
  /** From the method's own samples, if there are enough per prompt. */
  certificate: GapEstimate | undefined;
}

/** Minimum samples per prompt for a certificate. */
const LEAST_FOR_CERTIFICATE = 64;

export function pricedAt(beta: number, curve: readonly CurvePoint[], samples: Samples): Priced {
  const returns = samples.rewards.map((group, p) =>
    group.map((reward, i) => reward - beta * samples.logRatios[p]?.[i]),
  );
  const values = means(returns);
  const at = curve.find((point) => point.beta === beta);
  const enough = returns.every(({ length }) => length >= LEAST_FOR_CERTIFICATE);
  return {
    objective: estimate(values),
    gap: at && estimate(values.map((value, p) => beta * at.logPartitions[p] - value)),
    certificate: enough ? estimateGap(returns, beta) : undefined,
  };
}

/** β log Z from the reference's samples, corrected. */
export function optimumAt({ beta, logPartitions }: CurvePoint): Estimate {
  return estimate(logPartitions.map((logZ) => beta * logZ));
}
