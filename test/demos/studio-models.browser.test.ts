/** Models of one's own in the studio: dropped files, an address, and what the pages can reach. */
import { readFile } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'chai';
import { ggufModel } from 'webalign/models';
import { folderFiles } from 'webalign/node';
import { StudioPage } from './studio-page.ts';

const FOLDER = 'demos/align/model';
const NAMES = ['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'];
/** Nobody answers there but the test itself. */
const HOST = 'https://models.example';

describe('models of the studio', function () {
  this.timeout(180_000);

  let studio: StudioPage;
  before(async () => {
    studio = await StudioPage.open();
  });
  after(() => studio?.demo.close());

  const name = () => studio.page.locator('#model-name').textContent();
  const isOpen = (wanted: string) =>
    studio.page.waitForFunction(
      (text) => document.getElementById('model-name')?.textContent === text,
      wanted,
      { timeout: 60_000, polling: 50 },
    );

  it('shows the memory of a GGUF file at each precision, before it is used', async () => {
    await studio.drafts();
    await studio.tab('Model');
    const bytes = await ggufModel(await folderFiles(FOLDER), []);
    const buffer = Buffer.from(bytes);
    const file = { name: 'teller.gguf', mimeType: 'application/octet-stream', buffer };
    await studio.page.getByLabel('Files of a model').setInputFiles(file);
    await studio.page.getByRole('button', { name: 'Use this model' }).waitFor();
    const rows = await studio.page.locator('#own-precisions tr').allInnerTexts();
    expect(rows).to.have.length(4);
    for (const row of rows) expect(row).to.match(/[KM]iB\s+[\d.]+ MiB\s+yes$/);
    expect(await name()).to.equal(FOLDER);
  });

  it('copies it into the browser, opens with it, and writes drafts', async () => {
    await studio.demo.press('Use this model');
    await isOpen('teller.gguf');
    await studio.tab('Collect');
    await studio.drafts();
    studio.demo.requests.length = 0;
  });

  it('stops a model whose tokenizer never finishes, says so, and opens with the storyteller again', async () => {
    const normalizers = [
      { type: 'Prepend', prepend: 'a'.repeat(60) },
      { type: 'Replace', pattern: { Regex: '(a+)+!' }, content: '' },
    ];
    const endless = { type: 'Sequence', normalizers };
    const file = async (name: string) => {
      const bytes = await readFile(`${FOLDER}/${name}`);
      const made =
        name === 'tokenizer.json'
          ? JSON.stringify({ ...JSON.parse(String(bytes)), normalizer: endless })
          : bytes;
      return { name, mimeType: 'application/octet-stream', buffer: Buffer.from(made) };
    };
    await studio.drafts({ ended: true });
    await studio.page.clock.install();
    await studio.tab('Model');
    const files = await Promise.all(NAMES.map(file));
    await studio.page.getByLabel('Files of a model').setInputFiles(files);
    const alert = studio.page.getByRole('alert').filter({ hasText: 'takes more than 60 s' }).first();
    for (let tries = 0; tries < 300 && !(await alert.isVisible()); tries++) {
      await studio.page.clock.fastForward(61_000);
      await wait(100);
    }
    expect(await alert.innerText()).to.match(
      /tokenizer\.json: takes .* stopped its worker.* Reload the page/,
    );
    await studio.page.reload();
    await isOpen(FOLDER);
  });

  it('rejects files that are not models, by name', async () => {
    await studio.tab('Model');
    const file = { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('no model') };
    await studio.page.getByLabel('Files of a model').setInputFiles(file);
    const alert = studio.page.getByRole('alert').filter({ hasText: 'config.json' });
    await alert.waitFor();
    expect(await studio.page.locator('#own').isHidden()).to.equal(true);
  });

  it('downloads a model from a URL, and cannot reach other servers meanwhile', async () => {
    const { context, server } = studio.demo;
    const headers = { 'access-control-allow-origin': '*', etag: '"1"' };
    await context.route(`${HOST}/**`, async (route) => {
      const file = new URL(route.request().url()).pathname.split('/').at(-1);
      const body = await readFile(`${FOLDER}/${file}`).catch(() => undefined);
      await route.fulfill(body ? { body, headers } : { status: 404, headers });
    });
    await context.route('https://other.example/**', (route) => route.fulfill({ body: '', headers }));
    await studio.page.getByRole('link', { name: 'Fetch a model' }).click();
    await studio.page.getByLabel('Repository or address').fill(`${HOST}/teller`);
    expect(studio.demo.sent().filter((url) => !url.startsWith(server.url))).to.deep.equal([]);
    await studio.demo.page.getByRole('button', { name: 'Look it up' }).click();
    await studio.page.getByRole('button', { name: 'Fetch and use this model' }).waitFor({ timeout: 60_000 });
    const reach = (url: string) =>
      fetch(url, { mode: 'no-cors' }).then(
        () => 'reached',
        () => 'refused',
      );
    const other = 'https://other.example/x';
    expect(await studio.page.evaluate(reach, other)).to.equal('refused');
    const worker = studio.page.workers().at(-1)!;
    expect(await worker.evaluate(reach, other)).to.equal('refused');
    expect(await worker.evaluate(reach, `${HOST}/teller/config.json`)).to.equal('reached');
    await studio.demo.press('Fetch and use this model');
    await isOpen('teller');
    await studio.drafts();
    const hosts = new Set(studio.demo.sent().map((url) => new URL(url).origin));
    expect([...hosts]).to.have.members([server.url, HOST]);
  });

  it('opens without that server afterwards, and deletes stored models on request', async () => {
    await studio.page.reload();
    await isOpen('teller');
    studio.demo.requests.length = 0;
    await studio.drafts();
    expect(studio.demo.sent()).to.deep.equal([]);
    await studio.tab('Model');
    await studio.page.getByRole('button', { name: 'Delete teller', exact: true }).click();
    await studio.page.getByRole('button', { name: 'Delete teller.gguf' }).click();
    await studio.page.locator('#library').waitFor({ state: 'hidden' });
    await studio.page.reload();
    await isOpen(FOLDER);
  });
});
