import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';

const run = promisify(execFile);

/** A separate program: what it prints, and that it ends by itself. */
async function inProcess(program: string, env: Record<string, string> = {}): Promise<string> {
  const library = pathToFileURL(resolve('dist/node.js')).href;
  const code = `import { requestNodeGpu, requestGpu } from '${library}';\n${program}`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', code], {
    env: { ...process.env, ...env },
    timeout: 60_000,
  });
  return stdout.trim();
}

const isCarried = process.platform === 'linux' && process.arch === 'x64';

describe('the adapter in Node', () => {
  it('computes, and the process ends by itself', async () => {
    const printed = await inProcess(`
      const gpu = await requestGpu();
      const view = gpu.upload(new Float32Array([1, 2, 3, 4]), 'numbers');
      console.log(new Float32Array(await gpu.read(view)).join(' '));`);
    expect(printed).to.equal('1 2 3 4');
  });

  it('reports a software adapter in one line, and nothing else', async () => {
    const printed = await inProcess('console.log(JSON.stringify(await requestNodeGpu()));');
    const { software, notice } = JSON.parse(printed) as { software: boolean; notice?: string };
    if (software)
      expect(notice).to.match(/^No GPU adapter found: running on [^\n]+, a software adapter on the CPU/);
    else expect(notice).to.equal(undefined);
  });

  it('is SwiftShader from npm on demand, unpacked once even by several processes', async function () {
    if (!isCarried) this.skip();
    const cache = await mkdtemp(join(tmpdir(), 'webalign-cache-'));
    try {
      const env = { WEBALIGN_ADAPTER: 'software', XDG_CACHE_HOME: cache };
      const program =
        'const adapter = await (await requestNodeGpu()).gpu.requestAdapter(); console.log(adapter.info.architecture);';
      const printed = await Promise.all([1, 2, 3].map(() => inProcess(program, env)));
      expect(printed).to.deep.equal(['swiftshader', 'swiftshader', 'swiftshader']);
      const [version = ''] = await readdir(join(cache, 'webalign'));
      expect(version).to.match(/^chromium-\d/);
      expect(await readdir(join(cache, 'webalign', version))).to.deep.equal(['swiftshader']);
    } finally {
      await rm(cache, { recursive: true, force: true });
    }
  });

  it('is unpacked elsewhere if the cache cannot be written', async function () {
    if (!isCarried) this.skip();
    const folder = await mkdtemp(join(tmpdir(), 'webalign-cache-'));
    try {
      const env = { WEBALIGN_ADAPTER: 'software', XDG_CACHE_HOME: '/dev/null', TMPDIR: folder };
      expect(await inProcess('console.log((await requestNodeGpu()).software);', env)).to.equal('true');
      expect(await readdir(folder)).to.deep.equal([`webalign-${process.getuid?.()}`]);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('says what to do about an unknown adapter name', async () => {
    const program = 'await requestNodeGpu().catch((error) => console.log(error.name, error.message));';
    expect(await inProcess(program, { WEBALIGN_ADAPTER: 'fast' })).to.equal(
      'NoAdapterError Adapter "fast" is unknown. Supported adapters: native, swiftshader, lavapipe, software.',
    );
  });
});
