/**
 * `#include "lib/reduce.wgsl"`: the whole preprocessor of the project, and the esbuild plugin that runs it. Paths are
 * relative to `shaders/`, a file is expanded at its first include and never again, and every line keeps its origin so
 * that a compile error names the file that was written. No conditions, no macros: a shader file stays valid to read.
 */
import { readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';

/** @typedef {{ file: string, line: number }} ShaderLine */

/** An include that cannot be followed: says where it stands, in which line, and why. */
export class IncludeError extends Error {
  /**
   * @param {string} message
   * @param {ShaderLine} at
   * @param {string} lineText
   */
  constructor(message, at, lineText) {
    super(`${at.file}:${at.line}: ${message}`);
    this.name = 'IncludeError';
    this.reason = message;
    this.at = at;
    this.lineText = lineText;
  }
}

/**
 * Expands the includes of one shader.
 *
 * @param {string} path below `shaders/`, with forward slashes
 * @param {(path: string) => string} read text of a file below `shaders/`; throws when there is none
 * @returns {{ path: string, code: string, lines: ShaderLine[], files: string[] }} `files` in order of expansion
 */
export function expand(path, read) {
  /** @type {string[]} */
  const code = [];
  /** @type {ShaderLine[]} */
  const lines = [];
  /** @type {Set<string>} */
  const files = new Set();

  /** @param {string} file @param {string[]} above @param {string} text */
  function append(file, above, text) {
    files.add(file);
    const open = [...above, file];
    for (const [index, lineText] of text.replace(/\n$/, '').split(/\r?\n/).entries()) {
      const at = { file, line: index + 1 };
      if (!/^\s*#/.test(lineText)) {
        code.push(lineText);
        lines.push(at);
        continue;
      }
      const target = /^\s*#include\s+"([^"\\]+\.wgsl)"\s*(?:\/\/.*)?$/.exec(lineText)?.[1];
      if (!target || target.split('/').some((part) => part === '' || part === '.' || part === '..')) {
        const form = '#include "folder/name.wgsl", relative to shaders/';
        throw new IncludeError(`malformed directive; the only one is ${form}`, at, lineText);
      }
      if (open.includes(target)) {
        throw new IncludeError(`include cycle: ${[...open, target].join(' -> ')}`, at, lineText);
      }
      if (files.has(target)) continue;
      let included;
      try {
        included = read(target);
      } catch {
        throw new IncludeError(`included file shaders/${target} does not exist`, at, lineText);
      }
      append(target, open, included);
    }
  }

  append(path, [], read(path));
  return { path, code: `${code.join('\n')}\n`, lines, files: [...files] };
}

/**
 * The module a `.wgsl` file becomes: a `Shader` (src/gpu/shader.ts). Origins travel as runs of lines.
 *
 * @param {{ path: string, code: string, lines: ShaderLine[] }} shader
 */
export function moduleText({ path, code, lines }) {
  /** @type {[string, number, number][]} */
  const runs = [];
  for (const { file, line } of lines) {
    const run = runs.at(-1);
    if (run && run[0] === file && run[1] + run[2] === line) run[2]++;
    else runs.push([file, line, 1]);
  }
  return `const lines = ${JSON.stringify(runs)}.flatMap(([file, first, count]) =>
  Array.from({ length: count }, (_, i) => ({ file, line: first + i })));
export default { path: ${JSON.stringify(path)}, code: ${JSON.stringify(code)}, lines };
`;
}

/**
 * The esbuild plugin.
 *
 * @param {string} root the `shaders/` folder
 * @returns {import('esbuild').Plugin}
 */
export function wgsl(root) {
  return {
    name: 'wgsl',
    setup(build) {
      build.onLoad({ filter: /\.wgsl$/ }, ({ path }) => {
        /** @param {string} file */
        const absolute = (file) => join(root, ...file.split('/'));
        try {
          const shader = expand(relative(root, path).split(sep).join('/'), (file) =>
            readFileSync(absolute(file), 'utf8'),
          );
          return { contents: moduleText(shader), loader: 'js', watchFiles: shader.files.map(absolute) };
        } catch (error) {
          if (!(error instanceof IncludeError)) throw error;
          const location = { file: absolute(error.at.file), line: error.at.line, lineText: error.lineText };
          return { errors: [{ text: error.reason, location }], watchFiles: [path, absolute(error.at.file)] };
        }
      });
    },
  };
}
