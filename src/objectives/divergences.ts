/**
 * The f-divergences that may stand in for the reverse KL (Wang et al. 2024, Beyond Reverse KL), as data: each turns a
 * log-ratio r into a score f′(eʳ). A row is a shader with `fn divergence`.
 */
import reverseKl from '../../shaders/divergences/reverse-kl.wgsl';
import type { Shader } from '../gpu/shader.ts';

/** TRL's `f_divergence_type`, and what is behind it. */
export const DIVERGENCES: Readonly<Record<string, Shader>> = {
  reverse_kl: reverseKl,
};

export interface Divergence {
  /** TRL's `f_divergence_type`. */
  type: string;
  /** α of `alpha_divergence`. */
  alpha: number;
}

/** The divergence of objective (1). */
export const REVERSE_KL: Divergence = { type: 'reverse_kl', alpha: 0.5 };
