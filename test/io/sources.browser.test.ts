/** Sources in a page: the browser's own storage as a cache, folders that a person picks, and which servers get a token. */
import { expect } from 'chai';
import { build } from 'esbuild';
import type { Browser, BrowserContext, Page } from 'playwright';
import type * as Sources from '../../src/io/sources.ts';
import { launchChromium, type Server, serve } from '../../src/testing.ts';
import { answers, cutAt, HubServer, isContent, sends } from '../support/hub-server.ts';

const COMMIT = 'c0ffee'.padEnd(40, '0');
/** More than one segment of the cache. */
const WEIGHTS = Uint8Array.from({ length: 40_000_000 }, (_, i) => (i * 31) % 251);
const TOKEN = 'hf_secretSecret';

declare const sources: typeof Sources;

/** What a page reports of a load: received bytes, notices, and errors. */
interface Told {
  sum: number;
  size: number;
  lines: string[];
  first: number | undefined;
  error: string;
}

describe('io/sources in a page', function () {
  this.timeout(300_000);
  let hub: HubServer;
  let browser: Browser;
  let server: Server;
  let context: BrowserContext;
  let page: Page;
  let code: string;

  before(async () => {
    hub = await HubServer.open();
    hub.repositories['org/tiny'] = {
      commit: COMMIT,
      files: { 'config.json': '{"a":1}', 'model.safetensors': WEIGHTS },
    };
    hub.repositories['org/small'] = {
      commit: COMMIT,
      files: { 'model.bin': WEIGHTS.slice(0, 5000) },
      token: TOKEN,
    };
    const bundle = await build({
      entryPoints: ['src/io/sources.ts'],
      bundle: true,
      write: false,
      format: 'iife',
      globalName: 'sources',
    });
    code = bundle.outputFiles[0].text;
    browser = await launchChromium();
    server = await serve({});
  });
  after(async () => {
    await browser?.close();
    await server?.close();
    hub?.close();
  });
  beforeEach(async () => {
    hub.take();
    hub.faults.length = 0;
    context = await browser.newContext();
    page = await newPage();
  });
  afterEach(() => context.close());

  const newPage = async () => {
    const made = await context.newPage();
    await made.goto(`${server.url}/`);
    await made.addScriptTag({ content: code });
    return made;
  };

  /** Loads a file of a repository in the page. */
  const load = (name: string, file: string, options: Omit<Sources.SourceOptions, 'cache'> = {}) =>
    page.evaluate(
      async ([id, path, given]): Promise<Told> => {
        const told: Told = { sum: 0, size: 0, lines: [], first: undefined, error: '' };
        try {
          const files = await sources.openSource(id, {
            ...given,
            pause: async () => undefined,
            onNotice: (line) => void told.lines.push(line),
            onProgress: ({ loaded }) => {
              told.first ??= loaded;
            },
          });
          const bytes = await files.read(path);
          told.size = bytes.length;
          told.sum = bytes.reduce((sum, byte, i) => (sum + byte * (i % 7)) % 1_000_003, 0);
        } catch (error) {
          told.error = String(error);
        }
        return told;
      },
      [name, file, { endpoint: hub.url, ...options }] as const,
    );
  const sum = WEIGHTS.reduce((total, byte, i) => (total + byte * (i % 7)) % 1_000_003, 0);
  const reload = async () => {
    await page.reload();
    await page.addScriptTag({ content: code });
  };

  it('downloads a file once, also for a later page', async () => {
    const first = await load('org/tiny', 'model.safetensors');
    expect(first.error).to.equal('');
    expect([first.size, first.sum]).to.deep.equal([WEIGHTS.length, sum]);
    hub.take();
    await reload();
    const again = await load('org/tiny', 'model.safetensors');
    expect([again.sum, again.error]).to.deep.equal([sum, '']);
    expect(hub.seen).to.deep.equal([]);
    expect(again.lines.join()).to.include(`main is commit ${COMMIT.slice(0, 8)}, according to the cache`);
  });

  it('continues a download after a reload', async () => {
    const gone = Array.from({ length: 6 }, () => answers(503, {}, isContent));
    hub.faults.push(cutAt(30_000_000), ...gone);
    expect((await load('org/tiny', 'model.safetensors')).error).to.include('503');
    hub.faults.length = 0;
    hub.take();
    await reload();
    const again = await load('org/tiny', 'model.safetensors');
    expect([again.sum, again.error]).to.deep.equal([sum, '']);
    expect(again.first).to.be.at.least(2 ** 24);
    expect(hub.seen.filter(isContent).map(({ headers }) => headers.range)).to.deep.equal([
      `bytes=${again.first}-`,
    ]);
  });

  it('continues a download of a page that was closed', async () => {
    hub.faults.push((asked, response, content) => {
      if (!isContent(asked)) return false;
      response.writeHead(200, { 'content-length': content.byteLength });
      response.write(content.subarray(0, 36_000_000));
      return true;
    });
    const other = await newPage();
    const reached = other.evaluate(
      (endpoint) =>
        new Promise<void>((resolve) => {
          const onProgress = ({ loaded }: { loaded: number }) => {
            if (loaded > 35_000_000) setTimeout(resolve, 500);
          };
          void sources
            .openSource('org/tiny', { endpoint, onProgress })
            .then((files) => files.open('model.safetensors'));
        }),
      hub.url,
    );
    await reached;
    await other.close();
    const again = await load('org/tiny', 'model.safetensors');
    expect([again.sum, again.error]).to.deep.equal([sum, '']);
    expect(again.first).to.be.at.least(2 ** 24);
  });

  it('stores no wrong bytes', async () => {
    hub.faults.push(sends((bytes) => bytes.map((byte) => byte ^ 1)));
    expect((await load('org/tiny', 'model.safetensors')).error)
      .to.include('DamagedDownloadError')
      .and.include('hash');
    const again = await load('org/tiny', 'model.safetensors');
    expect([again.sum, again.error, again.first]).to.deep.equal([sum, '', 0]);
  });

  it('downloads once for two concurrent loads', async () => {
    const both = await Promise.all([
      load('org/tiny', 'model.safetensors'),
      load('org/tiny', 'model.safetensors'),
    ]);
    expect(both.map((told) => told.sum)).to.deep.equal([sum, sum]);
    expect(hub.seen.filter(isContent)).to.have.length(1);
  });

  it('sends a token to the hub, but not to redirect targets', async () => {
    const given = await load('org/small', 'model.bin', { token: TOKEN });
    expect([given.size, given.error]).to.deep.equal([5000, '']);
    const bearers = hub.seen.map(({ on, headers }) => [on, headers.authorization ?? '']);
    expect(bearers)
      .to.deep.include(['network', ''])
      .and.deep.include(['hub', `Bearer ${TOKEN}`]);
    expect(bearers).to.not.deep.include(['network', `Bearer ${TOKEN}`]);
  });

  it('reports that nothing can be stored', async () => {
    await page.evaluate(() => {
      navigator.storage.getDirectory = async () => {
        throw new DOMException('not here', 'SecurityError');
      };
    });
    const told = await load('org/tiny', 'config.json');
    expect([told.size, told.error]).to.deep.equal([7, '']);
    expect(told.lines.join()).to.include('cannot store files for this page');
  });

  it('uses memory, with a notice, if there is no space', async () => {
    await page.evaluate(() => {
      FileSystemFileHandle.prototype.createWritable = async () => {
        throw new DOMException('full', 'QuotaExceededError');
      };
    });
    const told = await load('org/tiny', 'config.json');
    expect([told.size, told.error]).to.deep.equal([7, '']);
    expect(told.lines.join()).to.include("does not fit into the browser's storage");
  });

  it('opens a folder that the user granted access to', async () => {
    const read = await page.evaluate(async () => {
      const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle('mine', {
        create: true,
      });
      const sub = await folder.getDirectoryHandle('sub', { create: true });
      for (const [where, name] of [
        [folder, 'config.json'],
        [sub, 'a.txt'],
      ] as const) {
        const stream = await (await where.getFileHandle(name, { create: true })).createWritable();
        await stream.write(name);
        await stream.close();
      }
      const files = await sources.openSource(folder);
      const missing = await files.read('b.json').catch(String);
      const inside = await files.read('config.json/x').catch(String);
      const here = [
        await files.exists('config.json'),
        await files.exists('sub'),
        await files.exists('nope/x'),
      ];
      return [
        files.name,
        await files.readText('config.json'),
        await files.readText('sub/a.txt'),
        here,
        missing,
        inside,
      ];
    });
    expect(read.slice(0, 4)).to.deep.equal(['mine', 'config.json', 'a.txt', [true, false, false]]);
    expect(read[4]).to.include('mine/b.json').and.include('there is no file');
    expect(read[5]).to.include('mine/config.json/x').and.include('there is no file');
  });

  it('opens files that the user chose in the page', async () => {
    await page.setContent('<input type="file" multiple>');
    await page.locator('input').setInputFiles([
      { name: 'config.json', mimeType: 'application/json', buffer: Buffer.from('{}') },
      { name: 'model.safetensors', mimeType: '', buffer: Buffer.from('w') },
    ]);
    const read = await page.evaluate(async () => {
      const files = await sources.openSource(document.querySelector('input')!.files!);
      return [await files.readText('config.json'), await files.readText('model.safetensors')];
    });
    expect(read).to.deep.equal(['{}', 'w']);
  });
});
