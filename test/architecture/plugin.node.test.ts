/**
 * The esbuild plugin on files on disk: a wrong include is an error of the build, at the line that holds it.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { build, type Message } from 'esbuild';
import { wgsl } from '../../shaders/include.mjs';

describe('the WGSL plugin', () => {
  let root = '';

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'webalign-wgsl-'));
    await mkdir(join(root, 'shaders', 'lib'), { recursive: true });
    await writeFile(
      join(root, 'main.js'),
      "import shader from './shaders/main.wgsl';\nconsole.log(shader);\n",
    );
  });

  afterEach(() => rm(root, { recursive: true, force: true }));

  const bundle = () =>
    build({
      absWorkingDir: root,
      entryPoints: ['main.js'],
      bundle: true,
      write: false,
      logLevel: 'silent',
      plugins: [wgsl(join(root, 'shaders'))],
    });

  it('bundles a shader with what it includes', async () => {
    await writeFile(join(root, 'shaders/main.wgsl'), '#include "lib/a.wgsl"\nfn main() {}\n');
    await writeFile(join(root, 'shaders/lib/a.wgsl'), 'fn a() {}\n');
    const { outputFiles } = await bundle();
    expect(outputFiles[0]!.text).to.include('fn a() {}\\nfn main() {}\\n');
  });

  it('fails at file and line of a missing include', async () => {
    await writeFile(join(root, 'shaders/main.wgsl'), '// main\n#include "lib/a.wgsl"\n');
    await writeFile(join(root, 'shaders/lib/a.wgsl'), '// a\n\n#include "lib/nowhere.wgsl"\n');
    const { errors } = await bundle().then(
      () => ({ errors: [] as Message[] }),
      (failure: { errors: Message[] }) => failure,
    );
    expect(errors).to.have.length(1);
    expect(errors[0]!.text).to.equal('included file shaders/lib/nowhere.wgsl does not exist');
    expect(errors[0]!.location).to.include({ line: 3, lineText: '#include "lib/nowhere.wgsl"' });
    expect(errors[0]!.location!.file.endsWith('shaders/lib/a.wgsl')).to.equal(true);
  });
});
