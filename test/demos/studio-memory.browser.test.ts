/** The studio where the browser refuses all storage: it says so, everything works in memory, and the exports are whole. */
import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import type { BrowserContext } from 'playwright';
import { isItsTurn } from '../support/slice.mjs';
import { StudioPage } from './studio-page.ts';

const PAIRS = 40;

/** Refuses IndexedDB and the private file system, as browsers do that keep nothing for a page. */
function refuse(): void {
  const denied = () =>
    new DOMException('The user denied permission to access the database.', 'SecurityError');
  IDBFactory.prototype.open = () => {
    throw denied();
  };
  StorageManager.prototype.getDirectory = () => Promise.reject(denied());
}

async function denyStorage(context: BrowserContext): Promise<void> {
  await context.addInitScript(refuse);
  // The first module that the worker imports.
  await context.route('**/studio/deny.js', (route) =>
    route.fulfill({ contentType: 'text/javascript', body: `(${refuse})();` }),
  );
  await context.route('**/studio/worker.js', async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: `import "./deny.js";\n${await response.text()}` });
  });
}

describe('the studio where all storage is refused', function () {
  this.timeout(300_000);

  let studio: StudioPage;
  before(async function () {
    if (!isItsTurn(1, 2)) return this.skip();
    studio = await StudioPage.open({ prepare: denyStorage });
  });
  after(() => studio?.demo.close());

  const inThisTab = (changes: number) =>
    studio.page
      .getByRole('alert')
      .filter({ hasText: `keeps nothing for this page. ${changes} changes are in this tab only: export` })
      .waitFor({ timeout: 20_000 });

  it('drafts, and says that nothing is kept', async () => {
    await studio.drafts();
    await studio.tab('Train');
    await studio.demo.status('keeps nothing for this page, so a run ends with its tab');
    expect(await studio.page.evaluate(() => navigator.storage.getDirectory().catch(String))).to.include(
      'denied',
    );
    await studio.tab('Collect');
    await studio.pick('1', '2');
    await inThisTab(2);
    // The count is of what the browser keeps.
    await studio.expectCount('0 preferences');
  });

  it('trains in memory, pauses and resumes', async () => {
    await studio.page.getByLabel('Files of judgments').setInputFiles({
      name: 'pairs.jsonl',
      mimeType: 'application/jsonl',
      buffer: Buffer.from(
        (await readFile('demos/align/data/train.jsonl', 'utf8')).split('\n').slice(0, PAIRS).join('\n'),
      ),
    });
    await inThisTab(PAIRS + 2);
    await studio.tab('Train');
    await studio.fill({ r: '2', numTrainEpochs: '1', perDeviceTrainBatchSize: '8', evalSteps: '1' });
    await studio.demo.press('Train');
    await studio.demo.status('Training');
    await studio.demo.step(1);
    await studio.demo.press('Pause');
    await studio.demo.status('Paused at step');
    await studio.demo.press('Resume');
    await studio.demo.status('Done after');
  });

  it('fits a reward model, which the next run learns from', async () => {
    await studio.demo.press('Fit a reward model');
    await studio.page
      .locator('#reward-text')
      .filter({ hasText: /^It learned from/ })
      .waitFor({ timeout: 120_000 });
    await studio.demo.press('Learn from it with RLOO');
    await studio.fill({
      maxSteps: '1',
      numGenerations: '2',
      perDeviceTrainBatchSize: '2',
      maxCompletionLength: '8',
      evalSteps: '1',
      r: '2',
    });
    await studio.demo.press('Train');
    await studio.demo.status('Done after 1 step');
  });

  it('exports the adapter, the whole model and the pairs', async () => {
    const adapter = await studio.adapter();
    expect(Object.keys(adapter)).to.have.members(['adapter_config.json', 'adapter_model.safetensors']);
    const pairs = await readFile(await (await studio.export('Pairs')).path(), 'utf8');
    expect(pairs.trim().split('\n')).to.have.length(PAIRS + 2);
    const model = await studio.export('Whole model for llama.cpp');
    const bytes = await readFile(await model.path());
    expect(bytes.subarray(0, 4).toString()).to.equal('GGUF');
  });

  it('made no errors', () => {
    expect(studio.demo.errors).to.deep.equal([]);
  });
});
