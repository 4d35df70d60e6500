/** The report in a browser: it draws its charts, requests nothing, and logs no errors. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect } from 'chai';
import { reportPage } from '../../src/cli/report/page.ts';
import { chartLibrary } from '../../src/cli/report/uplot.ts';
import { launchChromium } from '../../src/testing.ts';
import { reportData } from './report-data.ts';

describe('cli/report in a browser', () => {
  it('draws every chart, fits a phone, and loads nothing', async function () {
    this.timeout(120_000);
    const folder = await mkdtemp(join(tmpdir(), 'webalign-report-'));
    const file = join(folder, 'report.html');
    await writeFile(file, reportPage(reportData(), await chartLibrary()));
    const browser = await launchChromium();
    try {
      const page = await browser.newPage({ viewport: { width: 375, height: 800 }, colorScheme: 'dark' });
      const odd: string[] = [];
      page.on('console', (message) => odd.push(message.text()));
      page.on('pageerror', (error) => odd.push(String(error)));
      page.on('request', (request) => {
        if (request.url() !== pathToFileURL(file).href) odd.push(request.url());
      });
      await page.goto(pathToFileURL(file).href);
      await page.waitForSelector('#chart-3 canvas');
      expect(await page.locator('canvas').count()).to.equal(5);
      expect(await page.locator('#now-1').textContent()).to.include('smoothed');
      await page.evaluate(() => {
        for (const details of document.querySelectorAll('details')) details.open = true;
      });
      expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).to.be.at.most(0);
      expect(odd).to.deep.equal([]);
    } finally {
      await browser.close();
      await rm(folder, { recursive: true, force: true });
    }
  });
});
