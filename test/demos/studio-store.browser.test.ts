/** The store of judgments in Chromium's IndexedDB: kept and counted, closed tabs, no room, no storage, two tabs. */
import { expect } from 'chai';
import type { Page } from 'playwright';
import type { Judgment } from '../../demos/studio/preferences/judgment.ts';
import type { openPreferences, PreferenceStore } from '../../demos/studio/preferences/store.ts';
import { judgment } from './studio-judgments.ts';
import { StudioPages } from './studio-pages.ts';

declare const demo: { openPreferences: typeof openPreferences };
declare global {
  var store: PreferenceStore;
  /** In a page: writes fail while it is set. */
  var refused: ((text: string) => boolean) | undefined;
  var counted: (picks: number) => Promise<void>;
}

describe('the store of judgments', function () {
  this.timeout(60_000);
  let pages: StudioPages;
  before(async () => {
    pages = await StudioPages.open("export { openPreferences } from './demos/studio/preferences/store.ts'");
  });
  after(() => pages?.close());
  beforeEach(async () => {
    pages.context = await pages.browser.newContext();
  });
  afterEach(() => pages.context.close());

  /** A page that has opened the store. */
  async function tab(prepare?: () => void, quota?: number): Promise<Page> {
    const page = await pages.page(prepare, quota);
    await page.evaluate(async () => {
      globalThis.store = await demo.openPreferences();
    });
    return page;
  }
  const add = (page: Page, judgments: Judgment[]) => page.evaluate((all) => store.add(all), judgments);
  const all = (page: Page) => page.evaluate(() => [...store.all()]);
  const state = (page: Page) => page.evaluate(() => store.state());
  const keptTotal = async (page: Page) => (await state(page)).kept.total;
  const picks = (count: number, changes: Partial<Judgment> = {}) =>
    Array.from({ length: count }, () => judgment('first', changes));

  it('stores additions, edits and deletions, ordered by time', async () => {
    const page = await tab();
    const [a, b, c] = [judgment('edit', { note: 'n', tags: ['t'] }), judgment('tie'), judgment('up')];
    expect(await add(page, [c, a, b])).to.equal(true);
    const edited = await page.evaluate((id) => store.edit(id, { note: undefined, tags: ['u'] }), a.id);
    expect([edited, await page.evaluate((id) => store.delete(id), b.id)]).to.deep.equal([true, true]);
    const { note: _, ...rest } = a;
    const expected = [{ ...rest, tags: ['u'] }, c];
    expect(await all(page)).to.deep.equal(expected);
    await page.close();
    const later = await tab();
    expect(await all(later)).to.deep.equal(expected);
    expect(await state(later)).to.deep.include({ unsaved: 0, problem: '' });
    expect((await state(later)).kept).to.include({ preferences: 1, up: 1, total: 2 });
  });

  it('shows a pick immediately, and counts it when it is on disk', async () => {
    const page = await tab();
    const seen = await page.evaluate(async (pick) => {
      // A transaction of another's, which the pick must wait for.
      const request = indexedDB.open('webalign-studio-preferences');
      await new Promise((done) => {
        request.onsuccess = done;
      });
      const judgments = request.result.transaction('judgments', 'readwrite').objectStore('judgments');
      let held = true;
      const hold = () => {
        if (held) judgments.count().onsuccess = hold;
      };
      hold();
      const look = () => [store.all().length, store.state().kept.total, store.state().problem];
      const told: unknown[] = [];
      store.subscribe(() => told.push(look()));
      const written = store.add(pick);
      await new Promise((done) => setTimeout(done, 30));
      const during = look();
      held = false;
      return { during, written: await written, after: look(), told };
    }, judgment('first'));
    expect(seen).to.deep.equal({
      during: [1, 0, ''],
      written: true,
      after: [1, 1, ''],
      told: [
        [1, 0, ''],
        [1, 1, ''],
      ],
    });
  });

  it('has every counted pick if the tab closes at any moment', async () => {
    let counted = 0;
    await pages.context.exposeFunction('counted', (picks: number) => {
      counted = Math.max(counted, picks);
    });
    for (let round = 0; round < 10; round++) {
      const page = await tab();
      expect(await keptTotal(page)).to.be.at.least(counted);
      const before = counted;
      const working = page
        .evaluate(async (model) => {
          store.subscribe(() => void globalThis.counted(store.state().kept.total));
          for (let i = 0; ; i++) {
            await store.add({ ...model, id: crypto.randomUUID() });
            await new Promise((done) => setTimeout(done, i % 3));
          }
        }, judgment('first'))
        .catch(() => {});
      while (counted === before) await new Promise((done) => setTimeout(done, 1));
      await new Promise((done) => setTimeout(done, 40 * Math.random()));
      await page.close();
      await working;
    }
    expect(counted).to.be.above(10);
    expect(await keptTotal(await tab())).to.be.at.least(counted);
  });

  it('undoes additions, edits and deletions, the last first', async () => {
    const page = await tab();
    const [a, b] = [judgment('first'), judgment('second')];
    await add(page, [a, b]);
    await page.evaluate((id) => store.edit(id, { verdict: 'tie' }), a.id);
    await page.evaluate((ids) => store.delete(ids), [a.id, b.id]);
    const undone: (string | undefined)[] = [];
    const left: number[] = [];
    for (let i = 0; i < 4; i++) {
      undone.push(await page.evaluate(() => store.undo()));
      left.push((await all(page)).length);
    }
    expect(undone).to.deep.equal([
      'Undone: 2 judgments deleted.',
      'Undone: 1 judgment changed.',
      'Undone: 2 judgments added.',
      undefined,
    ]);
    expect(left).to.deep.equal([2, 2, 0, 0]);
    expect(await keptTotal(page)).to.equal(0);
  });

  it('reports that there is no space, loses nothing, and still has what it counted later', async () => {
    const page = await tab(undefined, 300_000);
    const noise = () =>
      Array.from({ length: 5000 }, () => String.fromCharCode(33 + 90 * Math.random())).join('');
    const many = picks(120).map((each) => ({ ...each, note: noise() }));
    const kept: boolean[] = [];
    for (let i = 0; i < many.length; i += 20) kept.push(await add(page, many.slice(i, i + 20)));
    expect(kept[0]).to.equal(true);
    expect(kept).to.include(false);
    expect(await all(page)).to.deep.equal(many);
    const { kept: counts, unsaved, problem } = await state(page);
    expect(counts.total + unsaved).to.equal(many.length);
    expect(problem).to.match(
      /^This browser has no more room for this page\. \d+ changes are in this tab only: export before you close it\.$/,
    );
    await page.close();
    expect(await keptTotal(await tab())).to.equal(counts.total);
  });

  /** In the page: a write fails where `refused` says so. */
  const refuse = () => {
    const { put } = IDBObjectStore.prototype;
    IDBObjectStore.prototype.put = function (value: Judgment, key) {
      const request = put.call(this, value, key);
      if (!globalThis.refused?.(value.note ?? '')) return request;
      this.transaction.abort();
      throw new DOMException('', 'QuotaExceededError');
    };
  };

  it('stores as much as fits, and the rest as soon as there is space', async () => {
    const page = await tab(refuse);
    const [small, large] = [picks(20, { note: 'small' }), judgment('first', { note: 'large' })];
    await page.evaluate(() => {
      globalThis.refused = (note) => note === 'large';
    });
    expect(await add(page, [...small.slice(0, 7), large, ...small.slice(7)])).to.equal(false);
    expect(await state(page)).to.deep.include({ unsaved: 1 });
    expect(await keptTotal(page)).to.equal(20);
    // What comes later is kept though the large one still waits.
    expect(await add(page, [judgment('tie')])).to.equal(true);
    expect([await keptTotal(page), (await state(page)).unsaved]).to.deep.equal([21, 1]);
    await page.evaluate(() => {
      globalThis.refused = undefined;
    });
    expect(await page.evaluate(() => store.save())).to.equal(true);
    expect(await state(page)).to.deep.include({ unsaved: 0, problem: '' });
    await page.close();
    expect(await keptTotal(await tab())).to.equal(22);
  });

  it('works in memory, with a notice, if nothing may be stored', async () => {
    const page = await tab(() => {
      const refused = () => {
        throw new DOMException('', 'SecurityError');
      };
      Object.defineProperty(window, 'indexedDB', { value: { open: refused } });
    });
    expect((await state(page)).problem).to.match(/^This browser keeps nothing .* unless you export it\.$/);
    const pick = judgment('first');
    expect(await add(page, [pick])).to.equal(false);
    expect(await all(page)).to.deep.equal([pick]);
    expect(await state(page)).to.deep.include({
      unsaved: 1,
      problem:
        'This browser keeps nothing for this page. 1 change is in this tab only: export before you close it.',
    });
    expect(await page.evaluate(() => store.undo())).to.equal('Undone: 1 judgment added.');
    expect(await all(page)).to.deep.equal([]);
  });

  it('is shared by two tabs', async () => {
    const [one, two] = [await tab(), await tab()];
    const has = (page: Page, total: number) =>
      page.waitForFunction((wanted) => store.state().kept.total === wanted, total);
    const parts = [picks(50), picks(50)];
    await Promise.all([one, two].map((page, i) => Promise.all(parts[i].map((each) => add(page, [each])))));
    await Promise.all([has(one, 100), has(two, 100)]);
    expect(await all(one)).to.deep.equal(await all(two));

    const [shared, gone] = parts[0];
    await two.evaluate((id) => store.edit(id, { note: 'from the other tab' }), shared.id);
    await one.waitForFunction((id) => store.all().some((each) => each.id === id && each.note), shared.id);
    await two.evaluate((id) => store.delete(id), gone.id);
    await has(one, 99);
    const late = await one.evaluate(
      (id) => store.edit(id, { note: 'late' }).catch((error: Error) => error.message),
      gone.id,
    );
    expect(late).to.equal('This judgment is no longer there: it was deleted in another tab.');
  });

  it('only undoes what no other tab has changed since', async () => {
    const [one, two] = [await tab(), await tab()];
    const [a, b] = picks(2) as [Judgment, Judgment];
    await add(one, [a, b]);
    await two.waitForFunction(() => store.all().length === 2);
    await two.evaluate((id) => store.edit(id, { note: 'mine' }), a.id);
    await one.waitForFunction(() => store.all().some(({ note }) => note));
    expect(await one.evaluate(() => store.undo())).to.equal(
      'Undone: 1 judgment added. 1 other changed in another tab and stayed.',
    );
    expect((await all(one)).map(({ note }) => note)).to.deep.equal(['mine']);
    // The other tab takes back what it did itself.
    await two.waitForFunction(() => store.all().length === 1);
    expect(await two.evaluate(() => store.undo())).to.equal('Undone: 1 judgment changed.');
    expect(await two.evaluate(() => store.undo())).to.equal(undefined);
  });
});
