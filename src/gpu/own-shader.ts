/**
 * Shaders written outside the library: WGSL text whose `#include`s name files that the library offers. Keeps the origin of every
 * line, so that a compile error names the file that was written.
 */
import dispatch from '../../shaders/lib/dispatch.wgsl';
import reduce from '../../shaders/lib/reduce.wgsl';
import { own } from '../base/lookup.ts';
import type { Shader, ShaderLine } from './shader.ts';

/** What a kernel of one's own may include. */
const OFFERED: Readonly<Record<string, Shader>> = {
  'lib/dispatch.wgsl': dispatch,
  'lib/reduce.wgsl': reduce,
};

const INCLUDE = /^[ \t]*#include[ \t]+"([^"]+)"[^\n]*$/;

/**
 * A shader of WGSL, for {@link kernels}. `path` is its name in labels and errors. It may include `lib/dispatch.wgsl`
 * (`linear_group`: the number of a workgroup, whatever the number of dimensions that it was started in; a kernel needs it
 * where more than 65,535 groups may be started) and `lib/reduce.wgsl` (`reduce_sum` and `reduce_max` over a workgroup, in a
 * fixed order). Throws a RangeError for another include.
 */
export function shader(path: string, code: string): Shader {
  return withIncludes(path, code, OFFERED).shader;
}

/** Expands includes of offered files, each once. Throws a RangeError for another. */
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
      throw new RangeError(`${path}:${index + 1}: cannot include "${name}"; offered are ${known.join(', ')}`);
    }
    if (included.includes(name)) continue;
    included.push(name);
    text.push(...file.code.replace(/\n$/, '').split('\n'));
    lines.push(...file.lines);
  }
  return { shader: { path, code: `${text.join('\n')}\n`, lines }, included };
}
