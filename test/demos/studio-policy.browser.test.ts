/** RLOO against the reward model of the picks: fitted, trained, closed and resumed, among the past runs, and as a judge. */
import { expect } from 'chai';
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
  before(async () => {
    studio = await StudioPage.open();
    await studio.importPairs(PAIRS);
    await studio.tab('Train');
  });
  after(() => studio?.demo.close());

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

  it('made no errors', () => {
    expect(studio.demo.errors).to.deep.equal([]);
  });

  it('fits a telephone', async () => {
    await studio.tab('Train');
    await studio.demo.fitsTelephone();
  });
});
