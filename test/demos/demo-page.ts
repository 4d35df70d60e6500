/**
 * A demo with a training run, opened in Chromium with few rows of data, and what tests do with every such demo: press its
 * buttons, wait for its messages, download its adapter.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { unzipSync } from 'fflate';
import type { Browser, BrowserContext, CDPSession, Page } from 'playwright';
import { launchChromium, type Server, serve } from '../../src/testing.ts';
import { cpuTimes } from './main-thread.ts';

/** Milliseconds that a task of the main thread may take. */
const LONGEST = 100;

declare global {
  interface Window {
    startedWorkers: Worker[];
  }
}

/** In the page: keeps a reference to every worker that it starts. */
function rememberWorkers(): void {
  window.startedWorkers = [];
  window.Worker = class extends Worker {
    constructor(...given: ConstructorParameters<typeof Worker>) {
      super(...given);
      window.startedWorkers.push(this);
    }
  };
}

export interface OpenOptions {
  /** Called with the context before its first page is opened. */
  prepare?(context: BrowserContext): Promise<void>;
}

export class DemoPage {
  readonly errors: string[] = [];
  readonly requests: string[] = [];
  private devTools: CDPSession | undefined;

  private constructor(
    readonly browser: Browser,
    readonly server: Server,
    readonly context: BrowserContext,
    readonly page: Page,
    private readonly folder: string,
    private readonly name: string,
  ) {
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') this.errors.push(message.text());
    });
    page.on('pageerror', (error) => this.errors.push(String(error)));
    // The context also reports the requests of the worker.
    context.on('request', (request) => this.requests.push(request.url()));
    // A request that the page's policy blocked was never sent, though the browser reports it.
    context.on('requestfailed', (request) => {
      if (request.failure()?.errorText !== 'csp') return;
      this.requests.splice(this.requests.indexOf(request.url()), 1);
    });
  }

  /** Opens the demo of this name with this many rows of training data and of held-out data. */
  static async open(
    name: string,
    rows: { train: number; heldOut: number },
    { prepare }: OpenOptions = {},
  ): Promise<DemoPage> {
    const folder = await mkdtemp(join(tmpdir(), 'webalign-demo-'));
    for (const [file, count] of Object.entries({ 'train.jsonl': rows.train, 'eval.jsonl': rows.heldOut })) {
      const text = await readFile(`demos/align/data/${file}`, 'utf8');
      await writeFile(join(folder, file), text.split('\n').slice(0, count).join('\n'));
    }
    const browser = await launchChromium();
    const server = await serve({ '/': 'dist/demos', '/align/data/': folder });
    const context = await browser.newContext({ locale: 'en-US', viewport: { width: 1280, height: 1000 } });
    await context.addInitScript(rememberWorkers);
    await prepare?.(context);
    const demo = new DemoPage(browser, server, context, await context.newPage(), folder, name);
    await demo.page.goto(`${server.url}/${name}/`);
    return demo;
  }

  async close(): Promise<void> {
    await this.browser.close();
    await this.server.close();
    await rm(this.folder, { recursive: true, force: true });
  }

  button(name: string) {
    return this.page.getByRole('button', { name, exact: true });
  }

  text(id: string): Promise<string> {
    return this.page.locator(`#${id}`).innerText();
  }

  press(name: string): Promise<void> {
    return this.button(name).and(this.page.locator('[aria-disabled=false]')).click();
  }

  /** Starts a run with these values in its fields. */
  async start(settings: Readonly<Record<string, string>>): Promise<void> {
    for (const [name, value] of Object.entries(settings))
      await this.page.locator(`[name=${name}]`).fill(value);
    await this.page.getByRole('button', { name: /^Start/ }).click();
  }

  /** Waits until the status contains one of these words; rejects at once if a run fails. */
  async status(...words: string[]): Promise<void> {
    const reached = await this.page.waitForFunction(
      (wanted) => {
        const element = document.getElementById('status');
        const says = element?.innerText ?? '';
        if (element?.dataset.kind === 'problem') return says;
        return wanted.some((each) => says.includes(each)) && 'reached';
      },
      words,
      { timeout: 120_000, polling: 50 },
    );
    expect(await reached.jsonValue()).to.equal('reached');
  }

  async step(atLeast: number): Promise<void> {
    const at = (least: number) =>
      Number.parseInt(document.getElementById('tile-step')?.innerText ?? '', 10) >= least;
    await this.page.waitForFunction(at, atLeast, { timeout: 120_000, polling: 50 });
  }

  async adapter(): Promise<Record<string, Uint8Array>> {
    const [download] = await Promise.all([
      this.page.waitForEvent('download'),
      this.press('Download adapter'),
    ]);
    expect(download.suggestedFilename()).to.equal('webalign-adapter.zip');
    const entries = Object.entries(unzipSync(await readFile(await download.path())));
    return Object.fromEntries(entries.map(([path, bytes]) => [path.replace('webalign-adapter/', ''), bytes]));
  }

  /** Requests to any address, without those that the page itself created. */
  sent(): string[] {
    return this.requests.filter((url) => /^https?:/.test(url));
  }

  /** Ends the page's worker, as a browser that needs memory does. */
  async endWorker(): Promise<void> {
    await this.page.evaluate(() => {
      for (const worker of window.startedWorkers) worker.terminate();
    });
  }

  /** Limits the page's origin to this many bytes of storage; without a number, removes the limit. */
  async quota(bytes?: number): Promise<void> {
    // The limit lasts as long as the session.
    this.devTools ??= await this.context.newCDPSession(this.page);
    const size = bytes === undefined ? {} : { quotaSize: bytes };
    await this.devTools.send('Storage.overrideQuotaForOrigin', { origin: this.server.url, ...size });
    // Chromium caches for 20 s how much space an open IndexedDB has, and closes an unused one after 2 s.
    await this.page.goto('about:blank');
    await this.page.waitForTimeout(3000);
    await this.page.goto(`${this.server.url}/${this.name}/`);
  }

  /** Loses the worker's device as soon as it is used again. */
  async loseDevice(): Promise<void> {
    // Another worker, of a frame, may run what a person has typed.
    const worker = this.page.workers().find((each) => !each.url().startsWith('blob:null'));
    await worker!.evaluate(() => {
      const { createCommandEncoder } = GPUDevice.prototype;
      GPUDevice.prototype.createCommandEncoder = function (...given) {
        GPUDevice.prototype.createCommandEncoder = createCommandEncoder;
        queueMicrotask(() => this.destroy());
        return createCommandEncoder.apply(this, given);
      };
    });
  }

  /**
   * Checks the longest task of the main thread against its limit while `work` runs. A task is measured by its time on the
   * CPU: other processes can interrupt it at any moment, among them the threads of a software adapter.
   */
  async keepsFree(work: () => Promise<void>): Promise<void> {
    await this.browser.startTracing(this.page, { categories: ['toplevel'] });
    await work();
    const cpu = cpuTimes(await this.browser.stopTracing());
    expect(cpu.length, 'tasks in the trace').to.be.above(50);
    expect(Math.max(...cpu), 'longest task, ms of CPU').to.be.below(LONGEST);
  }

  /** The text description of every chart. */
  charts(): Promise<(string | null)[]> {
    return this.page.locator('.plot').evaluateAll((all) => all.map((each) => each.ariaLabel));
  }

  async fitsTelephone(): Promise<void> {
    await this.page.setViewportSize({ width: 360, height: 740 });
    const { width, widest } = await this.page.evaluate(() => {
      const right = (each: Element) => each.getBoundingClientRect().right;
      const beyond = [...document.body.querySelectorAll('*')].filter((each) => right(each) > 360);
      const names = beyond.map((each) => `${each.tagName} ${each.id} ${each.className} ${right(each)}`);
      return { width: document.documentElement.scrollWidth, widest: names.slice(0, 20).join('\n') };
    });
    expect(width, `beyond the screen:\n${widest}\n`).to.be.at.most(360);
  }

  async saysWhatToDoWithoutWebGpu(): Promise<void> {
    const bare = await this.browser.newPage({ locale: 'en-US' });
    await bare.addInitScript(() =>
      Object.defineProperty(Navigator.prototype, 'gpu', { get: () => undefined }),
    );
    await bare.goto(`${this.server.url}/${this.name}/`);
    const alert = bare.getByRole('alert').filter({ hasText: 'WebGPU' });
    await alert.waitFor();
    expect(await alert.innerText()).to.match(/Chrome.*Safari.*Firefox/s);
    expect(await bare.locator('#primary').getAttribute('aria-disabled')).to.equal('true');
    await bare.close();
  }
}
