/** Runs of the studio on imported pairs: one that ends early, one of each other method, and what is kept of them. */
import { expect } from 'chai';
import { StudioPage } from './studio-page.ts';

const PAIRS = 30;

describe('runs of the studio', function () {
  this.timeout(300_000);

  let studio: StudioPage;
  before(async () => {
    studio = await StudioPage.open();
    await studio.importPairs(PAIRS);
  });
  after(() => studio?.demo.close());

  const rows = () => studio.page.locator('#past-rows tr');

  async function train(method: string, settings: Readonly<Record<string, string>>): Promise<void> {
    await studio.tab('Train');
    await studio.page.getByLabel(/^Method/).selectOption(method);
    await studio.fill({ r: '2', ...settings });
    const runs = await rows().count();
    await studio.demo.press('Train');
    await studio.page.waitForFunction(
      (before) => document.querySelectorAll('#past-rows tr').length > before,
      runs,
      { timeout: 120_000 },
    );
    await studio.demo.status('Done');
  }

  it('stops when the held-out loss no longer falls', async () => {
    // With a learning rate of 0 the second and the third evaluation are as the first.
    await train('dpo', {
      learningRate: '0',
      evalSteps: '1',
      earlyStoppingPatience: '2',
      numTrainEpochs: '2',
    });
    expect(await studio.demo.text('status')).to.match(/^Done after 3 steps/);
    expect(await studio.demo.text('advice')).to.include(
      'ended early: the held-out loss had not fallen for 2 evaluations',
    );
    const steps = await studio.page.locator('.samples').first().locator('.sample-step').allInnerTexts();
    expect(steps).to.deep.equal(['Step 0', 'Step 1', 'Step 2', 'Step 3']);
    const texts = await studio.page.locator('.samples').first().locator('.sample-text').allInnerTexts();
    expect(new Set(texts).size, 'nothing was learned').to.equal(1);
  });

  const once = {
    learningRate: '0.001',
    numTrainEpochs: '0.3',
    evalSteps: '1',
    earlyStoppingPatience: '0',
  };
  for (const method of ['kto', 'orpo', 'sft'])
    it(`trains by ${method.toUpperCase()}, and plots its losses`, async () => {
      await train(method, once);
      const [loss] = await studio.demo.charts();
      expect(loss).to.match(/^Loss after step \d+: [\d.]+ in training, [\d.]+ held out/);
      expect(await rows().first().locator('td').nth(5).innerText(), 'held-out loss').to.match(/^\d+\.\d{3}$/);
    });

  it('shows samples during training', async () => {
    const texts = await studio.page.locator('.samples').first().locator('.sample-text').allInnerTexts();
    expect(texts.at(-1)).to.not.equal(texts[0]);
  });

  it('renames a run, also after a reload', async () => {
    const field = rows().first().getByRole('textbox');
    await field.fill('Imitation');
    await field.press('Tab');
    await studio.page.getByLabel('Compare Imitation').waitFor();
    await studio.page.reload();
    await studio.page.getByLabel('Compare Imitation').waitFor({ state: 'attached' });
  });

  it('plots two runs in one chart', async () => {
    await studio.tab('Train');
    await studio.page.getByLabel('Compare Imitation').check();
    expect(await studio.page.locator('#runs-compared').isVisible()).to.equal(false);
    await studio.page.getByLabel(/^Compare ORPO/).check();
    const figures = studio.page.locator('#runs-charts .plot');
    const says = () => figures.evaluateAll((all) => all.map((each) => each.ariaLabel));
    await studio.page.waitForFunction(() =>
      document.querySelectorAll('#runs-charts .plot')[1]?.ariaLabel?.includes('second run'),
    );
    expect((await says())[1]).to.match(/^Loss after step \d+: [\d.]+ first run, [\d.]+ second run\.$/);
    expect(await studio.page.locator('#runs-key').innerText()).to.match(/Imitation\s+ORPO/);
    expect(await studio.demo.text('runs-note')).to.include('SFT and ORPO minimize different losses');
    expect((await says())[2], 'SFT has no pairs to tell apart').to.match(/: [\d.]+ second run\.$/);
    // A third takes the place of the first.
    await studio.page.getByLabel(/^Compare KTO/).check();
    const first = studio.page.getByRole('checkbox', { name: 'Compare Imitation', checked: false });
    await first.waitFor();
  });

  it('continues the adapter of a finished run', async () => {
    const before = await studio.adapter();
    await studio.tab('Train');
    await studio.page.getByRole('button', { name: 'Continue: Imitation' }).click();
    await train('sft', { ...once, learningRate: '0', r: '8' });
    const after = await studio.adapter();
    // Without a learning rate it stays what it was, its rank of 2 included.
    expect(after['adapter_model.safetensors']).to.deep.equal(before['adapter_model.safetensors']);
    expect(await studio.page.locator('#go-on').isVisible()).to.equal(false);
  });

  it('fits a reward model to the picks, and shows where it disagrees', async () => {
    await studio.tab('Train');
    await studio.demo.press('Fit a reward model');
    await studio.page
      .locator('#reward-text')
      .filter({
        hasText: /^It learned from \d+ pairs and prefers your side in \d+% \(95% interval \d+% to \d+%\)/,
      })
      .waitFor({ timeout: 120_000 });
    const rows = await studio.page.locator('#reward-bin-rows tr').allInnerTexts();
    expect(rows.length).to.be.within(1, 5);
    for (const row of rows) expect(row).to.match(/^\d+% to \d+%\s\d+\s\d+%\s\d+%$/);
  });

  it('logs no errors', () => {
    expect(studio.demo.errors).to.deep.equal([]);
  });

  it('fits a phone', () => studio.demo.fitsTelephone());
});
