/** The studio from an empty profile to an adapter that others read, by keys. */
import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { unzipSync } from 'fflate';
import { CausalLM, generate, readAdapter, Tokenizer } from 'webalign';
import { memoryFiles } from 'webalign/files';
import { folderFiles, requestGpu } from 'webalign/node';
import { textAfter } from '../../src/data/text-stream.ts';
import { StudioPage } from './studio-page.ts';

const PROMPT = 'Amy and her dog went to the park.';
/** Tokens of the greedy drafts that page and library are compared by. */
const LENGTH = 16;

describe('the studio', function () {
  this.timeout(300_000);

  let studio: StudioPage;
  before(async () => {
    studio = await StudioPage.open();
  });
  after(() => studio?.demo.close());

  /** The greedy drafts of the prompt, before and after training, in the order of the form. */
  async function greedy(): Promise<string> {
    const { page } = studio;
    await studio.tab('Collect');
    await page.locator('#sampling').evaluate((form: HTMLFormElement, length) => {
      const set = (name: string, value: string) => {
        (form.elements.namedItem(name) as HTMLInputElement).value = value;
      };
      set('temperature', '0');
      set('maxNewTokens', String(length));
    }, LENGTH);
    await page.getByLabel('Prompt', { exact: true }).fill(PROMPT);
    await page.keyboard.press('Control+Enter');
    await studio.drafts({ ended: true });
    const text = (await page.locator('#draft-0').textContent()) ?? '';
    expect(await page.locator('#draft-1').textContent(), 'both are greedy').to.equal(text);
    return text.slice(PROMPT.length);
  }

  it('opens with drafts of the storyteller and no preferences', async () => {
    await studio.drafts();
    expect(await studio.count()).to.equal('0 preferences');
    expect(await studio.draft('First draft').innerText()).to.not.equal(
      await studio.draft('Second draft').innerText(),
    );
    studio.demo.requests.length = 0;
  });

  it('stores picks by key, and undoes one', async () => {
    await studio.pick('1', '2', 's', '1', '2', '0', 'x', '1', '2', '1', '2');
    await studio.expectCount('8 preferences · 1 tie · 1 both bad');
    await studio.page.keyboard.press('Control+z');
    await studio.expectCount('7 preferences · 1 tie · 1 both bad');
    await studio.drafts();
    await studio.demo.press('Second is better');
    await studio.expectCount('8 preferences · 1 tie · 1 both bad');
  });

  it('prefers an edit to the other draft', async () => {
    await studio.drafts({ ended: true });
    const rejected = await studio.page.locator('#draft-1').textContent();
    await studio.page.keyboard.press('e');
    await studio.page.getByLabel('Your text').fill(' 1 2 0 x is text here.');
    await studio.page.keyboard.press('Control+Enter');
    await studio.expectCount('9 preferences · 1 tie · 1 both bad');
    const rows = (await readFile(await (await studio.export('Pairs')).path(), 'utf8')).trim().split('\n');
    expect(rows).to.have.length(9);
    const { prompt, chosen, rejected: other } = JSON.parse(rows.at(-1) ?? '');
    expect(chosen).to.equal(' 1 2 0 x is text here.');
    expect(prompt + other).to.equal(rejected);
  });

  it('offers the prompts of a file next', async () => {
    await studio.tab('Collect');
    const buffer = Buffer.from('Zoe had a kite.\nBen had a boat.\n');
    await studio.page
      .getByLabel('File of prompts')
      .setInputFiles({ name: 'mine.txt', mimeType: 'text/plain', buffer });
    const prompt = studio.page.getByLabel('Prompt', { exact: true });
    await studio.page.getByText('2 prompts of mine.txt come next.').waitFor();
    expect(await prompt.inputValue()).to.equal('Zoe had a kite.');
    await studio.demo.press('Skip');
    expect(await prompt.inputValue()).to.equal('Ben had a boat.');
  });

  it('shows a prompt as plain text, whatever it contains', async () => {
    await studio.tab('Collect');
    const markup = '<img src=x onerror="document.title=1">';
    await studio.page.getByLabel('Prompt', { exact: true }).fill(markup);
    await studio.demo.press('Write');
    await studio.drafts();
    expect(await studio.draft('First draft').innerText()).to.include(markup);
    expect(await studio.page.locator('.pair img').count()).to.equal(0);
  });

  let uninterrupted: Record<string, Uint8Array>;

  it('trains while drafts continue, and plots the curves', async () => {
    await studio.tab('Train');
    // Larger steps than a person would take: nine picks on random drafts must change a greedy text.
    const learningRate = '0.01';
    await studio.fill({ learningRate, numTrainEpochs: '4', perDeviceTrainBatchSize: '4', r: '4' });
    await studio.demo.press('Train');
    await studio.demo.status('Training');
    await studio.tab('Collect');
    await studio.demo.press('Another prompt');
    await studio.drafts({ ended: true });
    await studio.demo.status('Done');
    await studio.tab('Train');
    const [loss] = await studio.demo.charts();
    expect(loss).to.match(/^Loss after step \d+: [\d.]+ in training/);
  });

  it('shows samples of two prompts, from before the first step to the last', async () => {
    const lists = studio.page.locator('#samples-by-prompt .samples');
    expect(await lists.count()).to.equal(2);
    const steps = await lists.first().locator('.sample-step').allInnerTexts();
    expect(steps[0]).to.equal('Step 0');
    const last = Number.parseInt(await studio.demo.text('tile-step'), 10);
    expect(steps.at(-1)).to.equal(`Step ${last}`);
    expect(await lists.last().locator('.sample-text').allInnerTexts()).to.not.include('');
  });

  it('exports an adapter that generates the same in the library', async () => {
    uninterrupted = await studio.adapter();
    const shown = await greedy();
    const files = await folderFiles('demos/align/model');
    const gpu = await requestGpu();
    const [model, tokenizer] = await Promise.all([
      CausalLM.load(gpu, files, { dtype: 'float32' }),
      Tokenizer.fromFiles(files),
    ]);
    const prompt = tokenizer.encode(PROMPT);
    const write = async () => {
      const [written] = await generate(model, [prompt], { maxNewTokens: LENGTH, temperature: 0 });
      return textAfter(tokenizer, prompt, written?.ids ?? []);
    };
    const before = await write();
    model.attach(await readAdapter(memoryFiles(uninterrupted)));
    expect(await write()).to.equal(shown);
    expect(before, 'the adapter changes the text').to.not.equal(shown);
    gpu.dispose();
  });

  it('survives its worker and its tab, and ends with the same adapter', async () => {
    await studio.tab('Train');
    await studio.demo.press('Train');
    // Until then the tiles are those of the run before.
    await studio.demo.status('Training');
    await studio.demo.step(2);
    await studio.demo.press('Pause');
    await studio.demo.status('Paused at step');
    await studio.demo.endWorker();
    await studio.page.getByRole('alert').filter({ hasText: 'Reload the page' }).waitFor();
    await studio.page.reload();
    await studio.demo.status('is kept in this browser');
    await studio.expectCount('9 preferences · 1 tie · 1 both bad');
    studio.demo.requests.length = 0;
    await studio.demo.press('Resume');
    await studio.demo.status('Done');
    expect(await studio.adapter()).to.deep.equal(uninterrupted);
  });

  it('stores both runs, with their adapters', async () => {
    await studio.tab('Train');
    const runs = studio.page.locator('#past-rows tr');
    expect(await runs.count()).to.equal(2);
    const [download] = await Promise.all([
      studio.page.waitForEvent('download'),
      runs
        .last()
        .getByRole('button', { name: /^Export adapter/ })
        .click(),
    ]);
    const entries = unzipSync(await readFile(await download.path()));
    const weights = entries['webalign-adapter/adapter_model.safetensors'];
    expect(weights).to.deep.equal(uninterrupted['adapter_model.safetensors']);
    await runs
      .last()
      .getByRole('button', { name: /^Delete/ })
      .click();
    await studio.page.waitForFunction(() => document.querySelectorAll('#past-rows tr').length === 1);
  });

  it('compares before and after by blind picks', async () => {
    await studio.tab('Compare');
    await studio.page.getByLabel('Votes that decide').fill('2');
    await studio.demo.press('Compare blind');
    await studio.pick('1');
    await studio.page
      .locator('#compare-now')
      .filter({ hasText: ': 1 of the 2 votes' })
      .waitFor({ state: 'attached' });
    await studio.pick('2');
    await studio.tab('Compare');
    expect(await studio.page.locator('#compare-now').innerText()).to.match(
      /^DPO .*, step \d+ was better than the model before in [012] of 2 votes that decided, \d+% \(95% interval .* too close to call/,
    );
  });

  it('unblinds a finished comparison, with measurements of both models and automatic judges', async () => {
    const cells = (id: string) => studio.page.locator(`#${id} tr`).allInnerTexts();
    await studio.page.locator('#unblinded-judges').waitFor({ timeout: 60_000 });
    const [trained, before] = await cells('unblinded-rows');
    expect(trained).to.match(/^DPO .*, step \d+\s−?[\d.]+ ± [\d.]+ nats\s−\d\.\d\d\s[01]\.\d\d\d$/);
    expect(before).to.match(/^the model before\s0\s−\d\.\d\d\s[01]\.\d\d\d$/);
    const judges = await cells('judge-rows');
    expect(judges).to.have.length(3);
    expect(judges[0]).to.match(/^Implicit reward of DPO .*\s[012] of 2\s0\s[012] of 2$/);
  });

  it('shows no results while votes are cast', async () => {
    await studio.page.getByLabel('One model').selectOption({ index: 2 });
    await studio.page.getByLabel('The other model').selectOption({ label: 'the model before training' });
    await studio.demo.press('Compare blind');
    await studio.pick('1');
    await studio.tab('Compare');
    const [row] = await studio.page.locator('#compare-rows tr').allInnerTexts();
    expect(row).to.match(/\s–\s–\s0\safter 2 votes\s–$/);
    expect(await studio.page.locator('#unblinded').isVisible()).to.equal(false);
  });

  it('makes no requests after loading', () => {
    expect(studio.demo.sent()).to.deep.equal([]);
  });

  it('logs no errors', () => {
    expect(studio.demo.errors).to.deep.equal([]);
  });

  it('fits a phone, on every tab', async () => {
    for (const name of ['Model', 'Collect', 'Train', 'Compare', 'Keep']) {
      await studio.tab(name);
      await studio.demo.fitsTelephone();
    }
  });

  it('says what to do without WebGPU', () => studio.demo.saysWhatToDoWithoutWebGpu());
});
