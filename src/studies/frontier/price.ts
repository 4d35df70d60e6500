/**
 * Methods at one price of a nat: their objective J = E[r] − β KL, what is left up to the optimum by the reference's samples,
 * and by their own.
 */
import { estimateGap, type GapEstimate } from 'webalign/theory';
import { type Estimate, estimate } from '../../cli/statistics.ts';
import { means } from '../shared/groups.ts';
import type { CurvePoint, Samples } from './analysis.ts';

/** A method at a price of β for a nat. */
export interface Priced {
  /** J = E[r] − β KL. */
  objective: Estimate;
  /** J* − J, with J* of the reference's samples. Undefined where the curve does not reach this β. */
  gap: Estimate | undefined;
  /** From the method's own samples, where there are `least` for each prompt. */
  certificate: GapEstimate | undefined;
}

/** Least samples of a prompt for a certificate. */
const LEAST_FOR_CERTIFICATE = 64;

export function pricedAt(beta: number, curve: readonly CurvePoint[], samples: Samples): Priced {
  const returns = samples.rewards.map((group, p) =>
    group.map((reward, i) => reward - beta * (samples.logRatios[p]?.[i] as number)),
  );
  const values = means(returns);
  const at = curve.find((point) => point.beta === beta);
  const enough = returns.every(({ length }) => length >= LEAST_FOR_CERTIFICATE);
  return {
    objective: estimate(values),
    gap: at && estimate(values.map((value, p) => beta * (at.logPartitions[p] as number) - value)),
    certificate: enough ? estimateGap(returns, beta) : undefined,
  };
}

/** β log Z from the reference's samples, corrected. */
export function optimumAt({ beta, logPartitions }: CurvePoint): Estimate {
  return estimate(logPartitions.map((logZ) => beta * logZ));
}
