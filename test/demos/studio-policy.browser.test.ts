/** RLOO against the reward model of the picks: fitted, trained, closed and resumed, among the past runs, and as a judge. */
import { join } from 'node:path';
import { expect } from 'chai';
import { isItsTurn } from '../support/slice.mjs';
import { StudioPage } from './studio-page.ts';

const PAIRS = 40;
/** Few steps, evaluated after each second one. */
const RUN = {
  maxSteps: '4',
  numGenerations: '2',
  perDeviceTrainBatchSize: '2',
  maxCompletionLength: '8',
  evalSteps: '2',
  learningRate: '0.01',
  r: '2',
};
const NUMBER = '−?\\d+\\.\\d\\d';

describe('a run of the studio against the reward model of the picks', function () {
  this.timeout(300_000);

  let studio: StudioPage;
  before(async function () {
    if (!isItsTurn(0, 2)) return this.skip();
    studio = await StudioPage.open();
    await studio.importPairs(PAIRS);
    await studio.tab('Train');
  });
  after(() => studio?.demo.close());

  /** With WEBALIGN_SHOTS=folder: a picture of the tab on each screen. */
  async function shoot(tab: string): Promise<void> {
    const folder = process.env.WEBALIGN_SHOTS;
    if (!folder) return;
    for (const colorScheme of ['light', 'dark'] as const)
      for (const width of [1280, 390]) {
        await studio.page.emulateMedia({ colorScheme });
        await studio.page.setViewportSize({ width, height: 1000 });
        await studio.page.waitForTimeout(200);
        const path = join(folder, `policy-${tab.toLowerCase()}-${width}-${colorScheme}.png`);
        await studio.page.screenshot({ path, fullPage: true });
      }
  }

  const field = (name: string) => studio.page.locator(`#settings [name=${name}]`);
  const visible = (name: string) => field(name).isVisible();
  const charts = () =>
    studio.page.locator('#policy-charts .plot').evaluateAll((all) => all.map((each) => each.ariaLabel));

  async function begin(): Promise<void> {
    await studio.tab('Train');
    await studio.fill(RUN);
    await studio.demo.press('Train');
  }

  it('says that there is no reward model yet', async () => {
    await studio.page.getByLabel(/^Method/).selectOption('rloo');
    expect(await studio.demo.text('plan')).to.include('no reward model yet');
    await studio.demo.press('Train');
    await studio.page.locator('#status[data-kind=problem]').waitFor();
    expect(await studio.demo.text('status')).to.include('Fit a reward model');
    await studio.page.getByLabel(/^Method/).selectOption('dpo');
    expect(await visible('maxSteps')).to.equal(false);
  });

  it('offers RLOO once there is one, with β by the spread of its scores', async () => {
    await studio.demo.press('Fit a reward model');
    await studio.page
      .locator('#reward-text')
      .filter({ hasText: /^It learned from/ })
      .waitFor({ timeout: 120_000 });
    await studio.demo.press('Learn from it with RLOO');
    expect(await studio.page.getByLabel(/^Method/).inputValue()).to.equal('rloo');
    expect([await visible('maxSteps'), await visible('numTrainEpochs')]).to.deep.equal([true, false]);
    expect(Number(await field('beta').inputValue())).to.be.within(0.01, 10);
    expect(await studio.demo.text('plan')).to.match(
      /^\d+ prompts to write to, \d+ held out to measure on: \d+ steps of 8 prompts with 4 drafts each\. β suits/,
    );
  });

  let whole: Record<string, Uint8Array>;

  it('shows reward, KL, J and the gap to the best policy as it learns', async () => {
    await begin();
    await studio.demo.status('how good the best policy is');
    await studio.demo.status('Done after 4 steps');
    const both = `after step 4: ${NUMBER} in training, ${NUMBER} held out`;
    const [reward, kl, objective, gap] = await charts();
    expect(reward).to.match(new RegExp(`^Reward ${both}\\.$`));
    expect(kl).to.match(new RegExp(`^KL ${both}\\.$`));
    expect(objective).to.match(new RegExp(`^Objective J ${both}, ${NUMBER} at best`));
    expect(gap).to.match(new RegExp(`^Gap after step 4: ${NUMBER} held out`));
    expect(await studio.demo.text('gap-text')).to.match(
      /^The gap to the best policy at this β is (at least )?\d+\.\d\d ± \d+\.\d\d after step 4\..* Before the first step it was/,
    );
    const steps = await studio.page.locator('.samples').first().locator('.sample-step').allInnerTexts();
    expect(steps).to.deep.equal(['Step 0', 'Step 2', 'Step 4']);
    whole = await studio.adapter();
  });

  it('is paused, outlives its tab and a lost device, and ends with the same adapter', async () => {
    await begin();
    await studio.demo.status('Training');
    await studio.demo.step(1);
    await studio.demo.press('Pause');
    await studio.demo.status('Paused at step');
    await studio.page.reload();
    await studio.demo.status('is kept in this browser');
    await studio.demo.press('Resume');
    await studio.demo.status('Training');
    await studio.demo.loseDevice();
    await studio.demo.status('The GPU device was lost. Going on from');
    await studio.demo.status('Done after 4 steps');
    expect(await studio.adapter()).to.deep.equal(whole);
  });

  it('keeps the reward model and the runs, with the adapter of an earlier step', async () => {
    await studio.tab('Train');
    expect(await studio.demo.text('reward-text')).to.match(/^It learned from \d+ pairs/);
    const run = studio.page.locator('#past-rows tr').first();
    expect(await run.locator('.run-name').inputValue()).to.match(/^RLOO /);
    await studio.tab('Compare');
    const options = await studio.page.getByLabel('One model').locator('option').allInnerTexts();
    expect(options.filter((text) => /^RLOO .*, step 2$/.test(text))).to.have.length(2);
  });

  it('shows the reward model’s score beside blind votes, once the last one is cast', async () => {
    const options = studio.page.getByLabel('One model').locator('option');
    const at = (await options.allInnerTexts()).findIndex((text) => /, step 2$/.test(text));
    await studio.page.getByLabel('One model').selectOption({ index: at });
    await studio.page.getByLabel('The other model').selectOption('before');
    await studio.page.getByLabel('Votes that decide').fill('2');
    const text = () => studio.demo.text('points-text');
    expect(await text()).to.match(/^Vote blind between a point of this run/);
    await studio.demo.press('Compare blind');
    await studio.pick('1');
    await studio.drafts();
    await studio.tab('Compare');
    expect(await text(), 'nothing of how votes fall').to.match(/^Vote blind/);
    await studio.tab('Collect');
    await studio.pick('2');
    await studio.tab('Compare');
    expect(await text()).to.match(
      new RegExp(
        `^The reward model scores step 2 with ${NUMBER} and the start with ${NUMBER}; you preferred step 2 in \\d+% \\(95% interval .*too close to call`,
      ),
    );
    const rows = await studio.page.locator('#points-rows tr').allInnerTexts();
    expect(rows.map((row) => row.split('\t')[0])).to.deep.equal(['the model before', 'step 2', 'step 4']);
    expect(rows[1]).to.match(new RegExp(`^step 2\\t${NUMBER}\\t${NUMBER}\\t\\d+% of 2\\t`));
    const chart = studio.page.locator('#points-chart .plot');
    expect(await chart.getAttribute('aria-label')).to.match(/step 2: score .*, win rate \d+%; step 4: score/);
  });

  it('asks the reward model among the automatic judges', async () => {
    await studio.page.locator('#unblinded-judges').waitFor({ timeout: 60_000 });
    const judges = await studio.page.locator('#judge-rows tr').allInnerTexts();
    expect(judges).to.have.length(4);
    expect(judges[1]).to.match(/^Reward model of your picks\t[012] of 2\t0\t[012] of 2$/);
  });

  it('goes on from the adapter of a run, against the reward model', async () => {
    await studio.tab('Train');
    await studio.page
      .getByRole('button', { name: /^Continue: RLOO/ })
      .first()
      .click();
    await studio.fill({ ...RUN, maxSteps: '2', evalSteps: '1' });
    await studio.demo.press('Train');
    await studio.demo.status('Done after 2 steps');
    for (const box of (await studio.page.locator('#past-rows [type=checkbox]').all()).slice(0, 2))
      await box.check();
    await studio.page.waitForFunction(() =>
      document.querySelector('#runs-charts .plot')?.ariaLabel?.includes('second run'),
    );
    const [reward] = await studio.page
      .locator('#runs-charts .plot')
      .evaluateAll((all) => all.map((each) => each.ariaLabel));
    expect(reward).to.match(/^Reward after step 4: .* first run, .* second run/);
  });

  it('made no errors', () => {
    expect(studio.demo.errors).to.deep.equal([]);
  });

  for (const tab of ['Train', 'Compare'])
    it(`fits a telephone on ${tab}`, async () => {
      await studio.tab(tab);
      await shoot(tab);
      await studio.demo.fitsTelephone();
    });
});
