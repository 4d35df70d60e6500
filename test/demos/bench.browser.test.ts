import { expect } from 'chai';
import type { Browser, Page } from 'playwright';
import { launchChromium, type Server, serve } from '../../src/testing.ts';

describe('the demo of the bench', function () {
  this.timeout(300_000);

  let browser: Browser;
  let server: Server;
  let page: Page;
  const errors: string[] = [];
  const requests: string[] = [];

  before(async () => {
    browser = await launchChromium();
    server = await serve({ '/': 'dist/demos' });
    const context = await browser.newContext({ locale: 'en-US', viewport: { width: 1280, height: 1000 } });
    page = await context.newPage();
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') errors.push(message.text());
    });
    page.on('pageerror', (error) => errors.push(String(error)));
    context.on('request', (request) => requests.push(request.url()));
    await page.goto(`${server.url}/bench/`);
  });

  after(async () => {
    await browser?.close();
    await server?.close();
  });

  const status = (beginning: string) =>
    page.waitForFunction(
      (wanted) => document.getElementById('status')?.innerText.startsWith(wanted),
      beginning,
      { timeout: 240_000 },
    );
  const press = (name: string) => page.getByRole('button', { name }).click();
  const choose = async (...names: string[]) => {
    for (const box of await page.locator('#groups input').all())
      await box.setChecked(names.includes(await box.inputValue()));
  };

  it('shows its adapter and offers every group', async () => {
    await status('Ready');
    expect(await page.locator('#adapter-text').innerText()).to.match(/Native GPU|Software adapter/);
    expect(await page.locator('#groups input').count()).to.be.above(8);
    expect(await page.locator('#start').getAttribute('aria-disabled')).to.equal('false');
    requests.length = 0;
  });

  it('only starts if something is selected', async () => {
    await choose();
    expect(await page.locator('#start').getAttribute('aria-disabled')).to.equal('true');
  });

  it('runs the selected cases and shows results', async () => {
    await choose('squares', 'softmax');
    await press('Start');
    await status('Done: 2 cases');
    expect(await page.locator('.group h2').allInnerTexts()).to.deep.equal(['squares', 'softmax']);
    for (const text of await page.locator('.row .rate').allInnerTexts()) expect(text).to.match(/\d+%\)$/);
    expect(await page.locator('#peak').innerText()).to.match(/GFLOP\/s and .* GB\/s/);
  });

  it('stops after the current case', async () => {
    await page.locator('#quick').uncheck();
    await choose('rms-norm');
    await press('Start');
    await page.locator('.row').first().waitFor();
    await press('Stop');
    await status('Done');
    expect(await page.locator('.row').count()).to.be.below(3);
    expect(await page.locator('#start').getAttribute('aria-disabled')).to.equal('false');
  });

  it('requests nothing after loading except its tuner, and logs no errors', () => {
    // Its code is loaded with the first run.
    const others = requests.filter((url) => !url.startsWith(`${server.url}/chunks/tuner-`));
    expect(others.filter((url) => /^https?:/.test(url))).to.deep.equal([]);
    expect(errors).to.deep.equal([]);
  });

  it('fits a phone', async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).to.be.at.most(360);
  });
});
