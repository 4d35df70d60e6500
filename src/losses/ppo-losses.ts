/**
 * PPO's two losses as rows of the catalogue: the clipped surrogate of the policy and the clipped error of the values. Both are
 * means over the tokens of a batch.
 */
import ppoShader from '../../shaders/losses/ppo.wgsl';
import ppoValueShader from '../../shaders/losses/ppo-value.wgsl';
import type { Family } from './family.ts';
import type { Loss } from './loss.ts';
import { option } from './options.ts';
import { TOKEN_RECORD } from './units.ts';

/** Options that are settings of the trainer. */
export const PPO_OPTIONS = {
  /** The ratio of a token to the sampling policy is clipped to 1 ± this. */
  cliprange: option({
    trainers: ['ppo'],
    always: true,
    default: 0.2,
    range: { from: 0 },
    trl: 'cliprange',
    help: 'the ratio of a token is clipped to 1 ± this',
  }),
  /** Values are clipped to this distance from their values at sampling time. */
  cliprangeValue: option({
    trainers: ['ppo'],
    always: true,
    default: 0.2,
    range: { from: 0 },
    trl: 'cliprange_value',
    help: 'values are clipped to this distance from their values at sampling time',
  }),
};

/** β is in the advantages and the returns. */
const BETA = { default: 0.05, range: { from: 0 } };
const { tokens } = TOKEN_RECORD;

/** Schulman et al. 2017, with an advantage for each token. */
const ppo: Loss = {
  name: 'ppo',
  unit: 'token',
  shader: ppoShader,
  reads: { advantage: { per: 'row' }, oldLogprobs: { per: 'row' } },
  options: { beta: BETA, cliprange: PPO_OPTIONS.cliprange },
  metrics: {
    loss: TOKEN_RECORD.loss,
    'loss/policy_avg': TOKEN_RECORD.loss,
    'policy/clipfrac_avg': [TOKEN_RECORD.firstNote, tokens],
    'policy/approxkl_avg': [TOKEN_RECORD.secondNote, tokens],
    'val/ratio': [TOKEN_RECORD.thirdNote, tokens],
  },
  referenceFree: true,
};

/** The loss of the values, one number per state. */
const ppoValue: Loss = {
  name: 'ppo_value',
  unit: 'token',
  shader: ppoValueShader,
  reads: { oldValues: { per: 'row' }, returns: { per: 'row' } },
  options: { beta: BETA, cliprangeValue: PPO_OPTIONS.cliprangeValue },
  metrics: {
    loss: TOKEN_RECORD.loss,
    'loss/value_avg': TOKEN_RECORD.loss,
    'val/clipfrac_avg': [TOKEN_RECORD.firstNote, tokens],
  },
  referenceFree: true,
};

export const PPO_LOSSES: readonly Loss[] = [ppo, ppoValue];

/** The second loss is for the value model. */
export const PPO_FAMILY = {
  losses: PPO_LOSSES,
  lossType: 'ppo',
  usesReference: false,
} as const satisfies Family;
