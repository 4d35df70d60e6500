/** A model of the hub on the command line: fetched once, found again, recorded by its id. */
import { readdir, readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { tinyGguf } from '../support/gguf.ts';
import { HubServer } from '../support/hub-server.ts';
import { lines, type Outcome, Workshop } from './workshop.ts';

const COMMIT = 'c0ffee'.padEnd(40, '0');
const TOKEN = 'hf_secretSecret';

describe('cli: a model of the hub', function () {
  this.timeout(300_000);
  let workshop: Workshop;
  let hub: HubServer;
  let local: Outcome;
  let texts: string;

  before(async () => {
    workshop = await Workshop.open();
    hub = await HubServer.open();
    const folder = workshop.path('model');
    const files = await Promise.all(
      (await readdir(folder)).map(async (name) => [name, await readFile(`${folder}/${name}`)] as const),
    );
    hub.repositories['org/tiny'] = {
      commit: COMMIT,
      files: { ...Object.fromEntries(files), 'README.md': '' },
    };
    texts = await workshop.write('texts.jsonl', lines([{ text: 'the sky is blue' }]));
    local = await workshop.run(['logprobs', '--model', folder, '--input', texts]);
  });
  after(async () => {
    hub.close();
    await workshop.close();
  });

  const run = (args: string[], env: Record<string, string> = {}) => {
    hub.take();
    const home = { HF_HOME: workshop.path('hf'), HF_HUB_CACHE: '', HF_TOKEN: '', HF_ENDPOINT: hub.url };
    return workshop.spawn([...args, '--json'], { env: { ...home, ...env } });
  };
  const logprobs = (...more: string[]) => ['logprobs', '--input', texts, '--model', 'org/tiny', ...more];

  it('is downloaded by name, after a notice on the terminal', async () => {
    const { code, stdout, stderr, json } = await run(logprobs());
    expect(code, stderr).to.equal(0);
    expect(json.results).to.deep.equal(local.json.results);
    expect(stdout.trimEnd().split('\n')).to.have.length(1);
    expect(stderr)
      .to.include('There is no folder "org/tiny" here')
      .and.include(hub.url)
      .and.include(COMMIT.slice(0, 8));
    const fetched = hub.seen.filter(({ on, path }) => on === 'hub' && path.includes('/resolve/'));
    expect(fetched.map(({ path }) => path.split('/').at(-1)).sort()).to.deep.equal([
      'config.json',
      'model.safetensors',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
  });

  it('needs no request the second time, and none offline', async () => {
    const environments: Record<string, string>[] = [
      {},
      { HF_HUB_OFFLINE: '1' },
      { HF_HUB_OFFLINE: '1', HF_ENDPOINT: 'http://127.0.0.1:9' },
    ];
    for (const env of environments) {
      const { code, stderr, json } = await run(logprobs(), env);
      expect(code, stderr).to.equal(0);
      expect(json.results).to.deep.equal(local.json.results);
      expect(hub.seen).to.deep.equal([]);
    }
    const { error } = await run(['logprobs', '--input', texts, '--model', 'org/other'], {
      HF_HUB_OFFLINE: '1',
    });
    expect(error.message)
      .to.include('org/other')
      .and.include('not in the cache')
      .and.include('HF_HUB_OFFLINE');
    expect(hub.seen).to.deep.equal([]);
  });

  it('is recorded by its id and commit, and found again by them', async () => {
    const dpo = workshop.dpo({ '--model': 'org/tiny', '--max-steps': '2', '--eval-split': '2' });
    const trained = await run(dpo);
    expect(trained.code, trained.stderr).to.equal(0);
    const read = async (file: string) => JSON.parse(await readFile(workshop.path(`out/${file}`), 'utf8'));
    expect(await read('adapter_config.json')).to.include({
      base_model_name_or_path: 'org/tiny',
      revision: COMMIT,
    });
    expect(await read('run.json')).to.include({ model: 'org/tiny', revision: COMMIT });
    const resumed = await run([...dpo, '--resume']);
    expect(resumed.code, resumed.stderr).to.equal(0);
    expect(hub.seen).to.deep.equal([]);
    const exported = await run([
      'export',
      '--format',
      'trl',
      '--adapter',
      workshop.path('out'),
      '--out',
      workshop.path('trl'),
    ]);
    expect(exported.code, exported.stderr).to.equal(0);
    const settings = JSON.parse(await readFile(workshop.path('trl/settings.json'), 'utf8'));
    expect(settings).to.include({ model: 'org/tiny', revision: COMMIT });
  });

  it('may be one GGUF of several, on disk and on the hub', async () => {
    const content = tinyGguf();
    const path = await workshop.write('tiny.gguf', content);
    hub.repositories['org/several'] = { commit: COMMIT, files: { 'a.gguf': 'another', 'b.gguf': content } };
    const input = await workshop.write('ids.jsonl', lines([{ ids: [2, 3, 4] }]));
    const there = await run(['logprobs', '--input', input, '--model', 'org/several/b.gguf']);
    expect(there.code, there.stderr).to.equal(0);
    const here = await workshop.run(['logprobs', '--input', input, '--model', path]);
    expect(here.code, here.stderr).to.equal(0);
    expect(here.json.results).to.deep.equal(there.json.results);
  });

  it('is read with a token, which is never shown', async () => {
    hub.repositories['org/private'] = { ...hub.repositories['org/tiny'], token: TOKEN };
    const args = ['logprobs', '--input', texts, '--model', 'org/private'];
    const without = await run(args);
    expect(without.error.message).to.include('org/private').and.include('HF_TOKEN');
    const given = await run([...args, '--token', TOKEN]);
    expect(given.code, given.stderr).to.equal(0);
    expect(given.stderr).to.include('Other users of this machine can read --token').and.not.include(TOKEN);
    expect(hub.seen.some(({ headers }) => headers.authorization === `Bearer ${TOKEN}`)).to.equal(true);
    await workshop.write('hf/token', `${TOKEN}\n`);
    const kept = await run([...args, '--refresh', '--revision', 'main']);
    expect(kept.code, kept.stderr).to.equal(0);
    expect(hub.seen.map(({ headers }) => headers.authorization)).to.deep.equal([`Bearer ${TOKEN}`]);
    const other = await run(args, { HF_HUB_CACHE: workshop.path('elsewhere'), HF_TOKEN: 'hf_other' });
    expect(other.error.message, 'the environment comes first').to.include('the account of the token');
  });

  it('says how a name was interpreted', async () => {
    const named = async (model: string, ...more: string[]) =>
      (await run(['logprobs', '--input', texts, '--model', model, ...more])).error.message;
    expect(await named('nowhere'))
      .to.include('there is no such folder')
      .and.include('owner/name');
    expect(await named(texts)).to.include('is a file that does not contain a whole model');
    expect(await named(workshop.path('model'), '--revision', 'v1')).to.include('has no revisions');
    expect(await named('org/tiny', '--revision', 'v1')).to.include('no revision "v1"');
  });
});
