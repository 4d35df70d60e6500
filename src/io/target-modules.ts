/**
 * Which linear layers an adapter adapts: PEFT's `target_modules` matched against a model's module names. Names only,
 * no weights.
 */
import { InputError, listed, quote } from './errors.ts';

/** Stands for every linear layer but the head, as in PEFT. */
export const ALL_LINEAR = 'all-linear';

/**
 * The full names out of `modules` (`model.layers.0.self_attn.q_proj`, …) that `targets` select: a target is a full
 * name or the last parts of one. Throws {@link InputError} with all the unknown targets and the valid ones.
 */
export function resolveTargetModules(
  targets: string | readonly string[],
  modules: readonly string[],
): string[] {
  if (targets === ALL_LINEAR) return modules.filter((module) => module !== 'lm_head');
  const list = typeof targets === 'string' ? [targets] : targets;
  const unknown = list.filter((target) => !modules.some((module) => isTarget(module, target)));
  if (unknown.length > 0 || list.length === 0) {
    const what =
      list.length === 0
        ? 'no module is named'
        : `no such module: ${unknown.map((name) => quote(name)).join(', ')}`;
    throw new InputError(
      'target modules',
      what,
      `Valid are ${listed(shortNames(modules), 32)} and ${ALL_LINEAR}`,
    );
  }
  return modules.filter((module) => list.some((target) => isTarget(module, target)));
}

/** The last parts of module names, each once: `q_proj`, `lm_head`. */
export function shortNames(modules: Iterable<string>): string[] {
  return [...new Set([...modules].map((module) => module.slice(module.lastIndexOf('.') + 1)))];
}

/** Whether `target` is the module's name or the last parts of it. */
export function isTarget(module: string, target: string): boolean {
  return module === target || module.endsWith(`.${target}`);
}
