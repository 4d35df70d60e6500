/**
 * Packages that only Node needs: each is an optional peer dependency, tested by us in a version that the range allows, and
 * named with the command that installs it if it is missing. `test/run/pack.mjs` runs without them in an empty project.
 */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { isInstalled, MissingPackageError, missing, optional } from '../../src/node/packages.ts';

const { dependencies, devDependencies, peerDependencies, peerDependenciesMeta } = JSON.parse(
  readFileSync('package.json', 'utf8'),
) as Record<string, Record<string, string>> & { peerDependenciesMeta: Record<string, { optional: boolean }> };

describe('packages that only Node needs', () => {
  it('are optional peers, in a tested version', () => {
    for (const [name, range] of Object.entries(peerDependencies)) {
      expect(peerDependenciesMeta[name]?.optional, name).equal(true);
      expect(devDependencies?.[name], name).match(new RegExp(`^\\^${range}\\.`));
      expect(dependencies, 'installed for a page').not.property(name);
      expect(isInstalled(name), name).equal(true);
    }
  });

  it('are loaded where they are installed', async () => {
    expect(await optional('This test', 'webgpu', [], async () => 'loaded')).equal('loaded');
  });

  it('are named with one command for all missing ones', async () => {
    const load = () => optional('This test', 'no-such-package', ['webgpu', 'nor-this'], async () => 'loaded');
    const error = await load().then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).instanceOf(MissingPackageError);
    const { message } = error as Error;
    expect(message).match(
      /^This test needs the package no-such-package, which is not installed\. Run: npm i /,
    );
    expect(message).not.include('webgpu');
    expect(message).include('nor-this');
    expect(missing('It', 'webgpu')).match(/Run: npm i webgpu@\d+\.\d+$/);
  });
});
