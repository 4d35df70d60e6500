/**
 * A model at a URL on the command line: it is stored for the next time, and a slow server is reported and waited for only
 * so long.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { FileServer, SERVERS } from '../support/file-server.ts';
import { openHostile } from '../support/hostile/server.ts';
import { SILENCE } from '../support/hostile/silence.ts';
import { lines, type Outcome, Workshop } from './workshop.ts';

describe('cli: a model at a URL', function () {
  this.timeout(300_000);
  let workshop: Workshop;
  let server: FileServer;
  let texts: string;
  let local: Outcome;

  before(async () => {
    workshop = await Workshop.open();
    const folder = workshop.path('model');
    const files = await Promise.all(
      (await readdir(folder)).map(
        async (name) => [`/model/${name}`, await readFile(join(folder, name))] as const,
      ),
    );
    server = await FileServer.open(Object.fromEntries(files), SERVERS['Vite dev']);
    texts = await workshop.write('texts.jsonl', lines([{ text: 'the sky is blue' }]));
    local = await workshop.run(['logprobs', '--model', folder, '--input', texts]);
  });
  after(async () => {
    server.close();
    await workshop.close();
  });

  const logprobs = (model: string, ...rest: Parameters<Workshop['spawn']>[1][]) => {
    const [{ env, ...more } = {}] = rest;
    const own = { WEBALIGN_HTTP_CACHE: workshop.path('addresses'), ...env };
    return workshop.spawn(['logprobs', '--input', texts, '--model', model, '--json'], { env: own, ...more });
  };

  it('is stored in its own folder, and not downloaded again', async () => {
    for (const time of [1, 2]) {
      const before = server.sent;
      const { code, stderr, json } = await logprobs(`${server.url}/model`);
      expect(code, stderr).to.equal(0);
      expect(json.results).to.deep.equal(local.json.results);
      if (time === 2) expect(server.sent - before).to.be.below(1000);
    }
    expect((await readdir(workshop.path('addresses'))).join()).to.include('model.safetensors-');
    expect(server.take().join()).to.not.include('gguf').and.not.include('index.json');
  });

  it('gives a readable error if it is missing', async () => {
    const { error } = await logprobs(`${server.url}/modle`);
    expect(error.message).to.include(`${server.url}/modle/tokenizer.json`).and.include('a web page (HTML)');
  });

  it('times out as configured in the environment, and can be aborted', async () => {
    const silent = await openHostile(SILENCE[0]);
    const { host } = new URL(silent.url);
    let stopped = 0;
    const { code, stderr } = await logprobs(`${silent.url}/model`, {
      env: { WEBALIGN_HTTP_TIMEOUT: '0.3' },
      onStart: (child) =>
        child.stderr?.on('data', (text) => {
          if (!String(text).includes('trying again') || stopped) return;
          stopped = performance.now();
          child.kill('SIGINT');
        }),
    });
    expect(performance.now() - stopped).to.be.below(2000);
    silent.close();
    expect(stderr)
      .to.include(`waiting for ${host} for 0.1 s`)
      .and.include(`${host} has not answered for 0.3 s`);
    expect(code).to.equal(130);
    const { error } = await logprobs(`${silent.url}/model`, { env: { WEBALIGN_HTTP_TIMEOUT: 'long' } });
    expect(error.message).to.include('WEBALIGN_HTTP_TIMEOUT').and.include('"long"');
  });
});
