/**
 * Packages that Node needs and a page does not: Dawn, Chromium and Playwright, 220 MB together. They are optional peers, so
 * that pages do not install them, and are loaded on demand. Installs nothing: an error names a missing package with the
 * command that installs it.
 */
import { createRequire } from 'node:module';
import { own } from '../base/lookup.ts';

const require = createRequire(import.meta.url);

type Peers = Readonly<Record<string, string>>;

/** A required package is not installed; the message has the command that installs it. */
export class MissingPackageError extends Error {
  override name = 'MissingPackageError';
}

/**
 * The result of `load`, which imports the package `name`. Throws {@link MissingPackageError} if that is not installed;
 * `beside` lists packages that this machine also needs.
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

/** A sentence that says what needs the package `name`, with one command for it and the missing ones of `beside`. */
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
