/**
 * The adapters that can be asked for by name, in Node and in Chromium: by an option, or by `WEBALIGN_ADAPTER`.
 */
import { own } from '../base/lookup.ts';
import { NoAdapterError } from '../gpu/errors.ts';

/**
 * `native` is the machine's GPU; `swiftshader` and `lavapipe` run on the CPU: Google's, which comes by npm, and Mesa's, whose driver
 * is to be installed. `software` is another name of `swiftshader`.
 */
export type AdapterName = 'native' | 'swiftshader' | 'lavapipe' | 'software';

/** The same without the second name. */
export type AdapterKey = Exclude<AdapterName, 'software'>;

const KINDS: Record<AdapterName, AdapterKey> = {
  native: 'native',
  swiftshader: 'swiftshader',
  lavapipe: 'lavapipe',
  software: 'swiftshader',
};

/** Which adapter a name means. Throws {@link NoAdapterError} for an unknown one. */
export function kindOf(name: string): AdapterKey {
  const kind = own(KINDS, name);
  if (kind) return kind;
  throw new NoAdapterError(
    `Adapter "${name}" is unknown. Supported adapters: ${Object.keys(KINDS).join(', ')}.`,
  );
}
