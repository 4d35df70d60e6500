/**
 * `#include "lib/reduce.wgsl"`: the project's only preprocessor directive, and the esbuild plugin that expands it. Paths
 * are relative to `shaders/`, a file is expanded at its first include only, and every line keeps its origin so that a
 * compile error names the source file. No conditions and no macros, so a shader file remains valid WGSL.
 *
 * A bundle contains each file once, however many shaders include it: files are concatenated when a shader is first used.
 */
import { readFileSync } from 'node:fs';
import { relative, resolve, sep } from 'node:path';

/** @typedef {{ file: string, line: number }} ShaderLine */

/**
 * One file of WGSL with its includes: runs of its own lines, interleaved with other files.
 *
 * @typedef {{ path: string, pieces: Pieces, code: string, lines: ShaderLine[] }} Linked
 * @typedef {readonly (string | Linked)[]} Pieces
 */

/** An include that cannot be resolved: says where it is, in which line, and why. */
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

/** Number of lines in a file; a final line feed does not start another line. @param {string} text */
const linesOf = (text) => text.replace(/\n$/, '').split(/\r?\n/);

/**
 * The file that an `#include` names; `undefined` for any other line.
 *
 * @param {string} lineText
 * @param {ShaderLine} at
 */
function includeIn(lineText, at) {
  if (!/^\s*#/.test(lineText)) return undefined;
  const target = /^\s*#include\s+"([^"\\]+\.wgsl)"\s*(?:\/\/.*)?$/.exec(lineText)?.[1];
  if (target && !target.split('/').some((part) => part === '' || part === '.' || part === '..'))
    return target;
  const form = '#include "folder/name.wgsl", relative to shaders/';
  throw new IncludeError(`malformed directive; the only one is ${form}`, at, lineText);
}

/**
 * Splits a file: unchanged runs of its own lines, and for each include the result of `included`.
 *
 * @template Part
 * @param {string} file
 * @param {string} text
 * @param {(target: string, at: ShaderLine, lineText: string) => Part} included
 * @returns {(string | Part)[]}
 */
function piecesOf(file, text, included) {
  /** @type {(string | Part)[]} */
  const pieces = [];
  /** @type {string[]} */
  let run = [];
  const endRun = () => {
    if (run.length > 0) pieces.push(run.join('\n'));
    run = [];
  };
  for (const [index, lineText] of linesOf(text).entries()) {
    const at = { file, line: index + 1 };
    const target = includeIn(lineText, at);
    if (target === undefined) {
      run.push(lineText);
      continue;
    }
    endRun();
    pieces.push(included(target, at, lineText));
  }
  endRun();
  return pieces;
}

/**
 * Concatenates a file with its includes, each once, when its code is first read. It also runs in bundles, which contain it
 * as text: it may only use its arguments.
 *
 * @param {string} path
 * @param {Pieces} pieces
 * @returns {Linked}
 */
export function link(path, pieces) {
  /** @type {{ code: string, lines: ShaderLine[] } | undefined} */
  let whole;
  /** @type {Linked} */
  const shader = {
    path,
    pieces,
    get code() {
      whole ??= expanded();
      return whole.code;
    },
    get lines() {
      whole ??= expanded();
      return whole.lines;
    },
  };
  function expanded() {
    /** @type {string[]} */
    const code = [];
    /** @type {ShaderLine[]} */
    const lines = [];
    const known = new Set();
    /** @param {Linked} part */
    const append = (part) => {
      known.add(part);
      let line = 0;
      for (const piece of part.pieces) {
        if (typeof piece !== 'string') {
          line++;
          if (!known.has(piece)) append(piece);
          continue;
        }
        for (const text of piece.split('\n')) {
          code.push(text);
          lines.push({ file: part.path, line: ++line });
        }
      }
    };
    append(shader);
    return { code: `${code.join('\n')}\n`, lines };
  }
  return shader;
}

/**
 * Expands the includes of one shader.
 *
 * @param {string} path below `shaders/`, with forward slashes
 * @param {(path: string) => string} read text of a file below `shaders/`; throws if it does not exist
 * @returns {{ path: string, code: string, lines: ShaderLine[], files: string[] }} `files` in order of expansion
 */
export function expand(path, read) {
  /** @type {Set<string>} */
  const files = new Set();
  /** @type {Map<string, Linked>} */
  const known = new Map();

  /** @param {string} file @param {string[]} above @param {string} text @returns {Linked} */
  function part(file, above, text) {
    files.add(file);
    const open = [...above, file];
    const pieces = piecesOf(file, text, (target, at, lineText) => {
      if (open.includes(target)) {
        throw new IncludeError(`include cycle: ${[...open, target].join(' -> ')}`, at, lineText);
      }
      const made = known.get(target);
      if (made) return made;
      let included;
      try {
        included = read(target);
      } catch {
        throw new IncludeError(`included file shaders/${target} does not exist`, at, lineText);
      }
      return part(target, open, included);
    });
    const linked = link(file, pieces);
    known.set(file, linked);
    return linked;
  }

  const { code, lines } = part(path, [], read(path));
  return { path, code, lines, files: [...files] };
}

/** A removable space: beside punctuation, but not between two signs that could merge, such as `- -`. */
const IDLE_SPACE = /(?<=[^\w\s]) +(?=\w)|(?<=\w) +(?=[^\w\s])|(?<=[(){}[\],;:]) +| +(?=[(){}[\],;:])/g;

/**
 * Removes comments, indentation and removable spaces from WGSL. Line breaks stay, so that errors name the right line.
 * @param {string} text
 */
export function stripped(text) {
  return text
    .split('\n')
    .map((line) =>
      line
        .replace(/\/\/.*$/, '')
        .trim()
        .replace(IDLE_SPACE, ''),
    )
    .join('\n');
}

/** The module from which WGSL modules import {@link link}. */
export const LINK = 'wgsl:link';

/**
 * The module generated for a `.wgsl` file: a `Shader` (src/gpu/shader.ts) that imports its includes.
 *
 * @param {string} path
 * @param {string} text
 * @param {(target: string) => string} specifier the import specifier of an included file's module
 * @param {boolean} strip whether to remove comments and indentation
 */
export function moduleText(path, text, specifier, strip = false) {
  /** @type {string[]} */
  const imports = [`import { link } from ${JSON.stringify(LINK)};`];
  const pieces = piecesOf(path, text, (target) => {
    const name = `part${imports.length}`;
    imports.push(`import ${name} from ${JSON.stringify(specifier(target))};`);
    return { name };
  }).map((piece) =>
    typeof piece === 'string' ? JSON.stringify(strip ? stripped(piece) : piece) : piece.name,
  );
  return `${imports.join('\n')}
export default /* @__PURE__ */ link(${JSON.stringify(path)}, [${pieces.join(', ')}]);
`;
}

/**
 * The esbuild plugin. WGSL is always stripped in a minified bundle; `strip` also strips it in any other.
 *
 * @param {string} root the `shaders/` folder
 * @param {{ strip?: boolean }} options
 * @returns {import('esbuild').Plugin}
 */
export function wgsl(root, { strip } = {}) {
  return {
    name: 'wgsl',
    setup(build) {
      const isStripped = strip ?? build.initialOptions.minify === true;
      /** An error in a file occurs in every file that includes it. @type {Set<string>} */
      const told = new Set();
      build.onStart(() => told.clear());
      build.onResolve({ filter: new RegExp(`^${LINK}$`) }, ({ path }) => ({
        path,
        namespace: 'wgsl',
        sideEffects: false,
      }));
      build.onLoad({ filter: /./, namespace: 'wgsl' }, () => ({ contents: `export ${link}`, loader: 'js' }));
      build.onLoad({ filter: /\.wgsl$/ }, ({ path }) => {
        /** @param {string} file */
        const absolute = (file) => resolve(root, ...file.split('/'));
        const name = relative(root, path).split(sep).join('/');
        try {
          const { files } = expand(name, (file) => readFileSync(absolute(file), 'utf8'));
          const contents = moduleText(name, readFileSync(path, 'utf8'), absolute, isStripped);
          return { contents, loader: 'js', watchFiles: files.map(absolute) };
        } catch (error) {
          if (!(error instanceof IncludeError)) throw error;
          const location = { file: absolute(error.at.file), line: error.at.line, lineText: error.lineText };
          const errors = told.has(error.message) ? [] : [{ text: error.reason, location }];
          told.add(error.message);
          return { errors, contents: '', watchFiles: [path, absolute(error.at.file)] };
        }
      });
    },
  };
}
