import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { unzipSync } from 'fflate';
import type { Browser, BrowserContext, Page } from 'playwright';
import { memoryFiles } from '../../src/io/files.ts';
import { readAdapter } from '../../src/io/peft.ts';
import { launchChromium, type Server, serve } from '../../src/testing.ts';
import { cpuTimes, recordLongTasks, takeLongTasks } from './main-thread.ts';

/** Few pairs, so that a run takes seconds even where the CPU stands in for the GPU. */
const TRAIN = 24;
const HELD_OUT = 8;
/** 6 steps an epoch: the held-out pairs are looked at once on the way, a checkpoint is written, and both again at the end. */
const SETTINGS = { beta: '0.1', numTrainEpochs: '2', perDeviceTrainBatchSize: '4', r: '4' };
const STEPS = 12;
/** Milliseconds that a task of the main thread may take. */
const LONGEST = 100;

describe('the demo page', function () {
  this.timeout(600_000);

  let folder: string;
  let browser: Browser;
  let server: Server;
  let context: BrowserContext;
  let page: Page;
  const errors: string[] = [];
  const requests: string[] = [];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'webalign-demo-'));
    for (const [file, rows] of Object.entries({ 'train.jsonl': TRAIN, 'eval.jsonl': HELD_OUT })) {
      const text = await readFile(`demos/align/data/${file}`, 'utf8');
      await writeFile(join(folder, file), text.split('\n').slice(0, rows).join('\n'));
    }
    browser = await launchChromium();
    server = await serve({ '/': 'dist/demos', '/align/data/': folder });
    context = await browser.newContext({ locale: 'en-US', viewport: { width: 1280, height: 1000 } });
    await context.addInitScript(recordLongTasks);
    page = await context.newPage();
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') errors.push(message.text());
    });
    page.on('pageerror', (error) => errors.push(String(error)));
    // The context also hears the worker.
    context.on('request', (request) => requests.push(request.url()));
    await page.goto(`${server.url}/align/`);
  });

  after(async () => {
    await browser?.close();
    await server?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const button = (name: string) => page.getByRole('button', { name, exact: true });
  const text = (id: string) => page.locator(`#${id}`).innerText();
  const press = (name: string) => button(name).and(page.locator('[aria-disabled=false]')).click();

  /** Waits until the status begins with these words; a failed run rejects at once. */
  async function status(...beginnings: string[]): Promise<void> {
    const reached = await page.waitForFunction(
      (wanted) => {
        const element = document.getElementById('status');
        const says = element?.innerText ?? '';
        if (element?.dataset.kind === 'problem') return says;
        return wanted.some((each) => says.includes(each)) && 'reached';
      },
      beginnings,
      { timeout: 120_000, polling: 50 },
    );
    expect(await reached.jsonValue()).to.equal('reached');
  }

  async function step(atLeast: number): Promise<void> {
    const at = (least: number) =>
      Number.parseInt(document.getElementById('tile-step')?.innerText ?? '', 10) >= least;
    await page.waitForFunction(at, atLeast, { timeout: 120_000, polling: 50 });
  }

  async function writeStory(): Promise<{ before: string; after: string }> {
    await press('Write on');
    await page.waitForFunction(() => !document.querySelector('.writing'), undefined, { timeout: 120_000 });
    expect(await text('try-error')).to.equal('');
    return { before: await text('try-before'), after: await text('try-after') };
  }

  async function adapter(): Promise<Record<string, Uint8Array>> {
    const [download] = await Promise.all([page.waitForEvent('download'), press('Download adapter')]);
    expect(download.suggestedFilename()).to.equal('webalign-adapter.zip');
    const entries = Object.entries(unzipSync(await readFile(await download.path())));
    return Object.fromEntries(entries.map(([path, bytes]) => [path.replace('webalign-adapter/', ''), bytes]));
  }

  async function start(): Promise<void> {
    for (const [name, value] of Object.entries(SETTINGS)) await page.locator(`[name=${name}]`).fill(value);
    await page.getByRole('button', { name: /^Start/ }).click();
  }

  let uninterrupted: Record<string, Uint8Array>;

  it('loads, names its adapter and offers to start', async () => {
    await status('Ready');
    expect(await text('adapter-text')).to.match(/Native GPU|Software adapter/);
    expect(await text('pairs')).to.equal(String(TRAIN));
    expect(await button('Start').getAttribute('aria-disabled')).to.equal('false');
    requests.length = 0;
  });

  it('writes a story before there is an adapter', async () => {
    const opening = await page.locator('#prompt').inputValue();
    const { before, after } = await writeStory();
    expect(before.length).to.be.above(opening.length + 20);
    expect(before.startsWith(opening)).to.equal(true);
    expect(after).to.include('no adapter yet');
  });

  it('trains and draws, and its main thread stays free', async () => {
    await browser.startTracing(page, { categories: ['toplevel'] });
    await takeLongTasks(page);
    const windows: number[][] = [];
    await start();
    await status('Training');
    for (let at = 1; at <= STEPS; at += 3) {
      await step(at);
      windows.push(await takeLongTasks(page));
      // Stories stream in meanwhile.
      if (at === 4) await press('Write on');
    }
    await status('Done');
    const cpu = cpuTimes(await browser.stopTracing());
    const wall = windows.map((tasks) => Math.max(0, ...tasks));
    // Here the GPU may be the CPU itself: its threads put the page's aside at any moment, and a task is then long by no
    // doing of its own. What it does is its time on the CPU, in every task; and a task that truly blocks is long whenever
    // it runs, so one window without such a task shows that none does.
    expect(cpu.length, 'tasks in the trace').to.be.above(50);
    expect(Math.max(...cpu), 'longest task, ms of CPU').to.be.below(LONGEST);
    expect(Math.min(...wall), `longest tasks, ms, by window: ${wall.join(', ')}`).to.be.at.most(LONGEST);

    for (const label of await page.locator('.plot').evaluateAll((all) => all.map((each) => each.ariaLabel))) {
      expect(label).to.match(
        new RegExp(`after step ${STEPS}: [−-]?[\\d.]+ in training, [−-]?[\\d.]+ held out`),
      );
    }
    expect(await text('tile-step')).to.equal(`${STEPS} of ${STEPS}`);
  });

  it('shows held-out stories before and after, their scores and the KL', async () => {
    for (const id of ['mean-before', 'mean-after', 'kl']) expect(await text(id)).to.match(/^[+−]?\d+\.\d$/);
    const pairs = await page
      .locator('#samples li')
      .evaluateAll((rows) =>
        rows.map((row) => [...row.querySelectorAll('.story')].map((story) => story.textContent ?? '')),
      );
    expect(pairs).to.have.length(6);
    for (const [before] of pairs) expect(before?.length).to.be.above(40);
    expect(pairs.some(([before, after]) => before !== after)).to.equal(true);
  });

  it('hands out an adapter in the files of PEFT', async () => {
    uninterrupted = await adapter();
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

  it('asked the network for nothing since it was loaded', () => {
    expect(requests.filter((url) => /^https?:/.test(url))).to.deep.equal([]);
  });

  it('pauses, outlives its tab and its device, and ends with the same adapter', async () => {
    await start();
    await status('Training');
    await step(2);
    await press('Pause');
    await status('Paused at step');
    await page.reload();
    await status('is kept in this browser');
    requests.length = 0;
    await press('Resume');
    await status('Training');
    const [worker] = page.workers();
    await worker!.evaluate(() => {
      const { createCommandEncoder } = GPUDevice.prototype;
      GPUDevice.prototype.createCommandEncoder = function (...given) {
        GPUDevice.prototype.createCommandEncoder = createCommandEncoder;
        queueMicrotask(() => this.destroy());
        return createCommandEncoder.apply(this, given);
      };
    });
    await status('The GPU device was lost. Going on from the checkpoint at step');
    await status('Done');
    expect(await adapter()).to.deep.equal(uninterrupted);
    expect(requests.filter((url) => /^https?:/.test(url))).to.deep.equal([]);
  });

  it('stops early with what was learnt, and forgets on demand', async () => {
    await start();
    await status('Training');
    await step(1);
    await press('Stop');
    await status('Done after');
    expect(Object.keys(await adapter())).to.have.members([
      'adapter_config.json',
      'adapter_model.safetensors',
    ]);
    await page.reload();
    await status('is kept in this browser');
    await press('Discard');
    await status('Ready');
    await page.reload();
    await status('Ready');
  });

  it('refuses settings that make no sense, in words', async () => {
    await page.locator('[name=beta]').fill('-1');
    await page.getByRole('button', { name: /^Start/ }).click();
    expect(
      await page.locator('[name=beta]').evaluate((field: HTMLInputElement) => field.validity.valid),
    ).to.equal(false);
    expect(await text('status')).to.match(/^Ready/);
  });

  it('made no errors', () => {
    expect(errors).to.deep.equal([]);
  });

  it('fits a telephone', async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    expect(width).to.be.at.most(360);
  });

  it('says what to do where there is no WebGPU', async () => {
    const bare = await browser.newPage({ locale: 'en-US' });
    await bare.addInitScript(() =>
      Object.defineProperty(Navigator.prototype, 'gpu', { get: () => undefined }),
    );
    await bare.goto(`${server.url}/align/`);
    const alert = bare.getByRole('alert').filter({ hasText: 'WebGPU' });
    await alert.waitFor();
    expect(await alert.innerText()).to.match(/Chrome.*Safari.*Firefox/s);
    expect(await bare.locator('#primary').getAttribute('aria-disabled')).to.equal('true');
    await bare.close();
  });
});
