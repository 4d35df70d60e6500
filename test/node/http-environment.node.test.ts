import { homedir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { addressCacheFolder, httpEnvironment } from '../../src/node/http-environment.ts';
import { expectRefused } from '../io/refused.ts';

describe('node/http-environment', () => {
  it('reads timeouts of servers', async () => {
    expect(httpEnvironment({})).to.deep.equal({});
    expect(httpEnvironment({ WEBALIGN_HTTP_TIMEOUT: ' ' })).to.deep.equal({});
    expect(httpEnvironment({ WEBALIGN_HTTP_TIMEOUT: '90', WEBALIGN_HTTP_LEAST_RATE: '0' })).to.deep.equal({
      timeout: 90_000,
      leastRate: 0,
    });
    for (const text of ['0', '-1', 'long', 'Infinity'])
      await expectRefused(
        () => httpEnvironment({ WEBALIGN_HTTP_TIMEOUT: text }),
        'WEBALIGN_HTTP_TIMEOUT',
        text,
      );
    await expectRefused(() => httpEnvironment({ WEBALIGN_HTTP_LEAST_RATE: 'x' }), 'bytes per second');
  });

  it('finds the folder of files from addresses', () => {
    expect(addressCacheFolder({})).to.equal(join(homedir(), '.cache/webalign/addresses'));
    expect(addressCacheFolder({ XDG_CACHE_HOME: '/c' })).to.equal('/c/webalign/addresses');
    expect(addressCacheFolder({ XDG_CACHE_HOME: '/c', WEBALIGN_HTTP_CACHE: '/mine' })).to.equal('/mine');
  });
});
