/**
 * Packages that Node needs and a page does not: Dawn, Chromium and Playwright, 220 MB together. They are optional peers of
 * this package, so that a page installs none of them, and are loaded when something asks for them. Installs nothing: what is
 * missing is named, with the command that installs it.
 */
import { createRequire } from 'node:module';
import { own } from '../base/lookup.ts';

const require = createRequire(import.meta.url);

type Peers = Readonly<Record<string, string>>;

/** A package that Node needs is not installed; the message has the command that installs it. */
export class MissingPackageError extends Error {
  override name = 'MissingPackageError';
}

/**
 * What `load` imports, which is the package `name`. Throws {@link MissingPackageError} if that is not installed; `beside` are
 * packages that this machine needs with it.
 */
export async function optional<T>(
  what: string,
  name: string,
  beside: readonly string[],
  load: () => Promise<T>,
): Promise<T> {
  if (isInstalled(name)) return load();
  throw new MissingPackageError(missing(what, name, beside));
}

/** The sentence that says what needs the package `name`, with one command for it and those of `beside` that are missing too. */
export function missing(what: string, name: string, beside: readonly string[] = []): string {
  const { peerDependencies: peers } = require('webalign/package.json') as { peerDependencies: Peers };
  const wanted = [name, ...beside.filter((each) => !isInstalled(each))];
  const command = `npm i ${wanted.map((each) => `${each}@${own(peers, each)}`).join(' ')}`;
  return `${what} needs the package ${name}, which is not installed. Run: ${command}`;
}

/** Whether Node finds the package. */
export function isInstalled(name: string): boolean {
  try {
    import.meta.resolve(name);
    return true;
  } catch {
    return false;
  }
}
