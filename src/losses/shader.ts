/**
 * Losses from outside the library: puts a formula on the driver that it names. Keeps the origin of every line; knows no
 * formula.
 */

import groupRelative from '../../shaders/lib/group-relative.wgsl';
import labelled from '../../shaders/lib/labelled.wgsl';
import pairwise from '../../shaders/lib/pairwise.wgsl';
import policy from '../../shaders/lib/policy.wgsl';
import tokenwise from '../../shaders/lib/tokenwise.wgsl';
import { own } from '../base/lookup.ts';
import { concatenated } from '../gpu/join.ts';
import type { Shader } from '../gpu/shader.ts';

const DRIVERS: Readonly<Record<string, Shader>> = {
  'lib/pairwise.wgsl': pairwise,
  'lib/labelled.wgsl': labelled,
  'lib/tokenwise.wgsl': tokenwise,
  'lib/policy.wgsl': policy,
  'lib/group-relative.wgsl': groupRelative,
};

const INCLUDE = /^[ \t]*#include[ \t]+"([^"]+)"[^\n]*$/m;

/**
 * The shader of a loss written outside the library: WGSL that includes `lib/pairwise.wgsl`, `lib/labelled.wgsl` or
 * `lib/tokenwise.wgsl`, with `struct Options` and `fn loss`, which may use all that the driver declares. `path` names
 * it in errors. Throws a RangeError for another include, and for none.
 */
export function lossShader(path: string, formula: string): Shader {
  const include = INCLUDE.exec(formula)?.[1];
  const driver = own(DRIVERS, include ?? '');
  if (!driver) {
    const known = Object.keys(DRIVERS).map((name) => `#include "${name}"`);
    throw new RangeError(`${path}: a loss stands on its driver; write ${known.join(' or ')}`);
  }
  const code = formula.replace(INCLUDE, '').replace(/\n?$/, '\n');
  const lines = code.split('\n').slice(0, -1);
  return concatenated(
    { path, code, lines: lines.map((_, index) => ({ file: path, line: index + 1 })) },
    driver,
    path,
  );
}
