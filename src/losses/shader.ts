/**
 * User-defined losses: joins a formula with the driver that it includes. Keeps the origin of every line; contains no
 * formula.
 */

import groupRelative from '../../shaders/lib/group-relative.wgsl';
import labelled from '../../shaders/lib/labelled.wgsl';
import pairwise from '../../shaders/lib/pairwise.wgsl';
import policy from '../../shaders/lib/policy.wgsl';
import tokenwise from '../../shaders/lib/tokenwise.wgsl';
import { withIncludes } from '../gpu/own-shader.ts';
import type { Shader } from '../gpu/shader.ts';
import type { Loss } from './loss.ts';

const DRIVERS: Readonly<Record<string, Shader>> = {
  'lib/pairwise.wgsl': pairwise,
  'lib/labelled.wgsl': labelled,
  'lib/tokenwise.wgsl': tokenwise,
  'lib/policy.wgsl': policy,
  'lib/group-relative.wgsl': groupRelative,
};

/**
 * The shader of a user-defined loss: WGSL that includes `lib/pairwise.wgsl`, `lib/labelled.wgsl`,
 * `lib/tokenwise.wgsl`, `lib/policy.wgsl` or `lib/group-relative.wgsl`, with `struct Options` and `fn loss`, which may use all
 * declarations of the driver. `path` is its name in errors. Throws a RangeError for any other include, and for a missing one.
 */
export function lossShader(path: string, formula: string): Shader {
  const { shader, included } = withIncludes(path, formula, DRIVERS);
  if (included.length === 1) {
    made.add(shader);
    return shader;
  }
  const known = Object.keys(DRIVERS).map((name) => `#include "${name}"`);
  throw new RangeError(`${path}: a loss must include exactly one driver; write ${known.join(' or ')}`);
}

/** All shaders made by {@link lossShader}; values read from a file are never among them. */
const made = new WeakSet<Shader>();

/** Whether a value is a user-defined descriptor, made by a program and not read from a file. */
export function isOwnLoss(value: unknown): value is Loss {
  const { shader } = (value ?? {}) as Partial<Loss>;
  return typeof shader === 'object' && made.has(shader);
}
