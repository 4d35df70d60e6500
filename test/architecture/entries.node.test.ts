/**
 * What users can import: the entries that `package.json` exports, one place for each name, and demos and studies that
 * import the package as users do. Reads the sources and executes nothing.
 */
import { expect } from 'chai';
import { entryFiles, filesBelow, importsOf, specifiersOf, subpaths, textOf } from './sources.ts';

/**
 * Entries that are checked apart: Node's `requestGpu` and `openSource` do more than a page's, and each runner has its own
 * `test`.
 */
const APART = /^(node|testing)\b/;

/** What demos may import from the sources, with the reason. */
const OF_DEMOS: Record<string, string> = {
  'src/cli/align-task.ts': 'the demos and `webalign align` are one task, whose settings belong to no API',
  'src/base/counted.ts': 'pages and messages of the package count in one spelling',
  'src/base/lookup.ts': 'look-ups by a name from outside have one way in this repository',
  'src/cli/continuations.ts': 'the rule that plays the user is judged as `webalign align` judges',
  'src/cli/divergences.ts': 'the rule that plays the user is judged as `webalign align` judges',
  'src/cli/statistics.ts': 'the rule that plays the user is judged as `webalign align` judges',
  'src/cli/report/figures.ts': 'the report of a run is one page, whoever makes it',
  'src/cli/report/html.ts': 'the report of a run is one page, whoever makes it',
  'src/cli/report/page.ts': 'the report of a run is one page, whoever makes it',
  'src/cli/report/text-figures.ts': 'texts are measured in one way before and after training',
  'src/cli/report/parts.ts': 'the report of a run is one page, whoever makes it',
  'src/cli/trl-going-on.ts': 'runs are handed to TRL in one way',
};

/** What studies may import from the sources outside the command line. */
const OF_STUDIES: Record<string, string> = {
  'src/base/counted.ts': OF_DEMOS['src/base/counted.ts'],
  'src/base/lookup.ts': OF_DEMOS['src/base/lookup.ts'],
};

/** Parts of the command line that demos or studies import, and which import the package as studies do. */
const SHARED = /^src\/cli\/(align-task|continuations|divergences)\.ts$/;

const outside = [
  ...filesBelow('demos', '.ts'),
  ...filesBelow('test/outside', '.ts'),
  ...filesBelow('test/interop', '.mjs'),
];
const studies = [
  ...filesBelow('src/studies', '.ts'),
  ...filesBelow('src/cli', '.ts').filter((file) => SHARED.test(file)),
];

/** What an entry exports: names, each with its file. */
function namesOf(entry: string): { name: string; from: string }[] {
  const lists = textOf(`src/${entry}`).matchAll(/^export (?:type )?\{([^}]*)\} from '([^']+)';/gm);
  return [...lists].flatMap(([, list, from]) =>
    list
      .split(',')
      .map((name) => name.trim().replace(/^type /, ''))
      .filter((name) => name !== '')
      .map((name) => ({ name, from: from })),
  );
}

describe('the entry points', () => {
  it('have the same form in package.json, with one file each', () => {
    const { exports } = JSON.parse(textOf('package.json')) as { exports: Record<string, unknown> };
    for (const path of subpaths()) {
      const name = path === '.' ? 'index' : path.slice(2);
      expect(exports[path], path).to.include({
        'types@>=6': `./dist/types/${name}.d.ts`,
        types: `./dist/types/typescript-5/${name}.d.ts`,
        default: `./dist/${name}.js`,
      });
      expect(textOf(`src/${name}.ts`), path).to.match(/^\/\*\*\n \* `webalign(\/[\w/-]+)?`: /);
    }
  });

  it('export every name from one home', () => {
    const homes = new Map<string, string[]>();
    for (const entry of entryFiles().filter((file) => file !== 'index.ts' && !APART.test(file)))
      for (const { name } of namesOf(entry)) homes.set(name, [...(homes.get(name) ?? []), entry]);
    expect(homes.size).to.be.above(300);
    expect([...homes].filter(([, entries]) => entries.length > 1)).to.deep.equal([]);
    // The first page of the reference repeats names of the subpaths and adds none.
    const first = namesOf('index.ts').map(({ name }) => name);
    expect(first.length).to.be.within(10, 20);
    expect([...homes.keys()]).to.include.members(first);
  });

  it("match CHANGELOG.md's list of where the names of 0.1 are now", () => {
    const table = textOf('CHANGELOG.md').split('| names of `webalign` in 0.1 |')[1] ?? '';
    const rows = [...table.matchAll(/^\| `webalign\/(\w+)` \| (.*) \|$/gm)];
    const moved = rows.flatMap(([, entry, names]) =>
      [...names.matchAll(/`(\w+)`/g)].map((match) => ({ entry, name: match[1] })),
    );
    expect(moved.length).to.be.above(300);
    const wrong = moved.filter(
      ({ entry, name }) => !namesOf(`${entry}.ts`).some((each) => each.name === name),
    );
    expect(wrong).to.deep.equal([]);
  });
});

describe('code outside the package', () => {
  it('only imports exported entries', () => {
    const entries = subpaths().map((path) => `webalign${path.slice(1)}`);
    const unknown = [...outside, ...studies].flatMap((file) =>
      specifiersOf(file)
        .filter((name) => /^webalign(\/|$)/.test(name) && !entries.includes(name))
        .map((name) => `${file} imports ${name}`),
    );
    expect(unknown).to.deep.equal([]);
  });

  it('imports nothing else of it: demos', () => {
    expect(taken(filesBelow('demos', '.ts'), /^src\//)).to.have.keys(Object.keys(OF_DEMOS));
  });

  it('imports nothing else of it: studies', () => {
    expect(taken(studies, /^src\/(?!cli\/|studies\/)/)).to.have.keys(Object.keys(OF_STUDIES));
  });

  it('imports nothing of it: independent code', () => {
    expect(taken(filesBelow('test/outside', '.ts'), /^(src|shaders)\//)).to.deep.equal({});
  });
});

/** The sources that files import by their paths, with the files that import them. */
function taken(files: readonly string[], sources: RegExp): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  for (const file of files) {
    const byName = specifiersOf(file).filter((name) => name.startsWith('.'));
    if (byName.length === 0) continue;
    for (const target of importsOf(file).filter(
      (name, at) => specifiersOf(file)[at].startsWith('.') && sources.test(name),
    ))
      found[target] = [...(found[target] ?? []), file];
  }
  return found;
}
