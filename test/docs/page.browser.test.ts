/**
 * The pages of the documentation that run in a browser: the files of `docs/page.md`, and the page of `README.md`. Both are
 * bundled unchanged and used as a person would use them, on the model and the pairs that the package contains.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { build } from 'esbuild';
import type { Browser, Page } from 'playwright';
import { gpuPage, launchChromium } from '../../src/testing.ts';
import { textOf } from '../architecture/sources.ts';

/** Inside the package, so that `webalign` is the one just built. */
const FOLDER = 'dist/docs-page';
const FILE = /^`([\w./-]+)`:\n\n```\w+\n(.*?)```/gms;
const SCRIPT = /<script type="module">\n(.*?)<\/script>/s;
/** As many as a software adapter computes in a moment. */
const STEPS = {
  'maxSteps: 20': 'maxSteps: 3',
  'saveSteps: 5': 'saveSteps: 1',
  'BatchSize: 4': 'BatchSize: 2',
  'maxNewTokens: 40': 'maxNewTokens: 12',
};

const shortened = (code: string) =>
  Object.entries(STEPS).reduce((text, [long, short]) => text.replaceAll(long, short), code);

describe('the pages of the documentation', () => {
  let browser: Browser;
  before(async () => {
    browser = await launchChromium();
  });
  after(async () => {
    await browser.close();
    await rm(FOLDER, { recursive: true, force: true });
  });

  /** Serves files of a folder of this name, scripts bundled, beside a model and a few pairs. */
  async function opened(name: string, files: Record<string, string>): Promise<Page> {
    const folder = join(FOLDER, name);
    for (const [file, text] of Object.entries(files)) {
      await mkdir(dirname(join(folder, 'src', file)), { recursive: true });
      await writeFile(join(folder, 'src', file), shortened(text));
    }
    const scripts = Object.keys(files).filter((file) => /^(page|worker)\.js$/.test(file));
    await build({
      entryPoints: scripts.map((file) => join(folder, 'src', file)),
      outdir: join(folder, 'site'),
      bundle: true,
      format: 'esm',
      // `webalign` is the package, not its sources.
      tsconfigRaw: '{}',
      logLevel: 'error',
    });
    await writeFile(join(folder, 'site/index.html'), files['index.html']);
    const pairs = (await readFile('demos/align/data/train.jsonl', 'utf8')).split('\n').slice(0, 4);
    await writeFile(join(folder, 'site/pairs.jsonl'), pairs.join('\n'));
    return gpuPage(browser, { serve: { '/': join(folder, 'site'), '/model/': 'demos/align/model' } });
  }

  const says = (page: Page, text: RegExp) =>
    page.locator('#says', { hasText: text }).waitFor({ timeout: 120_000 });

  it('docs/page.md trains, stops, resumes after a reload, generates and saves the adapter', async () => {
    const files = Object.fromEntries(
      [...textOf('docs/page.md').matchAll(FILE)].map(([, name, code]) => [name, code]),
    );
    expect(Object.keys(files)).to.have.members(['index.html', 'page.js', 'worker.js']);
    const page = await opened('page', files);
    await page.click('#train');
    await says(page, /Step 1 of 3: loss 0\.\d{3}, \d+ s left/);
    await page.click('#stop');
    await says(page, /Stopped after step [12]/);
    await page.reload();
    await page.click('#train');
    await says(page, /Continues after step [12]|Step/);
    await says(page, /Trained/);
    const downloads: string[] = [];
    page.on('download', (download) => downloads.push(download.suggestedFilename()));
    await page.click('#save');
    await page.click('#write');
    await says(page, /One day, Lily \w+ \w+/);
    expect(downloads).to.have.members(['adapter_config.json', 'adapter_model.safetensors']);
    await page.close();
  });

  it('README.md trains and generates in fifteen lines', async () => {
    const html = /```html\n(.*?)```/s.exec(textOf('README.md'))![1];
    expect(html.trimEnd().split('\n').length).to.be.at.most(15);
    const script = SCRIPT.exec(html)![1];
    const page = await opened('readme', {
      'page.js': script,
      'index.html': html.replace(SCRIPT, '<script type="module" src="page.js"></script>'),
    });
    await says(page, /^Once upon a time.*\w+ \w+/);
    await page.close();
  });
});
