/** Limits for untrusted files from the environment. Only reads the environment. */
import type { ReadOptions } from '../data/data-form.ts';
import { type Environment, numberIn } from './http-environment.ts';

/** `$WEBALIGN_DEADLINE` in seconds, as milliseconds, and `$WEBALIGN_MAX_UNFOLD`. */
export function strangerEnvironment(env: Environment = process.env): ReadOptions & { deadline?: number } {
  const seconds = numberIn(env, 'WEBALIGN_DEADLINE', 'seconds, such as 300', 0.001);
  const maxUnfold = numberIn(env, 'WEBALIGN_MAX_UNFOLD', 'times, such as 10', 0.001);
  return {
    ...(seconds !== undefined && { deadline: seconds * 1000 }),
    ...(maxUnfold !== undefined && { maxUnfold }),
  };
}
