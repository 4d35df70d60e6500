/** What the bundle of a page contains: a demo without training loads no trainer, whatever the entries of the package export. */
import { expect } from 'chai';
import { build } from 'esbuild';
import { wgsl } from '../../shaders/include.mjs';

/** Folders of the sources that a script loads code from at its start. What it may import later is not counted. */
async function foldersOf(page: string): Promise<string[]> {
  const {
    metafile: { outputs },
  } = await build({
    entryPoints: [page],
    bundle: true,
    format: 'esm',
    target: 'es2022',
    splitting: true,
    write: false,
    metafile: true,
    outdir: 'dist/bundles',
    logLevel: 'silent',
    plugins: [wgsl('shaders')],
  });
  const loaded = new Set(Object.keys(outputs).filter((path) => outputs[path]?.entryPoint === page));
  const folders = new Set<string>();
  for (const path of loaded) {
    const { imports = [], inputs = {} } = outputs[path] ?? {};
    for (const { kind, path: next } of imports) if (kind === 'import-statement') loaded.add(next);
    for (const [input, { bytesInOutput }] of Object.entries(inputs)) {
      const [, folder] = /^((?:src|shaders)\/\w+)\//.exec(input) ?? [];
      if (folder !== undefined && bytesInOutput > 0) folders.add(folder);
    }
  }
  return [...folders];
}

describe('the bundles of the demos', () => {
  it('optimum: the theory on the GPU, and neither trainers, models, data nor rollouts', async () => {
    const folders = await foldersOf('demos/optimum/page.ts');
    expect(folders).to.include.members(['src/gpu', 'src/theory', 'shaders/theory']);
    const training = ['src/train', 'src/rollout', 'src/model', 'src/data', 'src/cli', 'shaders/losses'];
    expect(folders.filter((folder) => training.includes(folder))).to.deep.equal([]);
  });

  it('align: the trainers, in the worker alone', async () => {
    expect(await foldersOf('demos/align/worker.ts')).to.include('src/train');
    expect(await foldersOf('demos/align/page.ts')).to.not.include('src/train');
  });
});
