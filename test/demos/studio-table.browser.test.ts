/** The table of judgments in Chromium: search, edit, delete, warnings, import, export, ten thousand rows, a telephone. */
import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import type { Page } from 'playwright';
import type { Judgment } from '../../demos/studio/preferences/judgment.ts';
import type { openPreferences, PreferenceStore } from '../../demos/studio/preferences/store.ts';
import type { mountTable } from '../../demos/studio/table.ts';
import { CHAT, draft, judgment } from './studio-judgments.ts';
import { StudioPages } from './studio-pages.ts';

declare const demo: { openPreferences: typeof openPreferences; mountTable: typeof mountTable };
declare global {
  var store: PreferenceStore;
}

const HTML = '<img src=x onerror="document.title=1"><b>bold</b>';

describe('the table of judgments', function () {
  this.timeout(60_000);
  let pages: StudioPages;
  let page: Page;
  const errors: string[] = [];
  before(async () => {
    const code = `export { openPreferences } from './demos/studio/preferences/store.ts';
      export { mountTable } from './demos/studio/table.ts';
      import './demos/shared/look.css'; import './demos/studio/table.css';`;
    pages = await StudioPages.open(code);
  });
  after(() => pages?.close());
  beforeEach(async () => {
    pages.context = await pages.browser.newContext({
      locale: 'en-US',
      viewport: { width: 1280, height: 900 },
    });
  });
  afterEach(async () => {
    await pages.context.close();
    expect(errors.splice(0)).to.deep.equal([]);
  });

  async function open(judgments: readonly Judgment[]): Promise<void> {
    page = await pages.page();
    page.on('pageerror', (error) => errors.push(String(error)));
    await page.evaluate(async (all) => {
      globalThis.store = await demo.openPreferences();
      await store.add(all);
      const element = document.createElement('div');
      document.body.append(element);
      demo.mountTable(element, store);
    }, judgments);
  }
  const button = (name: string | RegExp) =>
    page.getByRole('button', typeof name === 'string' ? { name, exact: true } : { name });
  const choice = (name: string) => page.getByRole('combobox', { name, exact: true });
  const rows = () => page.locator('tbody').getByRole('row');
  const cells = (column: string) => page.locator(`tbody [data-column="${column}"]`).allInnerTexts();
  const all = () => page.evaluate(() => [...store.all()]);
  const says = (text: string) => page.locator('.table-said').filter({ hasText: text }).waitFor();

  it('shows texts as plain text, newest first, with each verdict on its drafts', async () => {
    const [a, b] = [
      judgment('edit', { prompt: HTML, note: HTML, tags: [HTML] }),
      judgment('second', { prompt: CHAT }),
    ];
    await open([a, b, judgment('tie', { drafts: [draft(HTML), draft('')] })]);
    await page.evaluate((drafts) => store.edit(store.all()[0].id, { drafts }), [draft(HTML), draft('other')]);
    await page.waitForFunction(() => document.body.innerText.includes('other'));
    expect(await page.locator('tbody :is(img, b)').count()).to.equal(0);
    expect((await cells('Prompt')).slice(1)).to.deep.equal([
      'system: Be brief.\nuser: Why is the sky blue?',
      HTML,
    ]);
    expect(await cells('Verdict')).to.deep.equal(['tie', 'second is better', `edited\n\n${a.edit!.text}`]);
    expect((await cells('First draft')).map((text) => text.replace(/\s+/g, ' '))).to.deep.equal([
      HTML,
      `Bad: ${b.drafts[0].text}`,
      `Bad: ${HTML}`,
    ]);
    expect((await cells('Second draft'))[0]).to.equal('(empty)');
    expect(await page.locator('.table-counts').innerText()).to.equal('2 preferences · 1 tie');
    expect(await page.title()).to.not.equal('1');
  });

  it('searches every text, and filters by verdict', async () => {
    await open([
      judgment('first', { prompt: 'About cats', note: 'Whiskers' }),
      judgment('second', { prompt: 'About dogs', tags: ['loud'] }),
      judgment('tie', { drafts: [draft('a cat purrs'), draft('nothing')] }),
    ]);
    const search = page.getByLabel('Search');
    for (const [text, count] of [
      ['cat', 2],
      ['CAT whisk', 1],
      ['loud', 1],
      ['', 3],
      ['fish', 0],
    ] as const) {
      await search.fill(text);
      expect(await rows().count(), text).to.equal(count);
    }
    expect(await page.getByText('Nothing is found.').isVisible()).to.equal(true);
    await search.fill('about');
    await choice('Verdict').selectOption('second');
    expect(await cells('Prompt')).to.deep.equal(['About dogs']);
    await button('Show all').click();
    expect([await rows().count(), await search.inputValue()]).to.deep.equal([3, '']);
  });

  it('edits a judgment in its dialog with the keyboard, and changes nothing on Escape', async () => {
    const pick = judgment('first', { note: 'old' });
    await open([pick]);
    await button(/^Edit: /).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Verdict').selectOption('edit');
    await dialog.getByLabel('Edited draft').selectOption('1');
    await dialog.getByLabel('Text in its place').fill('My text');
    await dialog.getByLabel('Note').fill('');
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'hidden' });
    // The dialog tells of its end a task later; what it saved would be drawn in the frame after.
    await page.waitForTimeout(50);
    expect(await all()).to.deep.equal([pick]);
    await button(/^Edit: /).press('Enter');
    expect(await dialog.getByLabel('Note').inputValue()).to.equal('old');
    await dialog.getByLabel('Verdict').selectOption('edit');
    await dialog.getByLabel('Edited draft').selectOption('1');
    await dialog.getByLabel('Text in its place').fill('My text');
    await dialog.getByLabel('Note').fill('');
    await dialog.getByLabel(/^Tags/).fill('short, short, kind');
    await page.keyboard.press('Enter');
    await says('The judgment is changed.');
    const { note: _, ...rest } = pick;
    const edit = { draft: 1, text: 'My text', ended: true };
    expect(await all()).to.deep.equal([{ ...rest, verdict: 'edit', edit, tags: ['short', 'kind'] }]);
    expect(await cells('Note and tags')).to.deep.equal(['short\nkind']);
  });

  it('deletes a judgment and undoes it, without losing the keyboard focus', async () => {
    const three = [judgment('first'), judgment('second'), judgment('tie')];
    await open(three);
    await page.evaluate((id) => store.edit(id, { note: 'kept' }), three[1].id);
    await page.getByText('kept').waitFor();
    const before = await all();
    await button(/^Delete: /)
      .nth(1)
      .press('Enter');
    await says('1 judgment deleted.');
    expect(await page.evaluate(() => document.activeElement?.ariaLabel)).to.equal(
      `Delete: ${three[0].prompt}`,
    );
    expect(await all()).to.have.length(2);
    // What is done between is not taken back.
    await page.evaluate((pick) => store.add(pick), judgment('up'));
    await button('Undo delete').click();
    await says('Taken back.');
    expect((await all()).slice(0, 3)).to.deep.equal(before);
  });

  it('reports duplicates, shows them and deletes them together', async () => {
    const same = () => judgment('first', { prompt: 'P', drafts: [draft('a'), draft('b')] });
    await open([same(), same(), same(), judgment('second')]);
    const warning = page
      .getByLabel('Warnings about your judgments')
      .getByRole('listitem')
      .filter({ hasText: 'repeat' });
    await warning.getByRole('button', { name: 'Show 2 judgments' }).click();
    expect(await rows().count()).to.equal(2);
    await button('Select all 2 found').click();
    await button('Delete 2 selected').click();
    await says('2 judgments deleted.');
    await warning.waitFor({ state: 'detached' });
    expect(await all()).to.have.length(2);
  });

  it('exports the shown judgments, and imports the missing ones', async () => {
    const two = [judgment('first', { prompt: 'About cats' }), judgment('tie')];
    await open([...two, judgment('second', { prompt: 'About dogs' })]);
    const download = async (name: string) => {
      const [file] = await Promise.all([page.waitForEvent('download'), button(name).click()]);
      return { name: file.suggestedFilename(), bytes: await readFile(await file.path()) };
    };
    await choice('File type').selectOption('parquet');
    const whole = await download('Export file');
    expect([whole.name, whole.bytes.subarray(0, 4).toString()]).to.deep.equal([
      'preferences-all.parquet',
      'PAR1',
    ]);
    await page.getByLabel('Search').fill('cats');
    await choice('Export').selectOption('dpo');
    await choice('File type').selectOption('jsonl');
    const cats = await download('Export the 1 shown');
    expect(JSON.parse(cats.bytes.toString())).to.include({ prompt: 'About cats', verdict: 'first' });

    await page.evaluate((id) => store.delete(id), two[1].id);
    await page.locator('input[type=file]').setInputFiles([
      { name: whole.name, mimeType: '', buffer: whole.bytes },
      {
        name: 'bad.jsonl',
        mimeType: '',
        buffer: Buffer.from('{"prompt":"P","chosen":"","rejected":"r"}\n{'),
      },
    ]);
    await says('preferences-all.parquet: 1 judgment added. 2 were there already.');
    expect(await page.locator('.table-details li').allInnerTexts()).to.satisfy(([line = '']: string[]) =>
      line.startsWith('bad.jsonl, line 2'),
    );
    expect((await all()).find(({ id }) => id === two[1].id)?.verdict).to.equal('tie');
    await button('Undo import').click();
    await page.waitForFunction(() => store.all().length === 2);
  });

  it('has one page of rows in the document for ten thousand judgments', async () => {
    const drafts = [draft('a'), draft('b')];
    const many = Array.from({ length: 10_000 }, (_, i) =>
      judgment(i % 2 ? 'first' : 'second', { prompt: `Prompt ${i}`, drafts }),
    );
    const found = many.filter(({ prompt }) => (prompt as string).includes('77')).length;
    await open(many);
    expect(await page.getByText('1–25 of 10000').isVisible()).to.equal(true);
    expect(await rows().count()).to.equal(25);
    await button('Next page').click();
    expect((await cells('Prompt'))[0]).to.equal('Prompt 9974');
    await page.getByLabel('Search').fill('prompt 77');
    expect(await page.locator('.table-range').innerText()).to.equal(`1–25 of ${found}`);
    await page.getByLabel('Select all rows of this page').check();
    await button('Delete 25 selected').click();
    await says('25 judgments deleted.');
    expect(await page.locator('.table-range').innerText()).to.equal(`1–25 of ${found - 25}`);
    await page.waitForFunction(() => store.state().kept.total === 9975);
  });

  it('fits a phone, and follows the store', async () => {
    await open([judgment('edit', { note: 'x'.repeat(300), tags: ['long'.repeat(30)] })]);
    await page.setViewportSize({ width: 360, height: 740 });
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).to.be.at.most(360);
    await page.evaluate((more) => store.add(more), judgment('up', { prompt: 'Later' }));
    await page.getByText('Later').waitFor();
    expect(await rows().count()).to.equal(2);
  });
});
