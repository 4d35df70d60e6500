/** The built demos on a plain server: neither page nor worker can reach another origin, and no page can be framed by another. */
import { expect } from 'chai';
import type { Browser, Page } from 'playwright';
import { launchChromium, type Server, serve } from '../../src/testing.ts';
import { REFUSED, reach } from './reach.ts';

const WITH_WORKER = ['align', 'rlhf', 'bench', 'studio'];

describe('the policy of the demos', function () {
  this.timeout(120_000);
  let browser: Browser;
  let site: Server;
  let other: Server;
  before(async () => {
    [browser, site, other] = await Promise.all([
      launchChromium(),
      serve({ '/': 'dist/demos' }),
      serve({ '/': 'dist' }),
    ]);
  });
  after(async () => {
    await browser?.close();
    await Promise.all([site?.close(), other?.close()]);
  });

  async function open(name: string): Promise<{ page: Page; sent: string[] }> {
    const page = await (await browser.newContext()).newPage();
    const sent: string[] = [];
    page.context().on('response', (response) => sent.push(response.url()));
    await page.goto(`${site.url}/${name}/`);
    return { page, sent };
  }
  it('is tested with a server that answers', async () => {
    const page = await browser.newPage();
    await page.goto(`${other.url}/`);
    const found = await page.evaluate(reach, other.url);
    expect(found).to.include({ 'fetch without CORS': 'reached', XMLHttpRequest: 'reached' });
    await page.close();
  });

  for (const name of [...WITH_WORKER, 'optimum']) {
    it(`${name}: its page reaches no other origin`, async () => {
      const { page, sent } = await open(name);
      expect(await page.evaluate(reach, other.url)).to.deep.equal(REFUSED);
      expect(sent.filter((url) => url.startsWith(other.url))).to.deep.equal([]);
      await page.context().close();
    });
  }

  for (const name of WITH_WORKER) {
    it(`${name}: neither does its worker`, async () => {
      const { page, sent } = await open(name);
      const worker = page.workers()[0] ?? (await page.waitForEvent('worker'));
      expect(worker.url()).to.match(/^blob:http/);
      expect(await worker.evaluate(reach, other.url)).to.deep.equal(REFUSED);
      expect(sent.filter((url) => url.startsWith(other.url))).to.deep.equal([]);
      await page.context().close();
    });
  }

  it('rlhf: frames its own page for typed functions', async () => {
    const { page } = await open('rlhf');
    const isThere = () => page.frames().some((frame) => frame.url().endsWith('/judge.html'));
    while (!isThere()) await page.waitForEvent('framenavigated');
    await page.context().close();
  });

  it('no other origin may frame a page', async () => {
    const page = await browser.newPage();
    await page.goto(`${other.url}/`);
    const shown = await page.evaluate(async (address) => {
      const frame = document.createElement('iframe');
      frame.src = address;
      const loaded = new Promise((resolve) => {
        frame.onload = resolve;
      });
      document.body.append(frame);
      await loaded;
      return frame.contentWindow?.length;
    }, `${site.url}/align/`);
    expect(shown).to.equal(0);
    const framed = page.frames().find((frame) => frame !== page.mainFrame());
    expect(framed?.url()).to.match(/^chrome-error:/);
  });
});
