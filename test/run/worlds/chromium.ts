/** Headless Chromium: the suite in one page. */
import { gpuPage, launchChromium } from '../../../src/testing.ts';
import { stray } from '../harness.ts';
import { SERVED, STANDSTILL } from './pages.ts';
import type { World } from './world.ts';

export const chromium: World = {
  isWhole: true,
  async run(files, report, options) {
    const browser = await launchChromium({ onNotice: (line) => console.log(`chromium  ${line}`) });
    try {
      const page = await gpuPage(browser, { serve: SERVED });
      await page.exposeFunction('emitTestEvent', report.add);
      page.on('console', (message) => {
        // A file that is not there is for the test to judge.
        const isNews =
          /^(error|warning)$/.test(message.type()) && !message.text().startsWith('Failed to load resource');
        if (isNews) console.log(`chromium  console: ${message.text()}`);
      });
      page.on('pageerror', (error) => report.add(stray(error)));
      const crash = new Promise<never>((_, reject) => {
        page.once('crash', () => reject(new Error('The page crashed.')));
        setInterval(() => {
          if (Date.now() - report.lastEvent > STANDSTILL) reject(new Error('The page stands still.'));
        }, 1000).unref();
      });
      await page.addScriptTag({ url: '/mocha/mocha.js' });
      await page.addScriptTag({ url: '/run/worlds/chromium-page.js', type: 'module' });
      await Promise.race([
        crash,
        page.evaluate(([names, how]) => runTestFiles(names, how), [files, options] as const),
      ]);
    } finally {
      await browser.close();
    }
  },
};
