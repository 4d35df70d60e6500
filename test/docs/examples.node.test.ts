/** The examples in `docs/` run unchanged and print what the page says they print. */
import { execFile } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { filesBelow, textOf } from '../architecture/sources.ts';

/** Inside the package, so that `webalign` is the one just built. */
const FOLDER = 'dist/docs';
const EXAMPLE = /```js\n((?:(?!```).)*)```\s+It prints\s+```\n(.*?)```/gs;

describe('the examples of the documentation', () => {
  after(() => rm(FOLDER, { recursive: true, force: true }));

  for (const page of filesBelow('docs', '.md')) {
    for (const [index, [, code, output]] of [...textOf(page).matchAll(EXAMPLE)].entries()) {
      it(`${page}, example ${index + 1}`, async () => {
        await mkdir(FOLDER, { recursive: true });
        const file = `${FOLDER}/example.mjs`;
        await writeFile(file, code);
        const { stdout } = await promisify(execFile)(process.execPath, [file]);
        const lines = (text: string) =>
          text
            .trimEnd()
            .split('\n')
            .map((line) => line.trimEnd());
        expect(lines(stdout)).to.deep.equal(lines(output));
      });
    }
  }
});
