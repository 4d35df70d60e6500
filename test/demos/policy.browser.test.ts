/** The built demos on a plain server: neither page nor worker can reach another origin, and no page can be framed by another. */
import { expect } from 'chai';
import type { Browser, Page } from 'playwright';
import { launchChromium, type Server, serve } from '../../src/testing.ts';

const WITH_WORKER = ['align', 'rlhf', 'bench', 'studio'];

/** In a page or a worker: the outcome of requests to other origins, by every way that a script has. */
async function reach(other: string): Promise<Record<string, string>> {
  const refused = (name: string) => (work: Promise<unknown>) =>
    work.then(
      () => [name, 'reached'],
      () => [name, 'refused'],
    );
  const socket = (Kind: typeof WebSocket | typeof EventSource, url: string) =>
    new Promise((resolve, reject) => {
      try {
        const made = new Kind(url);
        made.onopen = resolve;
        made.onerror = reject;
      } catch (error) {
        reject(error);
      }
    });
  const ask = () =>
    new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.onload = resolve;
      request.onerror = reject;
      request.open('GET', `${other}/xhr`);
      request.send();
    });
  return Object.fromEntries(
    await Promise.all([
      refused('fetch')(fetch(`${other}/fetch`)),
      refused('fetch without CORS')(fetch(`${other}/no-cors`, { mode: 'no-cors' })),
      refused('import')(import(/* @vite-ignore */ `${other}/script.js`)),
      refused('EventSource')(socket(EventSource, `${other}/events`)),
      refused('WebSocket')(socket(WebSocket, `${other.replace('http', 'ws')}/socket`)),
      refused('XMLHttpRequest')(ask()),
    ]),
  );
}

describe('the content security policy of the demos', function () {
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
  const REFUSED = {
    fetch: 'refused',
    'fetch without CORS': 'refused',
    import: 'refused',
    EventSource: 'refused',
    WebSocket: 'refused',
    XMLHttpRequest: 'refused',
  };

  it('uses a server that would answer', async () => {
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
