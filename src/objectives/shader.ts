/**
 * Puts shaders of objectives together: a formula, its driver and a divergence, each a file that reads by itself. Joins
 * text and keeps the origin of every line; knows no formula.
 */
import labelled from '../../shaders/lib/labelled.wgsl';
import pairwise from '../../shaders/lib/pairwise.wgsl';
import type { Shader } from '../gpu/shader.ts';

const DRIVERS: Readonly<Record<string, Shader>> = {
  'lib/pairwise.wgsl': pairwise,
  'lib/labelled.wgsl': labelled,
};

const INCLUDE = /^[ \t]*#include[ \t]+"([^"]+)"[^\n]*$/m;

/**
 * The shader of an objective written outside the library: WGSL with `#include "lib/pairwise.wgsl"` or
 * `#include "lib/labelled.wgsl"`, `struct Options` and `fn objective`, which may use all that the driver declares. `path`
 * names it in errors. Throws a RangeError for another include, and for none.
 */
export function objectiveShader(path: string, formula: string): Shader {
  const include = INCLUDE.exec(formula)?.[1];
  const driver = DRIVERS[include ?? ''];
  if (!driver) {
    const known = Object.keys(DRIVERS).map((name) => `#include "${name}"`);
    throw new RangeError(`${path}: an objective stands on its driver; write ${known.join(' or ')}`);
  }
  const code = formula.replace(INCLUDE, '').replace(/\n?$/, '\n');
  const lines = code.split('\n').slice(0, -1);
  return joined(
    { path, code, lines: lines.map((_, index) => ({ file: path, line: index + 1 })) },
    driver,
    path,
  );
}

const known = new WeakMap<Shader, Map<Shader, Shader>>();

/** A formula with the divergence that makes scores of its ratios. The same two give the same shader. */
export function withDivergence(objective: Shader, divergence: Shader): Shader {
  const ofObjective = known.get(objective) ?? new Map<Shader, Shader>();
  known.set(objective, ofObjective);
  const made = ofObjective.get(divergence) ?? joined(objective, divergence, named(objective, divergence));
  ofObjective.set(divergence, made);
  return made;
}

/** `objectives/ipo.wgsl + js`. */
function named(objective: Shader, divergence: Shader): string {
  return `${objective.path} + ${/([\w-]+)\.wgsl$/.exec(divergence.path)?.[1] ?? divergence.path}`;
}

function joined(first: Shader, second: Shader, path: string): Shader {
  const code = first.code.endsWith('\n') ? first.code : `${first.code}\n`;
  return { path, code: code + second.code, lines: [...first.lines, ...second.lines] };
}
