/**
 * The settings of ORPO.
 */
import { ORPO_FAMILY } from '../../losses/pair-losses.ts';
import { ADAPTER, type Args, COMPLETIONS, type CompletionConfig, trainer } from './trainer.ts';

export const ORPO = trainer({ family: ORPO_FAMILY, settings: COMPLETIONS, defaults: {}, ...ADAPTER });

export interface ORPOConfig extends CompletionConfig {}

export type ORPOArgs = Args<ORPOConfig, typeof COMPLETIONS>;
