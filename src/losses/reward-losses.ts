/**
 * Losses of reward models, as rows of the catalogue: pairs of scores rather than log-probabilities.
 */
import bradleyTerryShader from '../../shaders/losses/bradley-terry.wgsl';
import type { Family } from './family.ts';
import type { Loss } from './loss.ts';
import { option } from './options.ts';
import { REWARD_METRICS } from './units.ts';

/** The options of these losses that are settings of trainers. */
export const REWARD_OPTIONS = {
  /** How strongly the rewards of a pair are pulled to a sum of 0. */
  centerRewardsCoefficient: option({
    trainers: ['reward'],
    always: true,
    default: 0,
    range: { from: 0 },
    trl: 'center_rewards_coefficient',
    help: 'how strongly the rewards of a pair are pulled to a sum of 0, such as 0.01; it also shrinks differences',
  }),
};

/** Bradley–Terry with a margin from the data (Llama 2) and centering (Eisenstein et al. 2023). */
const bradleyTerry: Loss = {
  name: 'bradley_terry',
  unit: 'pair',
  shader: bradleyTerryShader,
  reads: { margin: { per: 'example', default: 0 } },
  options: {
    beta: { default: 1, range: { from: 0 } },
    centerRewardsCoefficient: REWARD_OPTIONS.centerRewardsCoefficient,
  },
  metrics: REWARD_METRICS,
  referenceFree: true,
};

export const REWARD_LOSSES: readonly Loss[] = [bradleyTerry];

export const REWARD_FAMILY = {
  losses: REWARD_LOSSES,
  lossType: 'bradley_terry',
  usesReference: false,
} as const satisfies Family;
