/**
 * The layers of the sources: imports go downwards only, folders of one layer do not import each other, and Node's modules
 * or a package are imported in one place only. Reads the sources and executes nothing.
 */
import { expect } from 'chai';
import { entryFiles, filesBelow, importsOf } from './sources.ts';

/** Layer of each folder; a file directly in `src/` is its own folder here. */
const FLOORS: Record<string, number> = {
  shaders: 0,
  base: 0,
  gpu: 1,
  tensor: 2,
  ops: 3,
  model: 4,
  losses: 4,
  theory: 4,
  data: 4,
  io: 4,
  train: 5,
  node: 5,
  rollout: 6,
  testing: 6,
  cli: 7,
  studies: 8,
  'main.ts': 9,
  ...Object.fromEntries(
    entryFiles()
      .filter((file) => !file.includes('/'))
      .map((file) => [file, 7]),
  ),
};

/**
 * Imports within a layer that are allowed: weights and text are read from files, and a loss says which columns of the data
 * it reads.
 */
const SIDEWAYS = [
  'model -> io',
  'model -> data',
  'data -> io',
  'losses -> data',
  // The command line uses the package as a user does.
  ...entryFiles().map((file) => `cli -> ${file}`),
];

/** Pure TypeScript: of the layers below, they import only the lowest. */
const PURE = ['data', 'io'];

/** Where Node's own modules may be imported. */
const NODE_ONLY = ['node', 'node.ts', 'testing.ts', 'testing', 'cli', 'studies', 'main.ts'];

/** Packages that only one folder may import. */
const DOORS: Record<string, string[]> = {
  webgpu: ['src/node/adapter.ts'],
  'tar-fs': ['src/node/carried.ts'],
  playwright: ['src/node/chromium.ts', 'src/testing.ts', 'src/testing/'],
  'playwright/test': ['src/testing/playwright.ts'],
  vitest: ['src/testing/vitest.ts'],
  '@vitest/browser-playwright': ['src/testing/vitest-config.ts'],
  commander: ['src/cli/'],
  'cli-progress': ['src/cli/'],
};

function roomOf(file: string): string | undefined {
  const [top, room] = file.split('/');
  return top === 'shaders' ? top : top === 'src' ? room : undefined;
}

/** `from -> to` for every import of one of our files. */
function steps(): { file: string; target: string; from: string; to: string | undefined }[] {
  return filesBelow('src', '.ts')
    .filter((file) => !file.endsWith('.d.ts'))
    .flatMap((file) =>
      importsOf(file)
        .filter((target) => target.includes('/') && /\.(ts|wgsl|mjs|json)$/.test(target))
        .map((target) => ({ file, target, from: roomOf(file)!, to: roomOf(target) })),
    );
}

/** Every package or Node module that a file imports. */
function packages(): { file: string; name: string }[] {
  return filesBelow('src', '.ts').flatMap((file) =>
    importsOf(file)
      .filter((target) => !/^(src|shaders|demos|test)\//.test(target))
      .map((name) => ({ file, name })),
  );
}

describe('the layers', () => {
  it('contain every folder', () => {
    const rooms = filesBelow('src', '.ts')
      .filter((file) => !file.endsWith('.d.ts'))
      .map(roomOf);
    expect(Object.keys(FLOORS)).to.include.members([...new Set(rooms)]);
    expect(steps()).to.not.be.empty;
  });

  it('only import downwards', () => {
    const climbs = steps().filter(({ from, to }) => {
      if (to === undefined) return true;
      if (from === to || SIDEWAYS.includes(`${from} -> ${to}`)) return false;
      return FLOORS[to] >= FLOORS[from];
    });
    expect(climbs.map(({ file, target }) => `${file} imports ${target}`)).to.deep.equal([]);
  });

  it('keep formats and data independent of the GPU', () => {
    const impure = steps().filter(({ from, to }) => PURE.includes(from) && ![...PURE, 'base'].includes(to!));
    expect(impure.map(({ file, target }) => `${file} imports ${target}`)).to.deep.equal([]);
  });

  it('keep Node-only code out of browser code', () => {
    const leaks = steps().filter(({ from, to }) => to === 'node' && !NODE_ONLY.includes(from));
    expect(leaks.map(({ file, target }) => `${file} imports ${target}`)).to.deep.equal([]);
    const builtins = packages().filter(
      ({ file, name }) => name.startsWith('node:') && !NODE_ONLY.includes(roomOf(file)!),
    );
    expect(builtins.map(({ file, name }) => `${file} imports ${name}`)).to.deep.equal([]);
  });

  it('have one file for each package of Node', () => {
    const others = packages().filter(({ file, name }) =>
      DOORS[name]?.every((door) => !file.startsWith(door)),
    );
    expect(others.map(({ file, name }) => `${file} imports ${name}`)).to.deep.equal([]);
  });
});
