/**
 * The adapters that can be requested by name, in Node and in Chromium: by an option, or by `WEBALIGN_ADAPTER`.
 */
import { own } from '../base/lookup.ts';
import { NoAdapterError } from '../gpu/errors.ts';

/**
 * `native` is the machine's GPU; `swiftshader` and `lavapipe` run on the CPU: Google's, from an npm package, and Mesa's,
 * whose driver must be installed. `software` is another name of `swiftshader`.
 */
export type AdapterName = 'native' | 'swiftshader' | 'lavapipe' | 'software';

/** The same without the alias. */
export type AdapterKey = Exclude<AdapterName, 'software'>;

const KINDS: Record<AdapterName, AdapterKey> = {
  native: 'native',
  swiftshader: 'swiftshader',
  lavapipe: 'lavapipe',
  software: 'swiftshader',
};

/** The adapter with this name or alias. Throws {@link NoAdapterError} for an unknown one. */
export function kindOf(name: string): AdapterKey {
  const kind = own(KINDS, name);
  if (kind) return kind;
  throw new NoAdapterError(
    `Adapter "${name}" is unknown. Supported adapters: ${Object.keys(KINDS).join(', ')}.`,
  );
}
