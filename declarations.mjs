/**
 * Finishes the type declarations that TypeScript has written into `dist/types`, so that they compile from 5.4 on, with the DOM, in a
 * worker and without either:
 *
 * - TypeScript 6 and later bring the types of WebGPU in `lib.dom`. Empty interfaces of the same names merge with those, and stand
 *   for them where there is no `lib.dom`.
 * - TypeScript 5 gets them from `@webgpu/types`, which later versions must not see, since the two clash. So each entry has a second
 *   declaration in `dist/types/typescript-5`, and `exports` has a condition for each (`types@>=6`, `types`).
 * - A parameter that is taken apart is written whole, and so is a part of an interface, because an empty one has no members.
 * - Arrays are generic from 5.7 on only: `Uint8Array<ArrayBuffer>` is written as what `Uint8Array.of` returns.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(fileURLToPath(import.meta.url));
const types = join(root, 'dist/types');
const GLOBALS = 'globals.d.ts';

/** Names of `lib.dom` that are no interfaces, so that nothing merges with them. @type {Record<string, string>} */
const WRITTEN_OUT = {
  GPUFeatureName: 'string',
  GPUPowerPreference: "'low-power' | 'high-performance'",
};

/** Code without comments. @param {string} text */
const codeOf = (text) => text.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');

/** A declaration file as every version understands it. @param {string} text */
export function finished(text) {
  const plain = text
    .replace(/(from |import\()(['"])(\.{1,2}\/[^'"]+)\.ts\2/g, '$1$2$3.js$2')
    .replace(/\b(\w+Array)<ArrayBuffer>/g, "ReturnType<$1Constructor['of']>")
    .replace(/\b(\w+Array)<ArrayBufferLike>/g, '$1')
    .replace(/\bPick<(GPU\w+), [^>]+>/g, '$1')
    .replace(/\{[^{}();]*\}: (GPU\w+|Response)\b/g, 'whole: $1');
  return Object.entries(WRITTEN_OUT).reduce(
    (result, [name, written]) => result.replace(new RegExp(`\\b${name}\\b`, 'g'), `(${written})`),
    plain,
  );
}

/** The interfaces of `lib.dom` with their type parameters. @returns {Map<string, string>} */
function domInterfaces() {
  const require = createRequire(import.meta.url);
  const compiler = createRequire(require.resolve('typescript/package.json'));
  const folder = dirname(
    compiler.resolve(`@typescript/typescript-${process.platform}-${process.arch}/package.json`),
  );
  const read = (/** @type {string} */ lib) => readFileSync(join(folder, 'lib', `lib.${lib}.d.ts`), 'utf8');
  const declared = /^interface (\w+)(<[^{]*>)?(?= |\{)/gm;
  const standard = readdirSync(join(folder, 'lib')).filter((name) =>
    /^lib\.es\w+(\.\w+)*\.d\.ts$/.test(name),
  );
  const known = new Set(
    standard.flatMap((name) => [...read(name.slice(4, -5)).matchAll(declared)].map(([, name]) => name)),
  );
  const all = [...read('dom').matchAll(declared)].map(([, name = '', parameters = '']) => [name, parameters]);
  return new Map(/** @type {[string, string][]} */ (all.filter(([name]) => !known.has(name))));
}

/** Those of the names that a declaration file takes from its surroundings. @param {string} text @param {Map<string, string>} names */
function usedIn(text, names) {
  const code = codeOf(text);
  const words = new Set(code.match(/(?<![.\w])[A-Z]\w*/g));
  return [...words].filter(
    (word) =>
      names.has(word) &&
      !new RegExp(`\\b(interface|class|type) ${word}\\b|[{,]\\s*(type )?${word}\\b[^;{}]*\\} from`).test(
        code,
      ),
  );
}

/** Finishes the declarations of `entries`, names in `dist/types` without their ending. @param {string[]} entries */
function finish(entries) {
  const dom = domInterfaces();
  const used = new Set();
  for (const file of readdirSync(types, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.d.ts')) continue;
    const path = join(types, file);
    const text = finished(readFileSync(path, 'utf8'));
    writeFileSync(path, text);
    for (const name of usedIn(text, dom)) used.add(name);
  }
  const merged = [...used].sort().map((name) => `interface ${name}${dom.get(name)} {}`);
  writeFileSync(join(types, GLOBALS), `${merged.join('\n')}\n`);
  for (const entry of entries) {
    const path = join(types, `${entry}.d.ts`);
    const older = join(types, 'typescript-5', `${entry}.d.ts`);
    const up = '../'.repeat(entry.split('/').length - 1);
    writeFileSync(path, `/// <reference path="./${up}${GLOBALS}" />\n${readFileSync(path, 'utf8')}`);
    mkdirSync(dirname(older), { recursive: true });
    writeFileSync(older, `/// <reference types="@webgpu/types" />\nexport * from '../${up}${entry}.js';\n`);
  }
}

const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
finish(
  Object.values(exports).flatMap(
    ({ types: file }) => /^\.\/dist\/types\/typescript-5\/(.+)\.d\.ts$/.exec(file ?? '')?.[1] ?? [],
  ),
);
