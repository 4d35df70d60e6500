/** URLs in a page: its own server and others, workers, and what the browser's storage caches of them. */
import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { build } from 'esbuild';
import type { Browser, BrowserContext, Page } from 'playwright';
import type * as Sources from '../../src/io/sources.ts';
import { launchChromium } from '../../src/testing.ts';
import { type Answer, FileServer, PAGE, SERVERS } from '../support/file-server.ts';
import { sha256 } from '../support/hub-server.ts';

const CONFIG = '{"a":1}';

declare const sources: typeof Sources & { clearPageCache(): Promise<void> };

/** The result of reading a model in a page or a worker. */
interface Told {
  config: string;
  weights: string;
  lines: string[];
  error: string;
  milliseconds: number;
}
type Options = Pick<Sources.SourceOptions, 'base' | 'addressCache' | 'timeout'>;

/** Runs in the page or the worker, where `sources` is. */
async function readModel(source: string, options: Options): Promise<Told> {
  const told: Told = { config: '', weights: '', lines: [], error: '', milliseconds: 0 };
  const start = performance.now();
  try {
    const files = await sources.openSource(source, {
      ...options,
      pause: async () => undefined,
      onNotice: (line) => void told.lines.push(line),
    });
    told.config = await files.readText('config.json');
    const digest = await crypto.subtle.digest('SHA-256', await files.read('model.safetensors'));
    told.weights = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
  } catch (error) {
    told.error = String(error);
  }
  told.milliseconds = performance.now() - start;
  return told;
}

