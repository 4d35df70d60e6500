/**
 * Whether everybody can use the studio: axe-core on every tab, light and dark, on a desktop and a telephone, with everything on
 * the page that a run brings. With WEBALIGN_SHOTS=folder it also leaves a picture of each.
 */
import { join } from 'node:path';
import axe from 'axe-core';
import { expect } from 'chai';
import type { Page } from 'playwright';
import { StudioPage } from './studio-page.ts';

const TABS = ['Model', 'Collect', 'Train', 'Compare', 'Keep'];
const SCREENS = { desktop: { width: 1280, height: 1000 }, phone: { width: 390, height: 844 } } as const;
const SCHEMES = ['light', 'dark'] as const;
const PAIRS = 30;
/** Side of what a finger can hit, by WCAG 2.2's target size (minimum). */
const TOUCH = 24;

const shots = process.env.WEBALIGN_SHOTS;

/** Each violation with the elements that it is about. */
async function violations(page: Page): Promise<string[]> {
  // By the tools' door, which the page's policy leaves open.
  await page.evaluate(axe.source);
  const results = await page.evaluate(() =>
    (window as unknown as { axe: typeof axe }).axe.run(document, { resultTypes: ['violations'] }),
  );
  return results.violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id} ${target.join(' ')} ${failureSummary}`),
  );
}

describe('accessibility of the studio', function () {
  this.timeout(300_000);

  let studio: StudioPage;
  before(async () => {
    studio = await StudioPage.open();
    await studio.importPairs(PAIRS);
    await studio.tab('Train');
    await studio.fill({ r: '2', numTrainEpochs: '0.3', evalSteps: '1' });
    for (const runs of [1, 2]) {
      await studio.demo.press('Train');
      await studio.page.waitForFunction(
        (count) => document.querySelectorAll('#past-rows tr').length === count,
        runs,
        { timeout: 120_000 },
      );
      await studio.demo.status('Done');
    }
    for (const box of await studio.page.locator('#past-rows [type=checkbox]').all()) await box.check();
    await studio.tab('Compare');
    await studio.demo.press('Compare blind');
    await studio.pick('1');
    await studio.drafts({ ended: true });
    await studio.page.emulateMedia({ reducedMotion: 'reduce' });
  });
  after(() => studio?.demo.close());

  for (const [screen, size] of Object.entries(SCREENS))
    for (const colorScheme of SCHEMES)
      for (const tab of TABS)
        it(`axe-core finds nothing on ${tab}, ${colorScheme}, ${screen}`, async () => {
          await studio.page.setViewportSize(size);
          await studio.page.emulateMedia({ colorScheme });
          await studio.tab(tab);
          if (shots)
            await studio.page.screenshot({
              path: join(shots, `${tab.toLowerCase()}-${screen}-${colorScheme}.png`),
              fullPage: true,
            });
          expect(await violations(studio.page)).to.deep.equal([]);
        });

  it('every control is large enough for a finger', async () => {
    await studio.page.setViewportSize(SCREENS.phone);
    for (const tab of TABS) {
      await studio.tab(tab);
      const small = await studio.page.evaluate((least) => {
        const all = document.querySelectorAll<HTMLElement>('button, input, select, textarea, summary');
        return [...all].flatMap((each) => {
          // A label is hit with its field.
          const { width, height } = (each.closest('label') ?? each).getBoundingClientRect();
          const isShown = width > 0 && height > 0;
          return isShown && (width < least || height < least)
            ? [`${each.id || each.ariaLabel || each.textContent}: ${width} by ${height}`]
            : [];
        });
      }, TOUCH);
      expect(small, tab).to.deep.equal([]);
    }
  });

  it('nothing moves if reduced motion is preferred', async () => {
    const moving = () =>
      document
        .getAnimations()
        .filter(({ effect }) => Number(effect?.getComputedTiming().activeDuration ?? 0) > 1).length;
    await studio.tab('Collect');
    await studio.demo.press('Another prompt');
    expect(await studio.page.evaluate(moving)).to.equal(0);
    await studio.drafts({ ended: true });
  });

  it('axe-core finds nothing on the page that downloads models', async () => {
    await studio.page.goto(`${studio.demo.server.url}/studio/connect.html`);
    for (const colorScheme of SCHEMES) {
      await studio.page.emulateMedia({ colorScheme });
      if (shots) await studio.page.screenshot({ path: join(shots, `connect-phone-${colorScheme}.png`) });
      expect(await violations(studio.page)).to.deep.equal([]);
    }
  });
});
