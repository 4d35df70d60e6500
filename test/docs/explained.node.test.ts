/**
 * The pages in `docs/explained`: every figure in their text is used or printed by their examples, and their links lead
 * somewhere. That the examples print what the page says is tested with those of all pages.
 */
import { existsSync } from 'node:fs';
import { posix } from 'node:path';
import { expect } from 'chai';
import { filesBelow, textOf } from '../architecture/sources.ts';

const FOLDER = 'docs/explained';
const FENCED = /```.*?```/gs;
const LINK = /\]\(([^)]+)\)/g;
/** Figures with a decimal point; whole numbers occur for too many other reasons. */
const FIGURE = /(?<![\w.])\d+\.\d+(?![\w.]*\d)/g;

const figuresOf = (text: string) => text.match(FIGURE) ?? [];

describe('the explained pages', () => {
  for (const page of filesBelow(FOLDER, '.md')) {
    const text = textOf(page);

    it(`${page}: figures come from its examples`, () => {
      const examples = new Set(figuresOf((text.match(FENCED) ?? []).join('\n')));
      const prose = text.replace(FENCED, '').replace(LINK, '');
      expect(figuresOf(prose).filter((figure) => !examples.has(figure))).to.deep.equal([]);
    });

    it(`${page}: links lead somewhere`, () => {
      const targets = [...text.replace(FENCED, '').matchAll(LINK)].map(([, target]) => target);
      const missing = targets.filter(
        (target) => !/^https?:/.test(target) && !existsSync(posix.join(FOLDER, target.replace(/#.*/, ''))),
      );
      expect(missing).to.deep.equal([]);
    });
  }

  it('are listed in the index', () => {
    const index = textOf(`${FOLDER}/README.md`);
    const pages = filesBelow(FOLDER, '.md').map((page) => posix.basename(page));
    expect(pages.filter((name) => name !== 'README.md' && !index.includes(`(${name})`))).to.deep.equal([]);
  });
});
