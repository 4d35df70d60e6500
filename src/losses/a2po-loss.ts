/**
 * The loss of A*-PO, as a row of the catalogue: a regression on completions sampled from the policy.
 */
import a2poShader from '../../shaders/losses/a2po.wgsl';
import type { Family } from './family.ts';
import type { Loss } from './loss.ts';
import { TOKEN_RECORD } from './units.ts';

/** A*-PO (Brantley et al. 2025). Its β is the trainer's `beta2`; r − V* is the column `advantage`. */
const a2po: Loss = {
  name: 'a2po',
  unit: 'token',
  shader: a2poShader,
  reads: { advantage: { per: 'sequence' } },
  options: { beta: { default: 1e-3, range: { from: 0 } } },
  metrics: {
    loss: TOKEN_RECORD.loss,
    implicit_reward: TOKEN_RECORD.firstNote,
    advantage: TOKEN_RECORD.secondNote,
  },
  over: 'sum',
};

export const A2PO_LOSSES: readonly Loss[] = [a2po];

export const A2PO_FAMILY = {
  losses: A2PO_LOSSES,
  lossType: 'a2po',
  usesReference: true,
} as const satisfies Family;
