/** What goes wrong around the studio, each with a sentence and a way on: lost devices, full and denied storage, tabs, a hidden page. */
import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { StudioPage } from './studio-page.ts';

const PAIRS = 24;
const RUN = {
  r: '2',
  learningRate: '0.005',
  numTrainEpochs: '2',
  evalSteps: '1',
  perDeviceTrainBatchSize: '4',
};

describe('failures in the studio', function () {
  this.timeout(300_000);

  let studio: StudioPage;
  let whole: Record<string, Uint8Array>;

  async function importPairs(): Promise<void> {
    await studio.tab('Collect');
    await studio.importPairs(PAIRS);
  }

  async function begin(): Promise<void> {
    await studio.tab('Train');
    await studio.fill(RUN);
    await studio.demo.press('Train');
    await studio.demo.status('Training');
  }

  before(async () => {
    studio = await StudioPage.open();
    await importPairs();
    await begin();
    await studio.demo.status('Done');
    whole = await studio.adapter();
  });
  after(() => studio?.demo.close());

  it('resumes from its checkpoint on a new device, with the same adapter', async () => {
    await begin();
    await studio.demo.step(2);
    await studio.demo.loseDevice();
    await studio.demo.status('The GPU device was lost. Going on from');
    await studio.demo.status('Done');
    expect(await studio.adapter()).to.deep.equal(whole);
  });

  it('shows the progress of a hidden page in its title, and that it is slow', async () => {
    await begin();
    const look = (hidden: boolean) =>
      studio.page.evaluate((state) => {
        Object.defineProperty(document, 'hidden', { value: state, configurable: true });
        document.dispatchEvent(new Event('visibilitychange'));
        return document.title;
      }, hidden);
    expect(await look(true)).to.equal('Training … · Studio · webalign');
    expect(await look(false)).to.equal('Studio · webalign');
    await studio.demo.status('browsers slow hidden pages down');
    await studio.demo.status('Done');
  });

  it('notifies a tab that another one has changed what it shows', async () => {
    const other = await studio.demo.context.newPage();
    await other.goto(`${studio.demo.server.url}/studio/`);
    const count = other.getByRole('status').filter({ hasText: `${PAIRS} preferences` });
    await count.waitFor();
    await other
      .locator('#table')
      .getByRole('button', { name: /^Delete: / })
      .first()
      .click();
    await studio.page
      .locator('#elsewhere')
      .filter({ hasText: 'Another tab has changed 1 judgment' })
      .waitFor({ state: 'attached' });
    await studio.expectCount(`${PAIRS - 1} preferences`);
    // A run there would end with its tab, because this one has the store.
    await other.getByRole('tab', { name: 'Train' }).click();
    await other.locator('#status').filter({ hasText: 'Another tab of this page uses' }).waitFor();
    await other.close();
  });

  it('continues in memory, with a notice, if 1 MiB is left, and ends with the same adapter', async () => {
    const { usage = 0 } = await studio.page.evaluate(() => navigator.storage.estimate());
    await studio.demo.quota(usage + 2 ** 20);
    await studio.tab('Collect');
    await studio.page.waitForFunction(() => document.body.dataset.phase !== undefined);
    // The pair that the other tab has deleted.
    const lines = (await readFile('demos/align/data/train.jsonl', 'utf8')).split('\n').slice(0, PAIRS);
    await studio.page.getByLabel('Files of judgments').setInputFiles({
      name: 'pairs.jsonl',
      mimeType: 'application/jsonl',
      buffer: Buffer.from(lines.join('\n')),
    });
    await studio.expectCount(`${PAIRS} preferences`);
    await studio.tab('Train');
    await studio.fill(RUN);
    await studio.demo.press('Train');
    await studio.demo.status('no more room', 'Done');
    await studio.demo.status('Done');
    const kept = Object.keys(await studio.adapter());
    expect(kept).to.deep.equal(Object.keys(whole));
    await studio.demo.quota();
  });
});
