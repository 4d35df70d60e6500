/**
 * Builds pages from parts: `<!-- include FILE name="value" -->` is replaced by the file beside the page, in which `{name}`
 * is replaced by the value. Content common to two pages is thus written once.
 */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const INCLUDE = /<!-- include (\S+?)((?: \w+="[^"]*")*) -->\n?/g;
const VALUE = / (\w+)="([^"]*)"/g;
const PLACE = /\{(\w+)\}/g;

/**
 * The page's text with its parts inserted, and the files of the parts. Throws if a part lacks a value.
 *
 * @param {string} page path of the file
 * @returns {{ text: string, parts: string[] }}
 */
export function withParts(page) {
  /** @type {string[]} */
  const parts = [];
  const text = readFileSync(page, 'utf8').replace(INCLUDE, (_, file, given) => {
    const part = join(dirname(page), file);
    const values = new Map([...given.matchAll(VALUE)].map(([, name, value]) => [name, value]));
    parts.push(part);
    return readFileSync(part, 'utf8').replace(PLACE, (__, name) => {
      const value = values.get(name);
      if (value === undefined) throw new Error(`${page}: ${file} needs a value for ${name}`);
      return value;
    });
  });
  return { text, parts };
}

/** Inserts the parts into every page of the build. @type {import('esbuild').Plugin} */
export const includes = {
  name: 'includes',
  setup({ onLoad }) {
    onLoad({ filter: /\.html$/ }, ({ path }) => {
      const { text, parts } = withParts(path);
      return { contents: text, loader: 'copy', watchFiles: parts };
    });
  },
};

/** `import text from 'text:PATH'`: a file of a package as text. @type {import('esbuild').Plugin} */
export const texts = {
  name: 'texts',
  setup({ onLoad, onResolve }) {
    onResolve({ filter: /^text:/ }, ({ path }) => ({ path: path.slice(5), namespace: 'text' }));
    onLoad({ filter: /.*/, namespace: 'text' }, ({ path }) => ({
      contents: readFileSync(fileURLToPath(import.meta.resolve(path)), 'utf8'),
      loader: 'text',
    }));
  },
};
