/**
 * The same name in every tree, and what no file may contain: `shaders/layers/rms-norm.wgsl` is run by `src/ops/rms-norm.ts`
 * and tested by `test/ops/rms-norm.test.ts`; files begin by saying what they are.
 */
import { existsSync } from 'node:fs';
import { expect } from 'chai';
import { filesBelow, importsOf, textOf } from './sources.ts';

const shaders = filesBelow('shaders', '.wgsl');
const sources = ['src', 'demos', 'test'].flatMap((folder) => filesBelow(folder, '.ts'));
const scripts = [
  ...['shaders', 'test'].flatMap((folder) => filesBelow(folder, '.mjs')),
  'esbuild.config.mjs',
];

/** Where kernels are run: those of `shaders/theory` by the folder of that name, all others by an op. */
const roomOf = (shader: string) => (shader.startsWith('shaders/theory/') ? 'theory' : 'ops');

/** What runs a kernel: the op of its name, or of the beginning of its name if the file is a variant (`matmul-any`, `matmul`). */
function runnerOf(shader: string): string | undefined {
  const parts = shader.replace(/^.*\/|\.wgsl$/g, '').split('-');
  const names = parts.map((_, i) => `${roomOf(shader)}/${parts.slice(0, parts.length - i).join('-')}`);
  return names.find((name) => existsSync(`src/${name}.ts`));
}

describe('names', () => {
  it('lead from a kernel to the code that runs it and its test', () => {
    const lost = shaders
      .filter((shader) => !/^shaders\/(lib|losses|divergences|formats|epilogues|device)\//.test(shader))
      .filter((shader) => {
        const runner = runnerOf(shader);
        return (
          !runner || !importsOf(`src/${runner}.ts`).includes(shader) || !existsSync(`test/${runner}.test.ts`)
        );
      });
    expect(lost).to.deep.equal([]);
  });

  it('list each formula in the catalogue', () => {
    const formulas = shaders.filter((shader) => shader.startsWith('shaders/losses/'));
    const rows = importsOf('src/losses/catalogue.ts').flatMap(importsOf);
    expect(rows).to.include.members(formulas);
    const divergences = shaders.filter((shader) => shader.startsWith('shaders/divergences/'));
    expect(importsOf('src/losses/divergences.ts')).to.include.members(divergences);
  });

  it('list each format in its table', () => {
    const formats = shaders.filter((shader) => shader.startsWith('shaders/formats/'));
    expect(importsOf('src/tensor/formats.ts')).to.include.members(formats);
  });

  it('lead from an epilogue to the kernels that use it', () => {
    const epilogues = shaders.filter((shader) => shader.startsWith('shaders/epilogues/'));
    const enders = ['src/ops/matmul.ts', 'src/ops/row-product.ts'];
    expect(enders.flatMap(importsOf)).to.include.members(epilogues);
  });

  it('lead from a device probe to the code that runs it', () => {
    const trials = shaders.filter((shader) => shader.startsWith('shaders/device/'));
    const names = trials.map((shader) => shader.replace(/^.*\/|\.wgsl$/g, ''));
    expect(names.flatMap((name) => importsOf(`src/gpu/${name}.ts`))).to.include.members(trials);
  });

  it('leave no library shader unused', () => {
    const texts = shaders.map(textOf);
    const imported = sources.flatMap(importsOf);
    const unused = shaders
      .filter((shader) => shader.startsWith('shaders/lib/'))
      .filter((shader) => {
        const include = `#include "${shader.slice('shaders/'.length)}"`;
        return !imported.includes(shader) && !texts.some((text) => text.includes(include));
      });
    expect(unused).to.deep.equal([]);
  });
});

describe('files', () => {
  it('start with a description', () => {
    // A test file says it in its first `describe`.
    const told = [...sources, ...scripts].filter((file) => !file.endsWith('.test.ts'));
    const silent = told.filter((file) => !/^(#!.*\n)?(\/\/\/ .*\n)*\/\*\*/.test(textOf(file)));
    const silentShaders = shaders.filter((file) => !textOf(file).startsWith('//'));
    expect([...silent, ...silentShaders]).to.deep.equal([]);
  });

  it('contain no marks of unfinished or skipped code', () => {
    // Split, so that this file does not contain them.
    const marks = [
      'TO' + 'DO',
      'FIX' + 'ME',
      '@ts-' + 'ignore',
      '@ts-' + 'nocheck',
      '\\bas' + ' any\\b',
      ': ' + 'any\\b',
      '\\.on' + 'ly\\(',
    ];
    const pattern = new RegExp(marks.join('|'));
    const found = [...sources, ...scripts, ...shaders].flatMap((file) =>
      textOf(file)
        .split('\n')
        .map((line, i) => (pattern.test(line) ? `${file}:${i + 1}: ${line.trim()}` : ''))
        .filter(Boolean),
    );
    expect(found).to.deep.equal([]);
  });

  it('print nothing from the library, except warnings of the test kit', () => {
    const printing = filesBelow('src', '.ts')
      .filter((file) => !/^src\/(cli\/|testing\/(playwright|vitest)\.ts|main\.ts)/.test(file))
      .filter((file) => /\bconsole\.|process\.std/.test(textOf(file).replace(/\/\*[\s\S]*?\*\//g, '')));
    expect(printing).to.deep.equal([]);
  });

  it('are short', () => {
    // A test is a list of cases, so its file may be a little longer.
    const most = (file: string) => (file.startsWith('test/') ? 350 : 320);
    const long = [...sources, ...shaders].filter((file) => textOf(file).split('\n').length > most(file));
    expect(long).to.deep.equal([]);
  });
});
