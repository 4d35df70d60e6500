/**
 * The project's sources as text, for the tests that read them: files, their imports, and their code without comments.
 * Reads the working tree, so tests that use it run in Node, in the project's root.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { posix, sep } from 'node:path';

/** What lies in the tree and is not ours: packages, and what hidden folders hold (the interop checks' Python). */
const OTHERS = /(^|\/)(node_modules|\.[^/]+)\//;

/** Our files below `folder` whose names end so, with forward slashes, `src/gpu/device.ts`. */
export function filesBelow(folder: string, ending: string): string[] {
  return readdirSync(folder, { recursive: true })
    .map((file) => posix.join(folder, String(file).split(sep).join('/')))
    .filter((file) => file.endsWith(ending) && !OTHERS.test(file))
    .sort();
}

export function textOf(file: string): string {
  return readFileSync(file, 'utf8');
}

/** What a TypeScript file imports, types and `import()` included: files as paths from the root, packages by name. */
export function importsOf(file: string): string[] {
  const code = textOf(file).replace(/\/\*[\s\S]*?\*\//g, '');
  const specifiers = [...code.matchAll(/(?:\bfrom|\bimport|\bimport\()\s*'([^']+)'/g)].map(
    (match) => match[1]!,
  );
  return specifiers.map((name) => (name.startsWith('.') ? posix.join(posix.dirname(file), name) : name));
}
