/**
 * The documentation as a whole: links lead somewhere, linked headings exist, every page can be reached from `README.md` in
 * two clicks, and the index has a line for each.
 */
import { existsSync } from 'node:fs';
import { posix } from 'node:path';
import { expect } from 'chai';
import { filesBelow, textOf } from '../architecture/sources.ts';

const START = 'README.md';
const INDEX = 'docs/README.md';
const FENCED = /```.*?```/gs;
const LINK = /\]\(([^)\s]+)\)/g;
const HEADING = /^#+ +(.+)$/gm;
const CLICKS = 2;

const pages = [START, 'SECURITY.md', 'CONTRIBUTING.md', 'ARCHITECTURE.md', ...filesBelow('docs', '.md')];

interface Link {
  /** As it is written. */
  text: string;
  file: string;
  heading: string;
}

/** Links to files, whose address is resolved relative to the page. */
function linksOf(page: string): Link[] {
  return [...textOf(page).replace(FENCED, '').matchAll(LINK)]
    .map(([, text]) => text)
    .filter((text) => !/^[a-z]+:/.test(text))
    .map((text) => {
      const [path = '', heading = ''] = text.split('#');
      const file = path === '' ? page : posix.normalize(posix.join(posix.dirname(page), path));
      return { text, file, heading };
    });
}

/** The heading's name in an address. */
const anchorOf = (heading: string) =>
  heading
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(' ', '-');

const anchorsOf = (page: string) =>
  [...textOf(page).replace(FENCED, '').matchAll(HEADING)].map(([, heading]) => anchorOf(heading));

describe('the documentation', () => {
  for (const page of pages) {
    it(`${page}: links lead somewhere`, () => {
      const links = linksOf(page);
      expect(links.filter(({ file }) => !existsSync(file)).map(({ text }) => text)).to.deep.equal([]);
      const toHeadings = links.filter(({ file, heading }) => heading !== '' && file.endsWith('.md'));
      const missing = toHeadings.filter(({ file, heading }) => !anchorsOf(file).includes(heading));
      expect(missing.map(({ text }) => text)).to.deep.equal([]);
    });
  }

  it(`every page is within ${CLICKS} clicks of ${START}`, () => {
    let reached = new Set([START]);
    for (let click = 0; click < CLICKS; click++) {
      const next = [...reached].filter((file) => file.endsWith('.md')).flatMap(linksOf);
      reached = new Set([...reached, ...next.map(({ file }) => file)]);
    }
    expect(pages.filter((page) => !reached.has(page))).to.deep.equal([]);
  });

  it(`${INDEX} has a link to every page beside it`, () => {
    const linked = new Set(linksOf(INDEX).map(({ file }) => file));
    const beside = filesBelow('docs', '.md').filter((page) => !page.slice('docs/'.length).includes('/'));
    expect(beside.filter((page) => page !== INDEX && !linked.has(page))).to.deep.equal([]);
  });

  it('docs/reference.md has a row for every entry of the package', () => {
    const { exports } = JSON.parse(textOf('package.json')) as { exports: Record<string, unknown> };
    const entries = Object.keys(exports).filter((path) => !/\.json$|\*/.test(path));
    const page = textOf('docs/reference.md');
    const rows = [...page.matchAll(/^\| `(webalign[\w/-]*)` \|/gm)].map(([, name]) => name);
    expect(rows).to.have.members(entries.map((path) => path.replace('.', 'webalign')));
  });

  it('docs/choosing.md has the figures of docs/frontier.md', () => {
    const [, table = ''] = /<!-- frontier -->(.*?)<!-- end -->/s.exec(textOf('docs/choosing.md')) ?? [];
    const rows = [...table.matchAll(/^\| (\w+), ([^|]+) \| ([^|]+) \| ([^|]+) \|$/gm)];
    const study = textOf('docs/frontier.md');
    expect(rows.length).to.be.above(5);
    for (const [row, method, setting, reward, kl] of rows)
      expect(study, row).to.include(`| ${method} | ${setting} | ${reward} | ${kl} |`);
  });
});
