/**
 * Losses from outside the library: puts a formula on the driver that it names. Keeps the origin of every line; knows no
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
 * The shader of a loss written outside the library: WGSL that includes `lib/pairwise.wgsl`, `lib/labelled.wgsl`,
 * `lib/tokenwise.wgsl`, `lib/policy.wgsl` or `lib/group-relative.wgsl`, with `struct Options` and `fn loss`, which may use all
 * that the driver declares. `path` names it in errors. Throws a RangeError for another include, and for none.
 */
export function lossShader(path: string, formula: string): Shader {
  const { shader, included } = withIncludes(path, formula, DRIVERS);
  if (included.length === 1) {
    made.add(shader);
    return shader;
  }
  const known = Object.keys(DRIVERS).map((name) => `#include "${name}"`);
  throw new RangeError(`${path}: a loss stands on its one driver; write ${known.join(' or ')}`);
}

/** All shaders of {@link lossShader}: what a file says is none of them. */
const made = new WeakSet<Shader>();

/** Whether a value is the descriptor of a loss from outside, made by a program and not read from a file. */
export function isOwnLoss(value: unknown): value is Loss {
  const { shader } = (value ?? {}) as Partial<Loss>;
  return typeof shader === 'object' && made.has(shader);
}
