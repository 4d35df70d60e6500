/**
 * The settings of online DPO, which samples completions from the policy like the methods of `rollouts.ts`. Names and defaults are TRL's.
 */
import { choice, type Values } from '../../base/setting.ts';
import { ONLINE_DPO_FAMILY } from '../../losses/pair-losses.ts';
import { LOSS, REWARD } from './losses.ts';
import { ENDING } from './rollouts.ts';
import { type Args, type TrainingConfig, trainer } from './trainer.ts';
import { TRAINING } from './training.ts';
import { WRITTEN } from './written.ts';

/** How the two completions of a prompt become a pair. */
const LABELS = {
  /** `greedy`: the better one is chosen. `sampled`: the first is chosen with probability σ(r₁ − r₂). */
  labels: choice(['greedy', 'sampled'], {
    default: 'greedy',
    group: 'rollouts',
    trl: null,
    help: 'greedy: choose the completion with the higher reward; sampled: choose the first with probability σ(r₁ − r₂)',
  }),
  ...ENDING,
};

const SETTINGS = { ...TRAINING, ...REWARD, ...LOSS, ...WRITTEN, ...LABELS };

export const ONLINE_DPO = trainer({
  family: ONLINE_DPO_FAMILY,
  settings: SETTINGS,
  defaults: { learningRate: 5e-7, maxCompletionLength: 64, temperature: 0.9 },
  adapterDefaults: { learningRate: 5e-6 },
});

export interface OnlineDPOConfig
  extends TrainingConfig,
    Values<typeof REWARD>,
    Values<typeof LOSS>,
    Values<typeof WRITTEN>,
    Values<typeof LABELS> {}

export type OnlineDPOArgs = Args<OnlineDPOConfig, typeof SETTINGS>;
