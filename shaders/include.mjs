/**
 * `#include "lib/reduce.wgsl"`: the whole preprocessor of the project, and the esbuild plugin that runs it. Paths are
 * relative to `shaders/`, a file is expanded at its first include and never again, and every line keeps its origin so
 * that a compile error names the file that was written. No conditions, no macros: a shader file stays valid to read.
 *
 * A bundle holds each file once, however many shaders include it: files are put together when a shader is first used.
 */
import { readFileSync } from 'node:fs';
import { relative, resolve, sep } from 'node:path';

/** @typedef {{ file: string, line: number }} ShaderLine */

/**
 * One file of WGSL with what it includes: runs of its own lines, in their order with other files.
 *
 * @typedef {{ path: string, pieces: Pieces, code: string, lines: ShaderLine[] }} Linked
 * @typedef {readonly (string | Linked)[]} Pieces
 */

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

/** How many of these lines a file has: whatever ends with a line feed has no line after it. @param {string} text */
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
 * Takes a file apart: runs of its own lines as they are, and for each include what `included` makes of it.
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
 * Puts a file together with those that it includes, each once, when its code is first asked for. It runs in bundles too, which
 * get it as text: it uses nothing but its arguments.
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
 * @param {(path: string) => string} read text of a file below `shaders/`; throws when there is none
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

/** A space that joins nothing: beside a sign that is not a word, and not between two that could become one, such as `- -`. */
const IDLE_SPACE = /(?<=[^\w\s]) +(?=\w)|(?<=\w) +(?=[^\w\s])|(?<=[(){}[\],;:]) +| +(?=[(){}[\],;:])/g;

/** WGSL without comments, indentation and idle spaces. A line stays a line, so that errors name the right one. @param {string} text */
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

/** What modules of WGSL import {@link link} by. */
export const LINK = 'wgsl:link';

/**
 * The module that a `.wgsl` file becomes: a `Shader` (src/gpu/shader.ts) that imports what it includes.
 *
 * @param {string} path
 * @param {string} text
 * @param {(target: string) => string} specifier what the module of an included file is imported by
 * @param {boolean} strip whether comments and indentation go
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
 * The esbuild plugin. A minified bundle has stripped WGSL; `strip` says so for any other.
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
      /** An error in a file is met in all that include it. @type {Set<string>} */
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
