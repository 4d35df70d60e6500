/**
 * Losses on tokens that the policy has sampled itself, as rows of the catalogue: policy gradients, whose rewards are in the
 * advantages.
 */
import rlooShader from '../../shaders/losses/rloo.wgsl';
import type { Loss } from './catalogue.ts';
import { option } from './options.ts';
import { TOKEN_RECORD } from './units.ts';

/** The options of these losses that trainers have as settings. */
export const POLICY_OPTIONS = {
  /** The ratio to the sampling policy is clipped below 1 less this, and above 1 plus it. */
  epsilon: option({
    trainers: ['rloo'],
    always: true,
    default: 0.2,
    range: { from: 0 },
    trl: 'epsilon',
    help: 'the ratio to the sampling policy is clipped at 1 less this and 1 plus it',
  }),
};

/** What losses on sampled tokens have in common. */
const POLICY = {
  unit: 'token',
  reads: { advantage: { per: 'sequence' }, oldLogprobs: { per: 'row' } },
} as const satisfies Partial<Loss>;

/** REINFORCE leave-one-out (Ahmadian et al. 2024); β is in the advantages. */
const rloo: Loss = {
  ...POLICY,
  name: 'rloo',
  shader: rlooShader,
  options: {
    beta: { default: 0.05, range: { from: 0 } },
    epsilon: POLICY_OPTIONS.epsilon,
    epsilonHigh: POLICY_OPTIONS.epsilon,
  },
  metrics: {
    loss: TOKEN_RECORD.loss,
    'clip_ratio/low_mean': TOKEN_RECORD.firstNote,
    'clip_ratio/high_mean': TOKEN_RECORD.secondNote,
  },
  referenceFree: true,
  over: 'sum',
};

export const POLICY_LOSSES: readonly Loss[] = [rloo];
