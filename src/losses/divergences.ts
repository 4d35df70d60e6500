/**
 * The f-divergences that can replace the reverse KL (Wang et al. 2024, Beyond Reverse KL), as data: each turns a
 * log-ratio r into a score f′(eʳ), normalized to f′(1) = 0. A row is a shader with `fn divergence`.
 */
import alpha from '../../shaders/divergences/alpha.wgsl';
import forwardKl from '../../shaders/divergences/forward-kl.wgsl';
import js from '../../shaders/divergences/js.wgsl';
import reverseKl from '../../shaders/divergences/reverse-kl.wgsl';
import type { Shader } from '../gpu/shader.ts';

export interface DivergenceRow {
  readonly shader: Shader;
  /** Its name in TRL's `f_divergence_type`, if that is longer. */
  readonly alias?: string;
}

export const DIVERGENCES: Readonly<Record<string, DivergenceRow>> = {
  reverse_kl: { shader: reverseKl },
  forward_kl: { shader: forwardKl },
  js: { shader: js, alias: 'js_divergence' },
  alpha: { shader: alpha, alias: 'alpha_divergence' },
};

/** The name in {@link DIVERGENCES} for a name or alias. */
export function divergenceNamed(name: string): string | undefined {
  return Object.entries(DIVERGENCES).find(([type, { alias }]) => type === name || alias === name)?.[0];
}

export interface Divergence {
  /** Its name in {@link DIVERGENCES}. */
  type: string;
  /** α of the α-divergence. */
  alpha: number;
}

/** The divergence of objective (1). */
export const REVERSE_KL: Divergence = { type: 'reverse_kl', alpha: 0.5 };
