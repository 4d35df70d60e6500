/** Malicious servers: each load ends in bounded time and memory, with a message that names the URL and says what to do. */
import { expect } from 'chai';
import { InputError } from '../../src/io/errors.ts';
import { memoryHubCache } from '../../src/io/hub/cache.ts';
import { parseJson } from '../../src/io/json.ts';
import { openSafetensors } from '../../src/io/safetensors.ts';
import { openSource, type SourceOptions } from '../../src/io/sources.ts';
import { ADDRESSES } from '../support/hostile/addresses.ts';
import { HUBS } from '../support/hostile/hub.ts';
import { LENGTHS } from '../support/hostile/lengths.ts';
import { RANGES } from '../support/hostile/ranges.ts';
import { type Hostile, openHostile } from '../support/hostile/server.ts';
import { SILENCE } from '../support/hostile/silence.ts';
import { failureOf } from './refused.ts';

const HOSTILE = [...SILENCE, ...LENGTHS, ...RANGES, ...ADDRESSES, ...HUBS];
const TIMEOUT = 200;
/** Six tries of a silent server, and some seconds for a busy machine. */
const DEADLINE = 6 * TIMEOUT + 6000;
/** Bytes of texts and weights that may be in memory during a download, including garbage that is not collected yet. */
const MOST_MEMORY = 400e6;

/** Reads everything that the row is about. */
const READS: Record<Hostile['reads'], (url: string, options: SourceOptions) => Promise<unknown>> = {
  'config.json': async (url, options) => {
    const files = await openSource(`${url}/m`, options);
    return parseJson(await files.readText('config.json'), `${files.name}/config.json`);
  },
  'model.safetensors': async (url, options) => {
    const files = await openSource(`${url}/m`, options);
    const { tensors } = await openSafetensors(await files.open('model.safetensors'));
    for (const tensor of tensors.values()) await tensor.read();
  },
  hub: async (url, options) => {
    const files = await openSource('org/tiny', { ...options, endpoint: url, cache: memoryHubCache() });
    return files.readText('config.json');
  },
};

describe('a malicious server', function () {
  this.timeout(DEADLINE + 60_000);

  const attempt = async (row: Hostile, options: SourceOptions = {}) => {
    const server = await openHostile(row);
    const at = () => process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed;
    const [start, before] = [performance.now(), at()];
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, at() - before);
    }, 10);
    const error = await failureOf(() =>
      READS[row.reads](server.url, { timeout: TIMEOUT, pause: async () => undefined, ...options }),
    );
    clearInterval(watch);
    const took = performance.now() - start;
    const sent = server.sent();
    for (let i = 0; server.stuck() > 0 && i < 100; i++) await new Promise((go) => setTimeout(go, 10));
    const stuck = server.stuck();
    server.close();
    return { error, took, sent, most, stuck, url: server.url };
  };

  for (const row of HOSTILE) {
    it(`fails in time: ${row.name}`, async () => {
      const { error, took, sent, most, stuck, url } = await attempt(row);
      expect(error, String(error)).to.be.instanceOf(InputError);
      const { message, where, wayOut } = error as InputError;
      for (const part of row.says) expect(message).to.include(part);
      expect(`${where} ${message}`).to.include(row.reads === 'hub' ? wayOut : url);
      if (row.reads === 'hub') expect(message).to.match(/org\/tiny|127\.0\.0\.1/);
      expect(wayOut).to.match(/^[A-Z].{10,}/);
      // It takes a while until enough bytes have arrived to be too many.
      expect(took).to.be.below(DEADLINE + (row.megabytes ?? 0) * 50);
      expect(sent).to.be.below((row.megabytes ?? 6) * 1e6);
      expect(most).to.be.below(MOST_MEMORY);
      expect(stuck, 'connections that nobody reads').to.equal(0);
    });
  }

  it('is aborted immediately by a signal', async () => {
    const waits = HOSTILE.filter(({ name }) => /never answers|trickle|is silent|overloaded/.test(name));
    expect(waits.length).to.be.above(7);
    for (const row of waits) {
      const stop = new AbortController();
      setTimeout(() => stop.abort(new Error('enough')), 100);
      const { error, took } = await attempt(row, { timeout: 60_000, signal: stop.signal, pause: undefined });
      expect(String(error), row.name).to.include('enough');
      expect(took, row.name).to.be.below(1100);
    }
  });

  it('causes notices while waiting', async () => {
    const waits = HOSTILE.filter(({ name }) => /never answers|trickle|is silent/.test(name));
    for (const row of waits) {
      const told: string[] = [];
      const { url } = await attempt(row, { onNotice: (line) => void told.push(line) });
      const { host } = new URL(url);
      expect(told.join('\n'), row.name)
        .to.match(new RegExp(`waiting for ${host}(, which has sent| for 0\\.1 s)`))
        .and.include('trying again');
    }
  });
});
