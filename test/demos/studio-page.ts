/** The studio, opened in Chromium, and what tests do there: wait for drafts, pick, train, export. */
import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { unzipSync } from 'fflate';
import type { Download } from 'playwright';
import { DemoPage, type OpenOptions } from './demo-page.ts';

/** Prompts that are offered. */
const PROMPTS = 24;

export class StudioPage {
  private constructor(readonly demo: DemoPage) {}

  static async open(options?: OpenOptions): Promise<StudioPage> {
    return new StudioPage(await DemoPage.open('studio', { train: 0, heldOut: PROMPTS }, options));
  }

  get page() {
    return this.demo.page;
  }

  async tab(name: string): Promise<void> {
    await this.page.getByRole('tab', { name, exact: true }).click();
  }

  /** What the one status of the shown tab says. */
  count(): Promise<string> {
    return this.page.getByRole('status').innerText();
  }

  draft(name: 'First draft' | 'Second draft') {
    return this.page.getByRole('region', { name, exact: true });
  }

  /** Waits until both drafts have words, or have ended. */
  async drafts({ ended = false } = {}): Promise<void> {
    const isThere = (isEnded: boolean) => {
      const pick = document.querySelector('#pick-first:not([hidden]), #pick-up:not([hidden])');
      const isWriting = document.querySelector('.writing') !== null;
      return pick?.getAttribute('aria-disabled') === 'false' && !(isEnded && isWriting);
    };
    await this.page.waitForFunction(isThere, ended, { timeout: 60_000, polling: 50 });
  }

  /** Presses keys, each on drafts that are there. */
  async pick(...keys: string[]): Promise<void> {
    for (const key of keys) {
      await this.drafts();
      await this.page.keyboard.press(key);
    }
  }

  /** Imports the first pairs of the embedded data, and waits until they are counted. */
  async importPairs(count: number): Promise<void> {
    const lines = (await readFile('demos/align/data/train.jsonl', 'utf8')).split('\n').slice(0, count);
    const buffer = Buffer.from(lines.join('\n'));
    await this.page
      .getByLabel('Files of judgments')
      .setInputFiles({ name: 'pairs.jsonl', mimeType: 'application/jsonl', buffer });
    await this.expectCount(`${count} preferences`);
  }

  async expectCount(text: string): Promise<void> {
    const says = (wanted: string) => document.querySelector('[role=status]')?.textContent === wanted;
    await this.page.waitForFunction(says, text, { timeout: 10_000, polling: 50 }).catch(() => undefined);
    expect(await this.count()).to.equal(text);
  }

  async fill(values: Readonly<Record<string, string>>): Promise<void> {
    for (const [name, value] of Object.entries(values))
      await this.page.locator(`#settings [name=${name}]`).fill(value);
  }

  /** Exports what stands beside this label on the tab Keep. */
  async export(label: string): Promise<Download> {
    await this.tab('Keep');
    await this.page.getByRole('radio', { name: label }).check();
    const [download] = await Promise.all([this.page.waitForEvent('download'), this.demo.press('Export')]);
    return download;
  }

  async adapter(): Promise<Record<string, Uint8Array>> {
    const download = await this.export('Adapter for PEFT adapter_config');
    const entries = Object.entries(unzipSync(await readFile(await download.path())));
    return Object.fromEntries(entries.map(([path, bytes]) => [path.split('/').at(-1) ?? path, bytes]));
  }
}
