/**
 * `node test/bench/studio.mjs`: how soon the studio is there, and how free its page stays, in Chromium with an empty profile: first
 * paint, first drafts that can be judged, and the longest task of the main thread while a run trains and drafts are written.
 * Prints milliseconds; asserts nothing. `--runs N` for more than one profile.
 */
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { build } from '../../esbuild.config.mjs';

const PAIRS = 48;
const { values } = parseArgs({ options: { runs: { type: 'string', default: '3' } } });

await build(['library', 'demos']);
const { launchChromium, serve } = await import('webalign/testing');
const lines = (await readFile('demos/align/data/train.jsonl', 'utf8')).split('\n').slice(0, PAIRS);
const file = { name: 'pairs.jsonl', mimeType: 'application/jsonl', buffer: Buffer.from(lines.join('\n')) };

/** In the page: every task of 50 ms and more, which is what a browser tells. */
function watchTasks() {
  const tasks = /** @type {number[]} */ ([]);
  Object.assign(window, { longTasks: tasks });
  new PerformanceObserver((list) => tasks.push(...list.getEntries().map(({ duration }) => duration))).observe(
    {
      type: 'longtask',
      buffered: true,
    },
  );
}

/** @param {import('playwright').Browser} browser @param {string} url */
async function measure(browser, url) {
  const context = await browser.newContext({ locale: 'en-US', viewport: { width: 1280, height: 1000 } });
  await context.addInitScript(watchTasks);
  const page = await context.newPage();
  page.setDefaultTimeout(300_000);
  await page.goto(`${url}/studio/`);
  const canJudge = () => document.querySelector('#pick-first')?.getAttribute('aria-disabled') === 'false';
  await page.waitForFunction(canJudge, undefined, { polling: 20 });
  const [paint, interactive] = await page.evaluate(() => [
    performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? Number.NaN,
    performance.now(),
  ]);
  await page.getByLabel('Files of judgments').setInputFiles(file);
  await page
    .getByRole('status')
    .filter({ hasText: `${PAIRS} preferences` })
    .waitFor();
  await page.getByRole('tab', { name: 'Train' }).click();
  await page.evaluate('window.longTasks.length = 0');
  await page.getByRole('button', { name: 'Train', exact: true }).click();
  await page.locator('#status').filter({ hasText: 'Training' }).waitFor();
  await page.getByRole('tab', { name: 'Collect' }).click();
  while ((await page.locator('body').getAttribute('data-phase')) !== 'done') {
    await page.waitForFunction(canJudge, undefined, { polling: 50 });
    await page.keyboard.press('s');
  }
  const longest = /** @type {number} */ (await page.evaluate('Math.max(0, ...window.longTasks)'));
  await context.close();
  return { paint, interactive, longest };
}

const browser = await launchChromium();
const server = await serve({ '/': 'dist/demos' });
const show = (/** @type {number} */ value) => `${value.toFixed(0)} ms`.padStart(10);
console.log(`${'first paint'.padStart(12)} ${'drafts'.padStart(10)} ${'longest task'.padStart(14)}`);
for (let run = 0; run < Number(values.runs); run++) {
  const { paint, interactive, longest } = await measure(browser, server.url);
  const task = longest === 0 ? 'below 50 ms' : `${longest.toFixed(0)} ms`;
  console.log(`${show(paint).padStart(12)} ${show(interactive)} ${task.padStart(14)}`);
}
await browser.close();
await server.close();
