/**
 * `npm run site` in a subpath of a host, as project pages are: the front page links every demo, each of which loads its
 * model and requests nothing outside that path.
 */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import type { Browser, Page } from 'playwright';
import { launchChromium, type Server, serve } from '../../src/testing.ts';

const BELOW = '/some/path/';
/** The studio, with which people do their own work, and the other demos by name. */
const DEMOS = ['studio', ...readdirSync('demos').filter((name) => name !== 'studio')].filter((name) =>
  existsSync(`demos/${name}/index.html`),
);

describe('the site', () => {
  let browser: Browser;
  let server: Server;
  let empty: string;
  let page: Page;
  let requests: string[];
  const errors: string[] = [];

  before(async () => {
    await promisify(execFile)(process.execPath, ['esbuild.config.mjs', 'site']);
    empty = await mkdtemp(join(tmpdir(), 'webalign-site-'));
    server = await serve({ '/': empty, [BELOW]: 'dist/site' });
    browser = await launchChromium();
    const context = await browser.newContext({ locale: 'en-US' });
    // Workers' too.
    context.on('request', (request) => requests.push(request.url()));
    context.on('response', (response) => {
      if (!response.ok()) errors.push(`${response.status()} ${response.url()}`);
    });
    page = await context.newPage();
    page.on('pageerror', (error) => errors.push(String(error)));
  });

  after(async () => {
    await browser.close();
    await server.close();
    await rm(empty, { recursive: true, force: true });
  });

  beforeEach(async () => {
    requests = [];
    await page.goto(`${server.url}${BELOW}`);
  });

  const strangers = () =>
    requests.filter((url) => /^https?:/.test(url) && !url.startsWith(server.url + BELOW));

  it("has a front page with a card for every demo, with its page's title and description", async () => {
    const cards = await page
      .locator('.demos a')
      .evaluateAll((all) => all.map((each) => [each.getAttribute('href'), each.textContent ?? '']));
    expect(cards.map(([href]) => href)).to.deep.equal(DEMOS.map((name) => `${name}/`));
    for (const [index, name] of DEMOS.entries()) {
      const html = readFileSync(`demos/${name}/index.html`, 'utf8');
      expect(cards[index]?.[1]).to.include(/<meta name="description" content="([^"]+)"/.exec(html)?.[1]);
    }
    expect(await page.title()).to.equal('webalign');
    for (const width of [1280, 360]) {
      await page.setViewportSize({ width, height: 740 });
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).to.be.at.most(width);
    }
  });

  for (const name of DEMOS) {
    it(`${name} opens from there, and makes no requests to other origins`, async () => {
      await page.click(`.demos a[href="${name}/"]`);
      expect(new URL(page.url()).pathname).to.equal(`${BELOW}${name}/`);
      // Shown once its device, and its model if it has one, are ready.
      await page.waitForFunction(
        () => ['native', 'software'].includes(document.getElementById('adapter')?.dataset.kind ?? ''),
        undefined,
        { timeout: 60_000 },
      );
      expect(strangers()).to.deep.equal([]);
      expect(errors).to.deep.equal([]);
    });
  }
});
