/**
 * The project's sources as text, for the tests that read them: files, their imports, and their code without comments. Reads
 * the working tree, so tests that use it run in Node, in the project's root.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { posix, sep } from 'node:path';

/** What is in the tree but is not ours: packages, and what hidden folders contain (the Python of the interop checks). */
const OTHERS = /(^|\/)(node_modules|\.[^/]+)\//;

/** Our files below `folder` whose names end with `ending`, with forward slashes, `src/gpu/device.ts`. */
export function filesBelow(folder: string, ending: string): string[] {
  return readdirSync(folder, { recursive: true })
    .map((file) => posix.join(folder, String(file).split(sep).join('/')))
    .filter((file) => file.endsWith(ending) && !OTHERS.test(file))
    .sort();
}

export function textOf(file: string): string {
  return readFileSync(file, 'utf8');
}

/** The subpaths that `package.json` exports: `.`, `./models`, …. */
export function subpaths(): string[] {
  const { exports } = JSON.parse(textOf('package.json')) as { exports: Record<string, unknown> };
  // An entry that is a path rather than an object is a file such as package.json.
  return Object.keys(exports).filter((path) => typeof exports[path] === 'object');
}

/** Their files in `src/`: `index.ts`, `models.ts`, …. */
export function entryFiles(): string[] {
  return subpaths().map((path) => `${path === '.' ? 'index' : path.slice(2)}.ts`);
}

const STATEMENT = /^(?:import\s+|(?:import|export|\})[^'\n]*\bfrom\s+)'([^']+)'|\bimport\(\s*'([^']+)'/gm;

/** What a file imports as it is written, types and `import()` included. */
export function specifiersOf(file: string): string[] {
  const code = textOf(file).replace(/\/\*[\s\S]*?\*\//g, '');
  return [...code.matchAll(STATEMENT)].map(([, named, dynamic]) => named ?? dynamic);
}

/** What a file imports: files as paths from the root, `webalign/models` as `src/models.ts`, other packages by name. */
export function importsOf(file: string): string[] {
  return specifiersOf(file).map((name) => {
    if (name.startsWith('.')) return posix.join(posix.dirname(file), name);
    return name.replace(/^webalign$/, 'src/index.ts').replace(/^webalign\/([^.]+)$/, 'src/$1.ts');
  });
}
