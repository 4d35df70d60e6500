import { expect } from 'chai';
import { WaitBudget, type WaitOptions } from '../../src/io/http-wait.ts';
import { expectRefused, failureOf } from './refused.ts';

const arriving = (milliseconds: number) => new Promise<string>((go) => setTimeout(go, milliseconds, 'come'));
const budget = (options: WaitOptions) => new WaitBudget('m/config.json', 'example.org', 'bytes', options);

describe('io/http-wait', () => {
  /** Bytes that arrive in equal steps; resolves when all have arrived. */
  async function stream(waiting: WaitBudget, bytes: number, every: number, times: number): Promise<void> {
    for (let i = 0; i < times; i++) {
      await waiting.wait(arriving(every));
      waiting.credit(bytes);
    }
  }

  it('waits for results that arrive in time, and passes on failures', async () => {
    expect(await budget({ timeout: 5000 }).wait(arriving(10))).to.equal('come');
    const failed = budget({}).wait(Promise.reject(new Error('broken')));
    expect(String(await failureOf(() => failed))).to.include('broken');
  });

  it('times out if nothing arrives, and says how to allow more time', async () => {
    const start = performance.now();
    const parts = [
      'm/config.json',
      'example.org',
      'has not sent a byte for 0.1 s',
      'WEBALIGN_HTTP_TIMEOUT',
      'timeout',
    ];
    await expectRefused(() => budget({ timeout: 100 }).wait(arriving(60_000)), ...parts);
    expect(performance.now() - start).to.be.below(2000);
  });

  it('waits as long as bytes arrive fast enough, and times out if they trickle', async () => {
    await stream(budget({ timeout: 400, leastRate: 100 }), 100, 100, 10);
    const slow = () => stream(budget({ timeout: 400, leastRate: 10_000 }), 100, 100, 100);
    await expectRefused(slow, 'fewer than 10000 bytes a second', 'WEBALIGN_HTTP_LEAST_RATE');
    await stream(budget({ timeout: 400, leastRate: 0 }), 1, 100, 10);
  });

  it('reports that a server stopped after a burst', async () => {
    const waiting = budget({ timeout: 200, leastRate: 10 });
    await waiting.wait(arriving(10));
    waiting.credit(1_000_000);
    await expectRefused(() => waiting.wait(arriving(60_000)), 'stopped sending after 1000000 bytes');
  });

  it('does not count the time in which the program itself was blocked', async () => {
    for (const comes of [50, 500]) {
      const waiting = budget({ timeout: 300 }).wait(arriving(comes));
      setTimeout(() => {
        const end = performance.now() + 450;
        while (performance.now() < end);
      }, 10);
      expect(await waiting).to.equal('come');
    }
  });

  it('reports what it waits for, less and less often', async () => {
    const told: string[] = [];
    const options = { timeout: 800, onNotice: (line: string) => void told.push(line) };
    await failureOf(() => budget(options).wait(arriving(60_000)));
    expect(told[0]).to.match(/^m\/config\.json: waiting for example\.org for 0\.[34] s$/);
    expect(told).to.have.length(2);
  });

  it('ends immediately when it is aborted', async () => {
    const stop = new AbortController();
    const waiting = budget({ signal: stop.signal }).wait(arriving(60_000));
    stop.abort(new Error('enough'));
    expect(String(await failureOf(() => waiting))).to.include('enough');
    expect(String(await failureOf(() => budget({ signal: stop.signal }).wait(arriving(10))))).to.include(
      'enough',
    );
  });

  const WRONG: [string, WaitOptions][] = [
    ['timeout', { timeout: 0 }],
    ['timeout', { timeout: Number.NaN }],
    ['timeout', { timeout: Number.POSITIVE_INFINITY }],
    ['leastRate', { leastRate: -1 }],
  ];
  for (const [name, options] of WRONG) {
    it(`refuses ${JSON.stringify(options)}`, () => expectRefused(() => budget(options), name));
  }
});
