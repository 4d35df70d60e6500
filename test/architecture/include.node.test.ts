/**
 * `#include` in WGSL: what it expands to, which file and line each line comes from, and every error with its place.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { expand, IncludeError, stripped } from '../../shaders/include.mjs';

/** Expands `main.wgsl` of a few files given as text. */
function expandMain(files: Record<string, string>) {
  return expand('main.wgsl', (path) => {
    const text = files[path];
    if (text === undefined) throw new Error('no such file');
    return text;
  });
}

/** What {@link expandMain} throws. */
function errorOf(files: Record<string, string>): IncludeError {
  try {
    expandMain(files);
  } catch (error) {
    if (error instanceof IncludeError) return error;
    throw error;
  }
  throw new Error('expanded without an error');
}

describe('#include', () => {
  const nested = {
    'main.wgsl': '// main\n#include "lib/a.wgsl"\n#include "lib/b.wgsl" // used below\nfn main() {}\n',
    'lib/a.wgsl': '#include "lib/b.wgsl"\nfn a() {}\n',
    'lib/b.wgsl': 'fn b() {}\n',
  };

  it('expands each file once, at its first include', () => {
    const { code, files } = expandMain(nested);
    expect(code).to.equal('// main\nfn b() {}\nfn a() {}\nfn main() {}\n');
    expect(files).to.deep.equal(['main.wgsl', 'lib/a.wgsl', 'lib/b.wgsl']);
  });

  it('keeps the origin of every line', () => {
    const { code, lines } = expandMain(nested);
    expect(lines.map(({ file, line }) => `${file}:${line}`)).to.deep.equal([
      'main.wgsl:1',
      'lib/b.wgsl:1',
      'lib/a.wgsl:2',
      'main.wgsl:4',
    ]);
    expect(code.split('\n').length - 1).to.equal(lines.length);
  });

  it('names the line of a file that is missing', () => {
    const error = errorOf({
      'main.wgsl': '#include "lib/a.wgsl"\n',
      'lib/a.wgsl': '\n  #include "lib/x.wgsl"\n',
    });
    expect(error.message).to.equal('lib/a.wgsl:2: included file shaders/lib/x.wgsl does not exist');
  });

  it('names the line that closes a cycle', () => {
    const error = errorOf({
      'main.wgsl': '#include "lib/a.wgsl"\n',
      'lib/a.wgsl': '#include "lib/b.wgsl"\n',
      'lib/b.wgsl': '// b\n#include "lib/a.wgsl"\n',
    });
    expect(error.message).to.equal(
      'lib/b.wgsl:2: include cycle: main.wgsl -> lib/a.wgsl -> lib/b.wgsl -> lib/a.wgsl',
    );
  });

  for (const line of [
    '#include lib/a.wgsl',
    "#include 'lib/a.wgsl'",
    '#include "lib/a.wgsl',
    '#include "lib/a.txt"',
    '#include "../lib/a.wgsl"',
    '#include "/lib/a.wgsl"',
    '#include "lib//a.wgsl"',
    '#include "lib/a.wgsl" fn',
    '#if F16',
    '#define X 1',
  ]) {
    it(`refuses ${line}`, () => {
      const error = errorOf({ 'main.wgsl': `fn f() {}\n${line}\n`, 'lib/a.wgsl': '' });
      expect(error.message).to.match(/^main\.wgsl:2: malformed directive; the only one is #include "/);
      expect(error.lineText).to.equal(line);
    });
  }

  it('strips comments and removable spaces, and keeps lines and words', () => {
    expect(stripped('// a\n  fn f() { // b\n\n    x / y;\n  }')).equal('\nfn f(){\n\nx/y;\n}');
    expect(stripped('let x: vec2<u32> = a - -b; return x;')).equal('let x:vec2<u32> =a- -b;return x;');
    const files = readdirSync('shaders', { recursive: true, encoding: 'utf8' });
    for (const file of files.filter((name) => name.endsWith('.wgsl'))) {
      const text = readFileSync(`shaders/${file}`, 'utf8');
      expect(text, `${file}: only comments of a line are stripped`).not.include('/*');
      expect(stripped(text).split('\n').length, file).equal(text.split('\n').length);
      // Every sign and word alone, and which signs can be next to each other: `a - -b` is not `a--b`.
      const words = (code: string) => code.replace(/\/\/[^\n]*/g, '').match(/\w+|[-+*/%=<>!&|^]+|[^\s\w]/g);
      expect(words(stripped(text)), file).deep.equal(words(text));
    }
  });
});
