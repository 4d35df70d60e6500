/**
 * Environment variables for HTTP timeouts, and for the cache of files from URLs. Only reads the environment.
 */

import { homedir } from 'node:os';
import { join } from 'node:path';
import { own } from '../base/lookup.ts';
import { InputError, quote } from '../io/errors.ts';
import type { HttpOptions } from '../io/http.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** `$WEBALIGN_HTTP_CACHE`, otherwise `$XDG_CACHE_HOME/webalign/addresses`, otherwise `~/.cache/webalign/addresses`. */
export function addressCacheFolder(env: Environment = process.env): string {
  const caches = env.XDG_CACHE_HOME || join(homedir(), '.cache');
  return env.WEBALIGN_HTTP_CACHE || join(caches, 'webalign', 'addresses');
}

/** `$WEBALIGN_HTTP_TIMEOUT`, in seconds, and `$WEBALIGN_HTTP_LEAST_RATE`, in bytes per second, as options. */
export function httpEnvironment(env: Environment = process.env): Pick<HttpOptions, 'timeout' | 'leastRate'> {
  const seconds = numberIn(env, 'WEBALIGN_HTTP_TIMEOUT', 'seconds, such as 60', 0.001);
  const leastRate = numberIn(env, 'WEBALIGN_HTTP_LEAST_RATE', 'bytes per second, such as 100; 0 for none', 0);
  return {
    ...(seconds !== undefined && { timeout: seconds * 1000 }),
    ...(leastRate !== undefined && { leastRate }),
  };
}

/** The number in a variable; undefined if it is not set. Throws {@link InputError} with its name if it is invalid. */
export function numberIn(env: Environment, name: string, unit: string, least: number): number | undefined {
  const text = own(env, name)?.trim();
  if (!text) return undefined;
  const number = Number(text);
  if (number >= least && number < Number.POSITIVE_INFINITY) return number;
  throw new InputError(name, `is ${quote(text)}`, `Give a number of ${unit}`);
}
