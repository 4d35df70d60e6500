/**
 * Selects the linear layers that an adapter adapts: matches PEFT's `target_modules` against a model's module names. Uses
 * names only, no weights.
 */
import { InputError, listed, quote } from './errors.ts';

/** Selects every linear layer except the head, as in PEFT. */
export const ALL_LINEAR = 'all-linear';

export function isAllLinear(targets: unknown): boolean {
  return typeof targets === 'string' && targets.toLowerCase() === ALL_LINEAR;
}

/**
 * The full names in `modules` (`model.layers.0.self_attn.q_proj`, …) that `targets` select: a target is a full name or the
 * last parts of one. Throws {@link InputError} with all unknown targets and the valid ones.
 */
export function resolveTargetModules(
  targets: string | readonly string[],
  modules: readonly string[],
): string[] {
  if (isAllLinear(targets)) return modules.filter((module) => module !== 'lm_head');
  const list = typeof targets === 'string' ? [targets] : targets;
  const { unused: unknown, meant } = matchTargets(list, modules);
  if (unknown.length > 0 || list.length === 0) {
    const what =
      list.length === 0
        ? 'the list is empty'
        : `unknown modules:  ${listed(unknown.map((name) => quote(name)))}`;
    throw new InputError(
      'target modules',
      what,
      `Supported modules: ${listed(shortNames(modules), 32)} and ${ALL_LINEAR}`,
    );
  }
  return modules.filter((module) => meant.has(module));
}

/** The last parts of module names, each once: `q_proj`, `lm_head`. */
export function shortNames(modules: Iterable<string>): string[] {
  return [...new Set([...modules].map((module) => module.slice(module.lastIndexOf('.') + 1)))];
}

/** The names by which a target can select the module: its full name, and the last parts of it. */
export function namesOf(module: string): string[] {
  const names = [module];
  for (let at = module.indexOf('.'); at >= 0; at = module.indexOf('.', at + 1))
    names.push(module.slice(at + 1));
  return names;
}

/**
 * Targets that match no module, and modules that a target matches. Both lists may be long, so neither is searched for each
 * item of the other.
 */
export function matchTargets(
  targets: readonly string[],
  modules: readonly string[],
): { unused: string[]; meant: ReadonlySet<string> } {
  const given = new Set(targets);
  const used = new Set<string>();
  const meant = new Set<string>();
  for (const module of modules) {
    for (const name of namesOf(module)) {
      if (!given.has(name)) continue;
      used.add(name);
      meant.add(module);
    }
  }
  return { unused: targets.filter((target) => !used.has(target)), meant };
}
