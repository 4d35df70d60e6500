/** A run of the studio that learns while its person picks: steps, figures, a step back, a closed tab, and what is never learned from. */
import { expect } from 'chai';
import { StudioPage } from './studio-page.ts';

const PICKS = 2;

describe('online learning in the studio', function () {
  this.timeout(300_000);

  let studio: StudioPage;
  before(async () => {
    studio = await StudioPage.open();
    await studio.drafts();
  });
  after(() => studio?.demo.close());

  const toggle = () => studio.page.getByRole('checkbox', { name: 'Learn as I pick' });
  const says = (text: string) =>
    studio.page.locator('#online-text').filter({ hasText: text }).waitFor({ timeout: 90_000 });
  const tile = (name: string) => studio.demo.text(`online-${name}`);
  const onPage = (text: string) => says(`${text} picks until it learns`);

  /** Picks on drafts that were read to their end, until the model has learned. */
  async function learn(): Promise<void> {
    for (let pick = 0; pick < PICKS; pick++) {
      await onPage(`${pick} of ${PICKS}`);
      await studio.drafts({ ended: true });
      await studio.page.keyboard.press(pick % 2 === 0 ? '1' : '2');
    }
    await onPage(`0 of ${PICKS}`);
  }

  it('can be switched on, and samples drafts from the full distribution', async () => {
    await studio.page.locator('#online-batch').fill(String(PICKS));
    await studio.page.locator('#temperature').evaluate((field: HTMLInputElement) => {
      field.value = '0.5';
    });
    await toggle().check();
    await onPage(`0 of ${PICKS}`);
    const temperature = studio.page.locator('#temperature');
    expect(await temperature.inputValue()).to.equal('1');
    expect(await temperature.isDisabled()).to.equal(true);
  });

  it('accepts no verdict before both drafts are complete', async () => {
    await studio.drafts({ ended: true });
    const judged = await studio.page.evaluate(() => {
      const writing = () => document.querySelector('.writing') !== null;
      const usable = () => document.getElementById('pick-first')?.getAttribute('aria-disabled') === 'false';
      return new Promise<boolean>((resolve) => {
        const look = () => {
          if (writing() && usable()) resolve(true);
          else if (!writing() && usable()) resolve(false);
          else requestAnimationFrame(look);
        };
        document.getElementById('another')?.click();
        requestAnimationFrame(look);
      });
    });
    expect(judged, 'a verdict while a draft is written').to.equal(false);
  });

  it('learns after the set number of picks, and scores its own drafts first', async () => {
    await learn();
    expect(await tile('steps')).to.equal('1');
    // The drafts were those of the untouched model.
    expect(await tile('kl')).to.match(/^0\.00( ± 0\.00)?$/);
    await learn();
    expect(await tile('steps')).to.equal('2');
    expect(await tile('kl')).to.match(/^-?\d+\.\d\d ± \d+\.\d\d$/);
    expect(await studio.demo.text('online-kl-note')).to.include('the last 8 drafts');
    expect(await tile('agreement')).to.match(/^\d+%$/);
    expect(await tile('pace')).to.match(/^[\d.]+$/);
    expect(await studio.demo.text('online-pace-note')).to.match(/^[\d.]+ s a step$/);
  });

  let second: Record<string, Uint8Array>;

  it('undoes a learning step, to the same bytes', async () => {
    second = await studio.adapter();
    await studio.tab('Collect');
    await learn();
    const third = await studio.adapter();
    expect(third['adapter_model.safetensors'], 'a step changes it').to.not.deep.equal(
      second['adapter_model.safetensors'],
    );
    await studio.tab('Collect');
    await studio.demo.press('Step back');
    await studio.page.waitForFunction(() => document.getElementById('online-steps')?.textContent === '2');
    await onPage(`0 of ${PICKS}`);
    expect(await studio.adapter()).to.deep.equal(second);
    await studio.tab('Collect');
    // The picks stay preferences.
    await studio.expectCount(`${3 * PICKS} preferences`);
  });

  it('survives a closed tab, with a pick that no step has used', async () => {
    await studio.drafts({ ended: true });
    await studio.page.keyboard.press('1');
    await onPage(`1 of ${PICKS}`);
    await studio.page.reload();
    await says('Off: picks are kept');
    expect(await tile('steps')).to.equal('2');
    await toggle().check();
    await onPage(`1 of ${PICKS}`);
    expect(await studio.adapter()).to.deep.equal(second);
    await studio.tab('Collect');
  });

  it('learns nothing while it is switched off', async () => {
    await toggle().uncheck();
    await says('Off: picks are kept');
    await studio.pick('1', '1', '1');
    await studio.expectCount(`${3 * PICKS + 4} preferences`);
    expect(await studio.adapter()).to.deep.equal(second);
  });

  it('undoes all steps, and reports when there are no more', async () => {
    await studio.tab('Collect');
    for (const steps of ['1', '0']) {
      await studio.demo.press('Step back');
      await studio.page.waitForFunction(
        (wanted) => document.getElementById('online-steps')?.textContent === wanted,
        steps,
      );
      await onPage(`0 of ${PICKS}`);
    }
    const back = studio.demo.button('Step back');
    expect(await back.getAttribute('aria-disabled')).to.equal('true');
    await learn();
    expect(await tile('steps')).to.equal('1');
  });

  it('ends on the tab Train, and adds its adapter to the past runs', async () => {
    await studio.tab('Train');
    await studio.demo.press('Stop');
    await studio.demo.status('Done after 1 step');
    const run = studio.page.locator('#past-rows tr').first();
    expect(await run.locator('.run-name').inputValue()).to.match(/^Online DPO /);
    expect(await run.locator('td').nth(3).innerText(), 'rows').to.equal(String(PICKS));
    await studio.tab('Collect');
    expect(await toggle().isChecked()).to.equal(false);
    expect(await studio.page.locator('#temperature').isDisabled()).to.equal(false);
  });

  it('logs no errors', () => {
    expect(studio.demo.errors).to.deep.equal([]);
  });

  it('fits a phone', () => studio.demo.fitsTelephone());
});