describe('URLs in a page', function () {
  this.timeout(300_000);
  let weights: Uint8Array;
  let code: string;
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  const servers: FileServer[] = [];

  before(async () => {
    weights = await readFile('demos/align/model/model.safetensors');
    const contents = "export * from './sources.ts'; export { clearPageCache } from './hub/opfs-cache.ts';";
    const bundle = await build({
      stdin: { contents, resolveDir: 'src/io' },
      bundle: true,
      write: false,
      format: 'iife',
      globalName: 'sources',
    });
    code = bundle.outputFiles[0].text;
    browser = await launchChromium();
  });
  after(() => browser?.close());
  beforeEach(async () => {
    context = await browser.newContext();
  });
  afterEach(async () => {
    await context.close();
    for (const server of servers.splice(0)) server.close();
  });

  const serve = async (answer: Answer) => {
    const files = { '/app/model/config.json': CONFIG, '/model/config.json': CONFIG };
    const bytes = Object.entries(files).map(([path, text]) => [path, Buffer.from(text)]);
    const all = {
      ...Object.fromEntries(bytes),
      '/app/model/model.safetensors': weights,
      '/model/model.safetensors': weights,
    };
    const worker = Buffer.from(`${code}\nconst read = ${readModel};
      onmessage = async ({ data }) => postMessage(await read(data.source, data.options));`);
    const server = await FileServer.open(
      { ...all, '/assets/worker.js': worker },
      (asked, response, content, own) => {
        if (asked.path.endsWith('.js')) response.setHeader('content-type', 'text/javascript');
        if (asked.path === '/app/') return response.setHeader('content-type', 'text/html').end(PAGE);
        return answer(asked, response, content, own);
      },
    );
    servers.push(server);
    return server;
  };
  const openPage = async (url: string) => {
    page = await context.newPage();
    await page.goto(url);
    await page.addScriptTag({ content: code });
  };
  const read = async (source: string, options: Options = {}): Promise<Told> => {
    const given = JSON.stringify([source, options]);
    return page.evaluate(`(${readModel})(...${given})`);
  };
  /** The same in a worker: from its script, or from a blob of it. */
  const readInWorker = (kind: 'script' | 'blob', source: string, options: Options = {}): Promise<Told> =>
    page.evaluate(
      async ([how, text, given]) => {
        let script = new URL('/assets/worker.js', location.href).href;
        if (how === 'blob') script = URL.createObjectURL(await (await fetch(script)).blob());
        const worker = new Worker(script);
        const answer = new Promise<Told>((resolve) => {
          worker.onmessage = ({ data }) => resolve(data);
        });
        worker.postMessage({ source: text, options: given });
        return answer.finally(() => worker.terminate());
      },
      [kind, source, options] as const,
    );
  const expectModel = (told: Told) =>
    expect([told.error, told.config, told.weights]).to.deep.equal(['', CONFIG, sha256(weights)]);

  for (const [kind, answer] of Object.entries(SERVERS)) {
    if (kind.startsWith('redirects')) continue;
    it(`loads a model from ${kind}, on the page's own server`, async () => {
      const server = await serve(answer);
      await openPage(`${server.url}/app/`);
      expectModel(await read('/model'));
      expectModel(await read('./model'));
      expectModel(await read('/model', { addressCache: false }));
      await page.reload();
      await page.addScriptTag({ content: code });
      expectModel(await read('/model'));
      expect((await read('/modle')).error)
        .to.include('/modle/config.json')
        .and.include('there is no file');
    });
  }

  it("resolves relative URLs against the page's URL, or its <base>", async () => {
    const server = await serve(SERVERS['a plain server']);
    await openPage(`${server.url}/app/index.html?x#y`);
    server.take();
    await read('./model');
    expect(server.take()[0]).to.include('/app/model/config.json');
    await read('../model');
    expect(server.take()[0]).to.include('GET /model/config.json');
    await page.evaluate(() => document.head.insertAdjacentHTML('beforeend', '<base href="/else/where/">'));
    await read('./model');
    expect(server.take()[0]).to.include('/else/where/model/config.json');
    await read('./model', { base: `${server.url}/given/` });
    expect(server.take()[0]).to.include('/given/model/config.json');
  });

  it('reports if there is no base URL', async () => {
    await openPage('about:blank');
    expect((await read('/model')).error)
      .to.include('the address of this page, "about:blank"')
      .and.include('{ base }');
    expect((await read('/model', { base: 'file:///x' })).error).to.include('the option base, "file:///x"');
  });

  it('loads a model in a worker, relative to its script or to a given base', async () => {
    const server = await serve(SERVERS['Vite dev']);
    await openPage(`${server.url}/app/`);
    expectModel(await readInWorker('script', '/model'));
    const beside = await readInWorker('script', './model');
    expect(beside.error).to.include('/assets/model/config.json').and.include('web page');
    expectModel(await readInWorker('script', './model', { base: `${server.url}/app/` }));
  });

  it('requires a base in a worker created from a blob', async () => {
    const server = await serve(SERVERS['Vite preview']);
    await openPage(`${server.url}/app/`);
    const without = await readInWorker('blob', '/model');
    expect(without.error)
      .to.include('"/model"')
      .and.include('the address of this worker, "blob:')
      .and.include('{ base }');
    expectModel(await readInWorker('blob', '/model', { base: `${server.url}/app/` }));
    expectModel(await readInWorker('blob', `${server.url}/model`));
  });

  /** Another origin, which allows pages to read it, and exposes these headers. */
  const allows =
    (answer: Answer, exposed = ''): Answer =>
    (asked, response, content, server) => {
      response.setHeader('access-control-allow-origin', '*');
      if (exposed) response.setHeader('access-control-expose-headers', exposed);
      return answer(asked, response, content, server);
    };
  const noHead: Answer = (asked, response, content, server) =>
    asked.method === 'HEAD'
      ? response.writeHead(405).end()
      : SERVERS['a plain server'](asked, response, content, server);
  const FOREIGN: [string, Answer][] = [
    ...Object.entries(SERVERS).map(([kind, answer]): [string, Answer] => [kind, allows(answer)]),
    ['a plain server that shows its headers', allows(SERVERS['a plain server'], 'ETag, Content-Range')],
    [
      'compressed files, and it shows so',
      allows(SERVERS['compressed files'], 'ETag, Content-Range, Content-Encoding'),
    ],
    ['no HEAD', allows(noHead)],
  ];
  for (const [kind, answer] of FOREIGN) {
    it(`loads a model from another origin: ${kind}`, async () => {
      const own = await serve(SERVERS['a plain server']);
      const other = await serve(answer);
      await openPage(`${own.url}/app/`);
      for (let i = 0; i < 2; i++) expectModel(await read(`${other.url}/model`));
      // A file server would have refused a preflight request.
      expect(other.seen.filter(({ method }) => method === 'OPTIONS')).to.deep.equal([]);
    });
  }

  it('reports quickly that another origin does not allow reading (CORS), or does not respond', async () => {
    const own = await serve(SERVERS['a plain server']);
    const other = await serve(SERVERS['a plain server']);
    await openPage(`${own.url}/app/`);
    const { error, milliseconds } = await read(`${other.url}/model`);
    expect(error).to.include(`${other.url}/model/config.json`).and.include('(CORS)').and.include(own.url);
    expect(error).to.include('Access-Control-Allow-Origin');
    expect(milliseconds).to.be.below(5000);
    const nobody = await read('http://127.0.0.1:9/model');
    expect(nobody.error).to.include('cannot be reached').and.not.include('CORS');
  });

  it('stores the files: the next visit makes one request per file, and downloads nothing', async () => {
    const server = await serve(SERVERS['a plain server']);
    await openPage(`${server.url}/app/`);
    expectModel(await read('/model'));
    server.take();
    const before = server.sent;
    await page.reload();
    await page.addScriptTag({ content: code });
    server.take();
    expectModel(await read('/model'));
    expect(server.sent - before).to.be.below(1000);
    expect(
      server.seen.map(({ method, headers }) => [method, headers['if-none-match'] !== undefined]),
    ).to.deep.equal([
      ['GET', true],
      ['GET', true],
    ]);
    server.files['/model/model.safetensors'] = weights.map((byte, i) =>
      i === weights.length - 1 ? byte ^ 1 : byte,
    );
    const changed = await read('/model');
    expect([changed.error, changed.weights]).to.deep.equal([
      '',
      sha256(server.files['/model/model.safetensors']),
    ]);
  });

  it('deletes stored files on request', async () => {
    const server = await serve(SERVERS['a plain server']);
    await openPage(`${server.url}/app/`);
    await read('/model');
    const names = () =>
      page.evaluate(async () => {
        const found: string[] = [];
        for await (const name of (await navigator.storage.getDirectory()).keys()) found.push(name);
        return found;
      });
    expect(await names()).to.deep.equal(['webalign-addresses']);
    await page.evaluate(() => sources.clearPageCache());
    expect(await names()).to.deep.equal([]);
    expectModel(await read('/model'));
  });

  it('reads files without storing them, with a notice, if there is no space', async () => {
    const server = await serve(SERVERS['a plain server']);
    await openPage(`${server.url}/app/`);
    await page.evaluate(() => {
      FileSystemFileHandle.prototype.createWritable = async () => {
        throw new DOMException('full', 'QuotaExceededError');
      };
    });
    const told = await read('/model');
    expectModel(told);
    expect(told.lines.join('\n')).to.include('is read without being stored').and.include("browser's storage");
  });
});
