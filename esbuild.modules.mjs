/**
 * The library as modules: each source file becomes one file of `dist/`, and imports stay imports. Bundlers drop whole files that a
 * page does not use (`sideEffects: false`), which they cannot do with the parts of a file that a bundler has made of several.
 */
import { dirname, isAbsolute, relative, resolve, sep } from 'node:path';
import * as esbuild from 'esbuild';
import { LINK } from './shaders/include.mjs';

/** The entry that `LINK` is among the inputs of a build. */
const LINK_INPUT = `wgsl:${LINK}`;

/** Where a source file lies below `dist/`, without `.js`. @param {string} file relative to the root, with forward slashes */
function placeOf(file) {
  if (file === LINK_INPUT) return 'shaders/link';
  return file.replace(/^src\//, '').replace(/\.ts$/, '');
}

/** Leaves imports of the project's own files as they are, under the names of the files that these become. @param {string} root */
function ownImports(root) {
  /** @param {string} path absolute */
  const placed = (path) => placeOf(relative(root, path).split(sep).join('/'));
  /** @type {esbuild.Plugin} */
  const plugin = {
    name: 'own imports',
    setup(build) {
      build.onResolve({ filter: /./ }, ({ path, importer, kind, resolveDir }) => {
        const isOwn = path === LINK || path.startsWith('.') || isAbsolute(path);
        if (kind === 'entry-point' || !isOwn) return undefined;
        const from = dirname(placed(importer));
        const to = path === LINK ? placeOf(LINK_INPUT) : placed(resolve(resolveDir, path));
        const steps = relative(from, to).split(sep).join('/');
        return {
          path: `${steps.startsWith('.') ? '' : './'}${steps}.js`,
          external: true,
          sideEffects: false,
        };
      });
    },
  };
  return plugin;
}

/**
 * The options of a build of all modules that the entries of `options` reach.
 *
 * @param {esbuild.BuildOptions & { absWorkingDir: string }} options
 * @returns {Promise<esbuild.BuildOptions>}
 */
export async function asModules(options) {
  const { metafile } = await esbuild.build({ ...options, write: false, metafile: true });
  const entryPoints = Object.keys(metafile.inputs).map((file) => ({
    in: file === LINK_INPUT ? LINK : `./${file}`,
    out: placeOf(file),
  }));
  const plugins = [ownImports(options.absWorkingDir), ...(options.plugins ?? [])];
  return { ...options, entryPoints, splitting: false, plugins };
}
