/**
 * The esbuild plugin on files on disk: a wrong include is a build error, at the line that contains it.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { build, type Message } from 'esbuild';
import { expand, wgsl } from '../../shaders/include.mjs';
import { own } from '../../src/base/lookup.ts';

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

  const bundle = async (minify = false) => {
    const { outputFiles } = await build({
      absWorkingDir: root,
      entryPoints: ['main.js'],
      bundle: true,
      format: 'esm',
      minify,
      write: false,
      logLevel: 'silent',
      plugins: [wgsl(join(root, 'shaders'))],
    });
    return outputFiles[0].text;
  };

  it('bundles each file once, and concatenates files on use', async () => {
    const files = {
      'lib/a.wgsl': '#include "lib/b.wgsl"\nfn a() {}\n',
      'lib/b.wgsl': '\n  fn b() {} // a word\n',
      'main.wgsl': '// main\n#include "lib/a.wgsl"\n#include "lib/b.wgsl"\nfn main() {}\n',
      'other.wgsl': '#include "lib/b.wgsl"\nfn other() {}\n',
    };
    for (const [name, text] of Object.entries(files)) await writeFile(join(root, 'shaders', name), text);
    const imports = ['main', 'other'].map((name) => `import ${name} from './shaders/${name}.wgsl';\n`);
    await writeFile(join(root, 'main.js'), `${imports.join('')}export default { main, other };\n`);
    const [plain, minified] = await Promise.all([bundle(), bundle(true)]);
    expect(minified.match(/fn b\(\)/g)).have.length(1);
    expect(minified).not.include('a word').and.not.include('  fn');
    const loaded = async (text: string) =>
      (await import(`data:text/javascript,${encodeURIComponent(text)}`)).default;
    const { main, other } = await loaded(plain);
    const expected = expand('main.wgsl', (path) => own(files, path)!);
    expect([main.code, main.lines]).deep.equal([expected.code, expected.lines]);
    expect(other.code).equal('\n  fn b() {} // a word\nfn other() {}\n');
    const small = (await loaded(minified)).main;
    expect(small.lines).deep.equal(expected.lines);
    expect(small.code).equal('\n\nfn b(){}\nfn a(){}\nfn main(){}\n');
  });

  it('reports file and line of a missing include', async () => {
    await writeFile(join(root, 'shaders/main.wgsl'), '// main\n#include "lib/a.wgsl"\n');
    await writeFile(join(root, 'shaders/lib/a.wgsl'), '// a\n\n#include "lib/nowhere.wgsl"\n');
    const { errors } = await bundle().then(
      () => ({ errors: [] as Message[] }),
      (failure: { errors: Message[] }) => failure,
    );
    expect(errors).to.have.length(1);
    expect(errors[0].text).to.equal('included file shaders/lib/nowhere.wgsl does not exist');
    expect(errors[0].location).to.include({ line: 3, lineText: '#include "lib/nowhere.wgsl"' });
    expect(errors[0].location!.file.endsWith('shaders/lib/a.wgsl')).to.equal(true);
  });
});
