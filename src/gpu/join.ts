/**
 * Concatenates shader files if one leaves a part open that another one fills: a formula and its driver, a kernel and the
 * format of its weights. Every line keeps its origin, so that an error names the source file. Does not interpret the code.
 */
import type { Shader } from './shader.ts';

/** Concatenates two shaders under a new path. */
export function concatenated(first: Shader, second: Shader, path: string): Shader {
  const code = first.code.endsWith('\n') ? first.code : `${first.code}\n`;
  return { path, code: code + second.code, lines: [...first.lines, ...second.lines] };
}

const known = new WeakMap<Shader, WeakMap<Shader, Shader>>();

/** Concatenates two shaders under a name such as `losses/ipo.wgsl + js`. Equal arguments return the same shader. */
export function joined(first: Shader, second: Shader): Shader {
  const ofFirst = known.get(first) ?? new WeakMap<Shader, Shader>();
  known.set(first, ofFirst);
  const name = /([\w-]+)\.wgsl$/.exec(second.path)?.[1] ?? second.path;
  const made = ofFirst.get(second) ?? concatenated(first, second, `${first.path} + ${name}`);
  ofFirst.set(second, made);
  return made;
}
