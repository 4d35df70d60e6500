/** Chat models of one's own in the studio: a GGUF file dropped on the page, and a repository of the hub, here a stand-in for it. */
import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { memoryFiles } from 'webalign/files';
import { ggufModel } from 'webalign/models';
import { HubServer } from '../support/hub-server.ts';
import { StudioPage } from './studio-page.ts';

const FOLDER = 'demos/align/model';
const HUB = 'https://huggingface.co';
const COMMIT = '0123456789abcdef0123456789abcdef01234567';
/** A turn in a line. */
const TEMPLATE =
  "{% for m in messages %}{{ m.role + ': ' + m.content + '\\n' }}{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}";
/** Picks that leave at least two pairs to learn from. */
const PICKS = 6;

/** The storyteller with a chat template. */
async function chatModel(): Promise<Record<string, Uint8Array | string>> {
  const read = (name: string) => readFile(`${FOLDER}/${name}`);
  const config = JSON.parse(String(await read('tokenizer_config.json')));
  return {
    'config.json': await read('config.json'),
    'model.safetensors': await read('model.safetensors'),
    'tokenizer.json': await read('tokenizer.json'),
    'tokenizer_config.json': JSON.stringify({ ...config, chat_template: TEMPLATE }),
  };
}

describe('chat models of the studio', function () {
  this.timeout(300_000);

  let studio: StudioPage;
  let hub: HubServer;
  before(async () => {
    hub = await HubServer.open();
    hub.repositories['org/chatter'] = { commit: COMMIT, files: await chatModel() };
    studio = await StudioPage.open();
    await studio.drafts();
    // What the page asks the hub for goes to the stand-in, which redirects to its content network.
    await studio.demo.context.route(`${HUB}/**`, async (route) => {
      const response = await route.fetch({ url: route.request().url().replace(HUB, hub.url) });
      const { link, ...headers } = response.headers();
      // The list of files goes on at an address of the stand-in.
      const next = link && { link: link.replace(hub.url, HUB) };
      await route.fulfill({ response, headers: { ...headers, ...next } });
    });
  });
  after(async () => {
    await studio?.demo.close();
    hub?.close();
  });

  const isOpen = (name: string) =>
    studio.page.waitForFunction(
      (wanted) => document.getElementById('model-name')?.textContent === wanted,
      name,
      { timeout: 60_000, polling: 50 },
    );

  /** A chat of two turns, drafts and picks on the way, and a step of training on them. */
  async function chats(picksBefore: number): Promise<void> {
    const { page } = studio;
    await studio.tab('Model');
    expect(await studio.demo.text('model-kind')).to.equal('answers in a chat');
    await studio.tab('Collect');
    await page.getByText('How drafts are written').click();
    await page.getByLabel(/^Length/).fill('8');
    await page.getByLabel(/^After a pick/).selectOption('on');
    await page.getByLabel('Prompt', { exact: true }).fill('Who is Tom?');
    await page.keyboard.press('Control+Enter');
    await studio.drafts({ ended: true });
    await studio.demo.press('First is better');
    const turns = page.getByRole('list', { name: 'The chat so far' });
    await turns.waitFor();
    expect(await turns.locator('li').count()).to.equal(2);
    await page.getByLabel('Prompt', { exact: true }).fill('And his dog?');
    await page.keyboard.press('Control+Enter');
    await studio.drafts({ ended: true });
    const drafts = await Promise.all(
      (['First draft', 'Second draft'] as const).map((name) => studio.draft(name).innerText()),
    );
    expect(drafts[0]).to.not.equal(drafts[1]);
    await studio.demo.press('Second is better');
    await page.getByLabel(/^After a pick/).selectOption('next');
    await studio.demo.press('Another prompt');
    for (let pick = 2; pick < PICKS; pick++) await studio.pick('1');
    await studio.expectCount(`${picksBefore + PICKS} preferences`);
    await studio.tab('Train');
    await studio.fill({ r: '2', numTrainEpochs: '0.3', evalSteps: '1' });
    await studio.demo.press('Train');
    await studio.demo.status('Done after');
    const loss = await page.locator('#charts .plot').first().getAttribute('aria-label');
    expect(loss).to.match(/^Loss after step \d+: [\d.]+ in training/);
  }

  it('takes a dropped GGUF file, chats, and learns from picks', async () => {
    await studio.tab('Model');
    const bytes = await ggufModel(memoryFiles(await chatModel()), []);
    const dropped = await studio.page.evaluateHandle((base64) => {
      const content = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
      const transfer = new DataTransfer();
      transfer.items.add(new File([content], 'chatter.gguf'));
      return transfer;
    }, Buffer.from(bytes).toString('base64'));
    await studio.page.dispatchEvent('#drop', 'drop', { dataTransfer: dropped });
    await studio.demo.press('Use this model');
    await isOpen('chatter.gguf');
    await chats(0);
  });

  it('fetches a chat model from the hub, chats, and learns from picks', async () => {
    await studio.tab('Model');
    await studio.page.getByRole('link', { name: 'Fetch a model' }).click();
    await studio.page.getByLabel('Repository or address').fill('org/chatter');
    await studio.page.getByRole('button', { name: 'Look it up' }).click();
    await studio.page.getByRole('button', { name: 'Fetch and use this model' }).click({ timeout: 60_000 });
    await isOpen('org/chatter').catch(async () =>
      console.log(
        'DEBUG',
        studio.page.url(),
        await studio.page.locator('body').innerText(),
        hub.take().map(({ path }) => path),
      ),
    );
    expect(hub.take().some(({ path }) => path.includes(COMMIT))).to.equal(true);
    await chats(PICKS);
  });

  it('made no errors', () => {
    expect(studio.demo.errors).to.deep.equal([]);
  });
});
