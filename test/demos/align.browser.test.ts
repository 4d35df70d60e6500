import { expect } from 'chai';
import { memoryFiles } from '../../src/io/files.ts';
import { readAdapter } from '../../src/io/peft.ts';
import { DemoPage } from './demo-page.ts';

/** Few pairs, so that a run takes seconds even on a software adapter. */
const TRAIN = 24;
const HELD_OUT = 8;
/** 6 steps per epoch: one evaluation and one checkpoint during the run, and both again at the end. */
const SETTINGS = { beta: '0.1', numTrainEpochs: '2', perDeviceTrainBatchSize: '4', r: '4' };
const STEPS = 12;

describe('the demo page', function () {
  this.timeout(600_000);

  let demo: DemoPage;

  before(async () => {
    demo = await DemoPage.open('align', { train: TRAIN, heldOut: HELD_OUT });
  });

  after(() => demo?.close());

  async function writeStory(): Promise<{ before: string; after: string }> {
    await demo.press('Write on');
    const written = () => !document.querySelector('.writing');
    await demo.page.waitForFunction(written, undefined, { timeout: 120_000 });
    expect(await demo.text('try-error')).to.equal('');
    return { before: await demo.text('try-before'), after: await demo.text('try-after') };
  }

  let uninterrupted: Record<string, Uint8Array>;

  it('loads, shows its adapter and offers to start', async () => {
    await demo.status('Ready');
    expect(await demo.text('adapter-text')).to.match(/Native GPU|Software adapter/);
    expect(await demo.text('pairs')).to.equal(String(TRAIN));
    expect(await demo.button('Start').getAttribute('aria-disabled')).to.equal('false');
    demo.requests.length = 0;
  });

  it('writes a story before there is an adapter', async () => {
    const opening = await demo.page.locator('#prompt').inputValue();
    const { before, after } = await writeStory();
    expect(before.length).to.be.above(opening.length + 20);
    expect(before.startsWith(opening)).to.equal(true);
    expect(after).to.include('no adapter yet');
  });

  it('trains and draws with a responsive main thread', async () => {
    await demo.keepsFree(async () => {
      await demo.start(SETTINGS);
      await demo.status('Training');
      for (let at = 1; at <= STEPS; at += 3) {
        await demo.step(at);
        // Stories are shown as they are generated.
        if (at === 4) await demo.press('Write on');
      }
      await demo.status('Done');
    });
    for (const label of await demo.charts()) {
      expect(label).to.match(
        new RegExp(`after step ${STEPS}: [−-]?[\\d.]+ in training, [−-]?[\\d.]+ held out`),
      );
    }
    expect(await demo.text('tile-step')).to.equal(`${STEPS} of ${STEPS}`);
  });

  it('shows held-out stories before and after, their scores and the KL', async () => {
    for (const id of ['mean-before', 'mean-after', 'kl'])
      expect(await demo.text(id)).to.match(/^[+−]?\d+\.\d$/);
    const reading = await demo.page.locator('#reading dd').allTextContents();
    expect(reading).to.have.length(4);
    for (const figure of reading) expect(figure).to.match(/^−?\d+\.\d+%? → −?\d+\.\d+%?$/);
    const pairs = await demo.page
      .locator('#samples li')
      .evaluateAll((rows) =>
        rows.map((row) => [...row.querySelectorAll('.story')].map((story) => story.textContent ?? '')),
      );
    expect(pairs).to.have.length(6);
    for (const [before] of pairs) expect(before?.length).to.be.above(40);
    expect(pairs.some(([before, after]) => before !== after)).to.equal(true);
  });

  it("offers an adapter in PEFT's files", async () => {
    uninterrupted = await demo.adapter();
    const { config, weights } = await readAdapter(memoryFiles(uninterrupted));
    expect(config.r).to.equal(4);
    expect(weights.size).to.equal(28);
    expect(
      [...weights.values()].every(({ b }) => b.every(Number.isFinite) && b.some((value) => value !== 0)),
    ).to.equal(true);
  });

  it('writes a story on both sides', async () => {
    const { before, after } = await writeStory();
    expect(after).to.not.equal(before);
    expect(after).to.not.include('no adapter yet');
  });

  it('makes no requests after loading', () => {
    expect(demo.sent()).to.deep.equal([]);
  });

  it('pauses, survives its worker, its tab and its device, and ends with the same adapter', async () => {
    await demo.start(SETTINGS);
    await demo.status('Training');
    await demo.step(2);
    await demo.press('Pause');
    await demo.status('Paused at step');
    await demo.endWorker();
    await demo.page.waitForFunction(() => document.getElementById('status')?.dataset.kind === 'problem');
    expect(await demo.text('status')).to.match(/^The browser has ended the part .*Reload the page/);
    expect(await demo.page.locator('[aria-disabled=false]').count(), 'buttons that do something').to.equal(0);
    await demo.page.reload();
    await demo.status('is kept in this browser');
    demo.requests.length = 0;
    await demo.press('Resume');
    await demo.status('Training');
    await demo.loseDevice();
    await demo.status('The GPU device was lost. Going on from the checkpoint at step');
    await demo.status('Done');
    expect(await demo.adapter()).to.deep.equal(uninterrupted);
    expect(demo.sent()).to.deep.equal([]);
  });

  it('deletes the run on request', async () => {
    await demo.page.reload();
    await demo.status('is kept in this browser');
    await demo.press('Discard');
    await demo.status('Ready');
    await demo.page.reload();
    await demo.status('Ready');
  });

  it('continues if the storage is full, with a notice, and stops early with the current adapter', async () => {
    await demo.quota(1000);
    await demo.status('Ready');
    await demo.start(SETTINGS);
    await demo.status('no more room');
    await demo.status('Training');
    await demo.step(1);
    await demo.press('Stop');
    await demo.status('Done after');
    expect(await demo.text('status'))
      .to.include('no more room')
      .and.include('Download the adapter');
    expect(Object.keys(await demo.adapter())).to.have.members([
      'adapter_config.json',
      'adapter_model.safetensors',
    ]);
    await demo.quota();
    await demo.status('Ready');
  });

  it('rejects invalid settings with a message', async () => {
    await demo.start({ beta: '-1' });
    const isValid = (field: HTMLInputElement) => field.validity.valid;
    expect(await demo.page.locator('[name=beta]').evaluate(isValid)).to.equal(false);
    expect(await demo.text('status')).to.match(/^Ready/);
  });

  it('logs no errors', () => {
    expect(demo.errors).to.deep.equal([]);
  });

  it('fits a phone', () => demo.fitsTelephone());

  it('says what to do without WebGPU', () => demo.saysWhatToDoWithoutWebGpu());
});
