/** What a page stores of a run if there is no space, if nothing may be stored, and if another tab uses the store. */
import { expect } from 'chai';
import { build } from 'esbuild';
import type { Browser, BrowserContext, Page } from 'playwright';
import type * as Kept from '../../demos/shared/kept.ts';
import type { encodeCheckpoint } from '../../src/io/checkpoint.ts';
import { launchChromium, type Server, serve } from '../../src/testing.ts';
import type { readRunState } from '../../src/train/state.ts';

const STEPS = 12;

declare const demo: typeof Kept & {
  encodeCheckpoint: typeof encodeCheckpoint;
  readRunState: typeof readRunState;
};

/** The outcome of a run in a page. */
interface Told {
  /** Why it cannot be stored, as the page was told when it opened the store and later. */
  opened: string;
  later: string[];
  /** The steps of record and checkpoint, as read after each step. */
  read: [number | undefined, number | undefined][];
  reference: number | undefined;
}
type Saved = { step: number };

/** In the page: a run that is stored at every step, with checkpoints of 1.1 MB. */
async function runIn(steps: number): Promise<Told> {
  const told: Told = { opened: '', later: [], read: [], reference: undefined };
  const kept = await demo.openKept<Saved>('webalign-test', (why) => void told.later.push(why));
  told.opened = kept.unkept;
  await kept.clear();
  await kept.referenceCache.put('key', new Float32Array(10_000).fill(7));
  for (let step = 1; step <= steps; step++) {
    await kept.writeRecord({ step });
    // Noise, which no storage compresses.
    const tensors = new Map<string, Float32Array>();
    for (const name of 'abcdefghi') {
      const noise = crypto.getRandomValues(new Uint16Array(30_000));
      tensors.set(
        name,
        new Float32Array(noise).map((value) => value / 7),
      );
    }
    const state = { step, tokens: 0, numTokens: 0, log: [], changes: [] };
    const bytes = await demo.encodeCheckpoint({ configHash: 'test', state, tensors });
    await kept.checkpoint.write(bytes);
    const read = await demo.readRunState(kept.checkpoint);
    told.read.push([(await kept.readRecord())?.step, read?.step]);
  }
  told.reference = (await kept.referenceCache.get('key'))?.[9999];
  return told;
}

/** In a page that is opened later: the steps that are still stored. */
async function left(): Promise<[string, number | undefined, number | undefined]> {
  const kept = await demo.openKept<Saved>('webalign-test');
  const state = await demo.readRunState(kept.checkpoint);
  return [kept.unkept, (await kept.readRecord())?.step, state?.step];
}

describe('the stored state of a page', function () {
  this.timeout(120_000);
  let browser: Browser;
  let server: Server;
  let code: string;
  let context: BrowserContext;

  before(async () => {
    const contents =
      "export * from './demos/shared/kept.ts'; export { encodeCheckpoint } from './src/io/checkpoint.ts'; " +
      "export { readRunState } from './src/train/state.ts';";
    const options = { bundle: true, write: false, format: 'iife', globalName: 'demo' } as const;
    const { wgsl } = await import(
      new URL('../../shaders/include.mjs', `file://${process.cwd()}/dist/test/`).href
    );
    const bundle = await build({
      stdin: { contents, resolveDir: '.' },
      plugins: [wgsl('shaders')],
      ...options,
    });
    code = bundle.outputFiles[0].text;
    [browser, server] = await Promise.all([launchChromium(), serve({})]);
  });
  after(async () => {
    await browser?.close();
    await server?.close();
  });
  beforeEach(async () => {
    context = await browser.newContext();
  });
  afterEach(() => context.close());

  async function open(prepare?: () => void, quota?: number): Promise<Page> {
    const page = await context.newPage();
    if (prepare) await page.addInitScript(prepare);
    await page.goto(`${server.url}/`);
    if (quota !== undefined) {
      const devTools = await context.newCDPSession(page);
      await devTools.send('Storage.overrideQuotaForOrigin', { origin: server.url, quotaSize: quota });
    }
    await page.addScriptTag({ content: code });
    return page;
  }

  const all = Array.from({ length: STEPS }, (_, i) => [i + 1, i + 1]);

  it('stores a run, the latest version', async () => {
    const page = await open();
    const { opened, later, read, reference } = await page.evaluate(runIn, STEPS);
    expect([opened, later, reference]).to.deep.equal(['', [], 7]);
    expect(read).to.deep.equal(all);
    await page.close();
    expect(await (await open()).evaluate(left)).to.deep.equal(['', STEPS, STEPS]);
  });

  for (const quota of [1000, 300_000, 1_600_000]) {
    it(`continues in memory if a page has ${quota} bytes, with one notice, and keeps stored data consistent`, async () => {
      const page = await open(undefined, quota);
      const { opened, later, read, reference } = await page.evaluate(runIn, STEPS);
      expect(read).to.deep.equal(all);
      expect([opened, later.length, reference]).to.deep.equal(['', 1, 7]);
      expect(later[0]).to.match(
        /^This browser has no more room .*Download the adapter before you close the tab\.$/,
      );
      await page.close();
      const [unkept, record, state] = await (await open()).evaluate(left);
      expect(unkept).to.equal('');
      // A record is written before its checkpoint.
      if (state !== undefined) expect(record).to.be.within(state, state + 1);
    });
  }

  it('works in memory if nothing may be stored, with a notice', async () => {
    const page = await open(() => {
      const refuse = () => {
        throw new DOMException('', 'SecurityError');
      };
      Object.defineProperty(window, 'indexedDB', { value: { open: refuse } });
    });
    const { opened, later, read, reference } = await page.evaluate(runIn, 2);
    expect(opened).to.match(/^This browser keeps nothing .*Download the adapter/);
    expect([later, reference]).to.deep.equal([[], 7]);
    expect(read).to.deep.equal(all.slice(0, 2));
  });

  it('leaves the run of another tab unchanged, with a notice', async () => {
    const first = await open();
    expect((await first.evaluate(runIn, 2)).opened).to.equal('');
    const second = await open();
    const { opened, read } = await second.evaluate(runIn, 3);
    expect(opened).to.match(/^Another tab of this page .*Download the adapter/);
    expect(read).to.deep.equal(all.slice(0, 3));
    await Promise.all([first.close(), second.close()]);
    expect(await (await open()).evaluate(left)).to.deep.equal(['', 2, 2]);
  });
});
