/**
 * A small chat model of the hub in the studio: looked up with a revision and a token, fetched through a download that breaks and goes
 * on, and chatted with. The hub is a stand-in on this machine, behind the real one's addresses.
 */
import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import type { Route } from 'playwright';
import { HubServer } from '../support/hub-server.ts';
import { StudioPage } from './studio-page.ts';

const MODEL = 'demos/align/model';
const ID = 'someone/chat';
const COMMIT = 'c'.repeat(40);
const TOKEN = 'hf_secret';
const TEMPLATE =
  "{% for m in messages %}{{ m.role + ': ' + m.content }}{% if m.role == 'assistant' %}{{ eos_token }}{% endif %}{{ '\\n' }}{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}";
/** Bytes of the weights that come before the connection breaks. */
const BROKEN_AT = 300_000;

describe('a chat model of the hub in the studio', function () {
  this.timeout(300_000);

  let studio: StudioPage;
  let hub: HubServer;
  /** Whether weights break off and stay away. */
  let isBroken = true;

  before(async () => {
    hub = await HubServer.open();
    const config = JSON.parse(await readFile(`${MODEL}/tokenizer_config.json`, 'utf8'));
    hub.repositories[ID] = {
      commit: COMMIT,
      token: TOKEN,
      files: {
        'config.json': await readFile(`${MODEL}/config.json`),
        'tokenizer.json': await readFile(`${MODEL}/tokenizer.json`),
        'tokenizer_config.json': JSON.stringify({ ...config, chat_template: TEMPLATE }),
        'model.safetensors': await readFile(`${MODEL}/model.safetensors`),
      },
    };
    studio = await StudioPage.open();
    await studio.demo.context.route('https://huggingface.co/**', answer);
    await studio.drafts();
  });
  after(async () => {
    await studio?.demo.close();
    hub?.close();
  });

  /** As a browser does: a redirect is followed, without the token where it leads elsewhere. */
  async function answer(route: Route): Promise<void> {
    const request = route.request();
    const { pathname, search } = new URL(request.url());
    const { authorization, range } = request.headers();
    const headers = { ...(authorization && { authorization }), ...(range && { range }) };
    const method = request.method();
    const first = await fetch(`${hub.url}${pathname}${search}`, { method, headers, redirect: 'manual' });
    const location = first.headers.get('location');
    const response = location ? await fetch(location, { method, headers: range ? { range } : {} }) : first;
    let body = Buffer.from(await response.arrayBuffer());
    if (isBroken && pathname.endsWith('.safetensors') && method === 'GET') {
      if (range && !range.startsWith('bytes=0-')) return route.abort('connectionreset');
      body = body.subarray(0, BROKEN_AT);
    }
    await route.fulfill({ status: response.status, headers: Object.fromEntries(response.headers), body });
  }

  it('needs a token, says so, and keeps it in the tab', async () => {
    await studio.tab('Model');
    await studio.page.getByRole('link', { name: 'Fetch a model' }).click();
    await studio.page.getByLabel('Repository or address').fill(ID);
    await studio.page.getByLabel(/^Revision/).fill(COMMIT);
    await studio.page.getByLabel(/^Token/).fill(TOKEN);
    await studio.demo.button('Look it up').click();
    await studio.demo.button('Fetch and use this model').waitFor({ timeout: 60_000 });
    expect(studio.page.url()).to.include('revision=').and.not.include(TOKEN);
    expect(await studio.page.evaluate(() => JSON.stringify(sessionStorage))).to.not.include(TOKEN);
  });

  it('says what has come when a download breaks, and goes on from there', async () => {
    await studio.demo.press('Fetch and use this model');
    await studio.page
      .getByRole('alert')
      .filter({ hasText: /model\.safetensors/ })
      .waitFor({ timeout: 120_000 });
    isBroken = false;
    hub.take();
    await studio.demo.press('Fetch and use this model');
    await studio.page.waitForFunction((id) => document.getElementById('model-name')?.textContent === id, ID, {
      timeout: 120_000,
      polling: 50,
    });
    const seen = hub.take();
    const ranges = seen.filter(({ on }) => on === 'network').map(({ headers }) => headers.range);
    expect(ranges).to.include(`bytes=${BROKEN_AT}-`);
    expect(seen.some(({ on, headers }) => on === 'network' && headers.authorization)).to.equal(false);
    expect(
      seen.every(({ path }) => path.includes(COMMIT) || path.length === 65),
      'that revision',
    ).to.equal(true);
  });

  it('chats over two turns, without the network', async () => {
    studio.demo.requests.length = 0;
    expect(await studio.demo.text('model-kind').catch(() => '')).to.be.a('string');
    await studio.tab('Collect');
    await studio.page.locator('.more summary').click();
    await studio.page.getByLabel(/^After a pick/).selectOption('on');
    await studio.page.getByLabel(/^Length/).fill('12');
    await studio.page.getByLabel('Prompt', { exact: true }).fill('Hello');
    await studio.demo.press('Write');
    await studio.drafts({ ended: true });
    await studio.demo.press('First is better');
    expect(await studio.page.locator('#turns li').count()).to.equal(2);
    await studio.page.getByLabel('Prompt', { exact: true }).fill('And then?');
    await studio.demo.press('Write');
    await studio.drafts({ ended: true });
    await studio.demo.press('Second is better');
    await studio.expectCount('2 preferences');
    expect(studio.demo.sent()).to.deep.equal([]);
  });
});
