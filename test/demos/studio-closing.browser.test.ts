/**
 * The studio's tab closed at random moments while a person picks and a run trains: every pick that the status had counted is there
 * afterwards, and the run ends with the bytes of one that nobody disturbed. One moment in the suite,
 * every fourth day; WEBALIGN_CLOSINGS=10 for ten.
 */
import { expect } from 'chai';
import { Random } from '../../src/data/random.ts';
import { isItsTurn } from '../support/slice.mjs';
import { StudioPage } from './studio-page.ts';

const PAIRS = 24;
const ASKED = process.env.WEBALIGN_CLOSINGS;
const CLOSINGS = Number(ASKED ?? 1);
const SEED = Number(process.env.WEBALIGN_SEED ?? 1);
/** Milliseconds after the run has begun, at most. */
const LATEST = 4000;
const RUN = {
  r: '2',
  learningRate: '0.005',
  numTrainEpochs: '4',
  evalSteps: '1',
  perDeviceTrainBatchSize: '4',
};

describe('a studio tab that is closed at random moments', function () {
  this.timeout(120_000 * (1 + CLOSINGS));

  let studio: StudioPage;
  before(async function () {
    if (!ASKED && !isItsTurn(0, 4)) return this.skip();
    studio = await StudioPage.open();
    await studio.importPairs(PAIRS);
  });
  after(() => studio?.demo.close());

  async function begin(): Promise<void> {
    await studio.tab('Train');
    await studio.fill(RUN);
    await studio.demo.press('Train');
    await studio.demo.status('Training');
  }

  const counted = async () => Number.parseInt(await studio.count(), 10);

  it(`stores every counted pick, and trains to the same bytes, after ${CLOSINGS} closings`, async () => {
    await begin();
    await studio.demo.status('Done');
    const whole = await studio.adapter();
    await begin();
    const chance = new Random(SEED);
    for (let closing = 0; closing < CLOSINGS; closing++) {
      await studio.tab('Collect');
      const until = Date.now() + chance.uniform() * LATEST;
      let seen = await counted();
      while (Date.now() < until) {
        await studio.page.keyboard.press('1');
        seen = await counted();
        await studio.page.waitForTimeout(50 * chance.uniform());
      }
      // Whatever is under way ends here, as with a closed tab.
      await studio.page.goto('about:blank');
      await studio.page.goto(`${studio.demo.server.url}/studio/#train`);
      await studio.demo.status('is kept in this browser', 'Done', 'Paused', 'Ready');
      expect(await counted(), `closing ${closing}`).to.be.at.least(seen);
      const primary = studio.page.locator('#primary');
      if ((await primary.innerText()) === 'Resume') await primary.click();
      // Closed before its first checkpoint.
      else if ((await studio.demo.text('status')).startsWith('Ready')) await begin();
    }
    await studio.tab('Train');
    await studio.demo.status('Done');
    expect(await studio.adapter()).to.deep.equal(whole);
  });
});
