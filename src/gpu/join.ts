/**
 * Puts shader files together as text where one leaves a part open that others fill: a formula and its driver, a kernel and
 * the format of its weights. Every line keeps its origin, so that an error names the file that was written. Knows nothing
 * of what the parts say.
 */
import type { Shader } from './shader.ts';

/** One shader of two, under a path of its own. */
export function concatenated(first: Shader, second: Shader, path: string): Shader {
  const code = first.code.endsWith('\n') ? first.code : `${first.code}\n`;
  return { path, code: code + second.code, lines: [...first.lines, ...second.lines] };
}

const known = new WeakMap<Shader, WeakMap<Shader, Shader>>();

/** One shader of two, called `losses/ipo.wgsl + js`. The same two give the same shader. */
export function joined(first: Shader, second: Shader): Shader {
  const ofFirst = known.get(first) ?? new WeakMap<Shader, Shader>();
  known.set(first, ofFirst);
  const name = /([\w-]+)\.wgsl$/.exec(second.path)?.[1] ?? second.path;
  const made = ofFirst.get(second) ?? concatenated(first, second, `${first.path} + ${name}`);
  ofFirst.set(second, made);
  return made;
}
