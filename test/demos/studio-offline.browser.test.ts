/** The studio without a network, after one visit: it opens, drafts and trains, and its files are one version. */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { StudioPage } from './studio-page.ts';

describe('the studio without a network', function () {
  this.timeout(180_000);

  let studio: StudioPage;
  before(async () => {
    studio = await StudioPage.open();
  });
  after(() => studio?.demo.close());

  it('reports that the page is available offline', async () => {
    await studio.page.waitForFunction(() =>
      document.getElementById('offline-text')?.textContent?.includes('need no network'),
    );
  });

  it('can be installed as an app', async () => {
    const devTools = await studio.page.context().newCDPSession(studio.page);
    const { errors, url } = await devTools.send('Page.getAppManifest');
    expect(errors).to.deep.equal([]);
    expect(url).to.match(/\/studio\/manifest\.webmanifest$/);
    const { installabilityErrors } = await devTools.send('Page.getInstallabilityErrors');
    const found = installabilityErrors.map(({ errorId }) => errorId);
    // Contexts of tests are incognito, in which nothing is installed.
    expect(found.filter((id) => id !== 'in-incognito')).to.deep.equal([]);
  });

  it('stores every file of the page and of the model, and no other demo', async () => {
    const kept = await studio.page.evaluate(async () => {
      const [name = ''] = await caches.keys();
      return (await (await caches.open(name)).keys()).map(({ url }) => new URL(url).pathname);
    });
    const model = ['config.json', 'tokenizer.json', 'model.safetensors'].map(
      (file) => `/align/model/${file}`,
    );
    expect(kept).to.include.members(['/studio/', '/studio/page.js', '/studio/worker.js', ...model]);
    const page = readFileSync('dist/demos/studio/page.js', 'utf8');
    const chunks = [...page.matchAll(/chunks\/[\w.-]+\.js/g)].map(([path]) => `/${path}`);
    expect(kept).to.include.members(chunks);
    expect(kept.filter((path) => /^\/(bench|rlhf|optimum)\//.test(path))).to.deep.equal([]);
  });

  it('opens, writes drafts and trains when its server is down', async () => {
    await studio.demo.server.close();
    await studio.page.reload();
    await studio.pick('1', '2', '1', '2', '1', '2');
    await studio.expectCount('6 preferences');
    await studio.tab('Train');
    await studio.fill({ numTrainEpochs: '1', r: '2' });
    await studio.demo.press('Train');
    await studio.demo.status('Done');
    expect(studio.demo.errors).to.deep.equal([]);
  });

  it('cannot reach other servers through its service worker', async () => {
    expect(await studio.page.evaluate(() => navigator.serviceWorker.controller !== null)).to.equal(true);
    const answer = await studio.page.evaluate(() =>
      fetch('https://other.example/', { mode: 'no-cors' }).then(
        () => 'reached',
        (error) => String(error),
      ),
    );
    expect(answer).to.match(/Failed to fetch/);
    expect(studio.demo.sent().filter((url) => url.includes('other.example'))).to.deep.equal([]);
  });
});
