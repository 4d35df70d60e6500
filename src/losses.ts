/**
 * `webalign/losses`: the catalogue of losses and divergences, the drivers that run them on log-probabilities, and {@link
 * lossShader} for your own formula.
 *
 * @module webalign/losses
 */
export { batchLoss } from './losses/batch-loss.ts';
export { LOSSES } from './losses/catalogue.ts';
export { completionLoss, type Term } from './losses/completion-loss.ts';
export { DIVERGENCES, type Divergence, type DivergenceRow } from './losses/divergences.ts';
export { FAMILIES, type FamilyName } from './losses/families.ts';
export {
  type Family,
  type LossSettings,
  LossSettingsError,
  type LossType,
  lossOf,
  type TrainingLoss,
} from './losses/family.ts';
export type { Loss, LossOptions } from './losses/loss.ts';
export type { LossOption } from './losses/options.ts';
export { POLICYS_OWN } from './losses/policy-losses.ts';
export { lossShader } from './losses/shader.ts';
export { tokenLoss } from './losses/token-loss.ts';
export {
  DIVISORS,
  type Divisor,
  type DivisorContext,
  EXAMPLE_RECORD,
  type MetricColumn,
  type MetricColumns,
  PAIR_METRICS,
  PAIR_RECORD,
  TOKEN_RECORD,
} from './losses/units.ts';
export { evaluateLoss, type LossValues, type TokenLossValues } from './train/loss-cases/evaluate-loss.ts';
export type { ExampleNumbers, LossCase, PairNumbers } from './train/loss-cases/loss-case.ts';
export type { TokenLossCase, TokenNumbers } from './train/loss-cases/token-case.ts';
