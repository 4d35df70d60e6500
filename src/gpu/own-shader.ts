/**
 * User-defined shaders: WGSL text with `#include`s of files that the library provides. Stores the origin of every line, so
 * that a compile error names the source file.
 */
import dispatch from '../../shaders/lib/dispatch.wgsl';
import reduce from '../../shaders/lib/reduce.wgsl';
import { own } from '../base/lookup.ts';
import type { Shader, ShaderLine } from './shader.ts';

/** Files that a user-defined kernel may include. */
const OFFERED: Readonly<Record<string, Shader>> = {
  'lib/dispatch.wgsl': dispatch,
  'lib/reduce.wgsl': reduce,
};

const INCLUDE = /^[ \t]*#include[ \t]+"([^"]+)"[^\n]*$/;

/**
 * A shader from WGSL, for {@link kernels}. `path` is its name in labels and errors. It may include `lib/dispatch.wgsl`
 * (`linear_group`: the linear index of a workgroup, independent of the dispatch dimensions; needed if more than 65,535
 * workgroups may be started) and `lib/reduce.wgsl` (`reduce_sum` and `reduce_max` over a workgroup, in a fixed order).
 * Throws a RangeError for any other include.
 */
export function shader(path: string, code: string): Shader {
  return withIncludes(path, code, OFFERED).shader;
}

/** Expands each include once. Throws a RangeError for an unknown file. */
export function withIncludes(
  path: string,
  code: string,
  offered: Readonly<Record<string, Shader>>,
): { shader: Shader; included: string[] } {
  const included: string[] = [];
  const text: string[] = [];
  const lines: ShaderLine[] = [];
  for (const [index, line] of code
    .replace(/\r?\n$/, '')
    .split(/\r?\n/)
    .entries()) {
    const name = INCLUDE.exec(line)?.[1];
    if (name === undefined) {
      text.push(line);
      lines.push({ file: path, line: index + 1 });
      continue;
    }
    const file = own(offered, name);
    if (!file) {
      const known = Object.keys(offered).map((each) => `"${each}"`);
      throw new RangeError(`${path}:${index + 1}: cannot include "${name}"; supported: ${known.join(', ')}`);
    }
    if (included.includes(name)) continue;
    included.push(name);
    text.push(...file.code.replace(/\n$/, '').split('\n'));
    lines.push(...file.lines);
  }
  return { shader: { path, code: `${text.join('\n')}\n`, lines }, included };
}
