/** The gap to the best policy, in words. */
import { type HeldOutPoint, LEAST_EFFECTIVE, type Optimum } from '../../shared/policy-run.ts';

const fixed = (value: number) => value.toFixed(2).replace('-', '−');

/** The gap of a point with its error, whether it is only a lower bound, and how much of the first one is left. */
export function gapSentence(
  { step, gap, gapError, effectiveSamples }: HeldOutPoint,
  first: HeldOutPoint | undefined,
  optimum: Optimum | undefined,
): string {
  if (!Number.isFinite(gap)) return 'No prompt was held out, so there is no gap to the best policy.';
  const isBound = effectiveSamples < LEAST_EFFECTIVE;
  const where = step === 0 ? 'before the first step' : `after step ${step}`;
  const error = Number.isFinite(gapError) ? ` ± ${fixed(gapError)}` : '';
  const value = `The gap to the best policy at this β is ${isBound ? 'at least ' : ''}${fixed(gap)}${error} ${where}.`;
  const bound = isBound
    ? ` This is a lower bound: the drafts are worth ${fixed(effectiveSamples)} effective samples of the best policy a prompt, fewer than ${LEAST_EFFECTIVE}.`
    : '';
  const change =
    first && first.step < step && Number.isFinite(first.gap)
      ? ` Before the first step it was ${first.effectiveSamples < LEAST_EFFECTIVE ? 'at least ' : ''}${fixed(first.gap)}.`
      : '';
  const best = optimum ? ` β log Z, the J of the best policy, is at least ${fixed(optimum.mean)}.` : '';
  return `${value}${bound}${change}${best}`;
}
