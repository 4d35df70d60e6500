/**
 * The empty project in which the packed package is tested: a temporary folder, and commands that run there. A command
 * prints a line with its time, and its output only if it fails.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
export const project = mkdtempSync(join(tmpdir(), 'webalign-pack-'));
process.once('exit', () => rmSync(project, { recursive: true, force: true }));

/** @typedef {{ status: number | null, stdout: string, stderr: string }} Ended */

/**
 * Runs a command in the project, or in `cwd`, and returns its stdout.
 *
 * @param {string} what
 * @param {string} command
 * @param {string[]} args
 */
export function step(what, command, args, cwd = project) {
  const start = performance.now();
  try {
    const stdout = execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    console.log(`package: ${what}, ${((performance.now() - start) / 1000).toFixed(1)} s`);
    return stdout;
  } catch (error) {
    const { stdout, stderr } = /** @type {Ended} */ (error);
    throw new Error(`package: ${what} failed\n${stdout}\n${stderr}`);
  }
}

/**
 * The end of a command in the project that must fail.
 *
 * @param {string} command
 * @param {string[]} args
 * @returns {Ended}
 */
export function failing(command, args) {
  try {
    execFileSync(command, args, { cwd: project, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    return /** @type {Ended} */ (error);
  }
  throw new Error(`package: ${command} ${args.join(' ')} ended well`);
}

const NPM = ['install', '--no-audit', '--no-fund', '--prefer-offline'];

/** @param {string} what @param {string[]} packages */
export const install = (what, packages) => step(what, 'npm', [...NPM, ...packages]);

/**
 * Installs what only one check needs. If the registry does not answer, the check is skipped by name.
 *
 * @param {string} name
 * @param {string[]} packages
 */
export function installFor(name, packages) {
  try {
    install(`installed ${packages.join(' ')}`, ['--no-save', ...packages]);
    return true;
  } catch (error) {
    const { message } = /** @type {Error} */ (error);
    if (!/ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ECONNREFUSED|ECONNRESET|E404|ENOTCACHED/.test(message)) throw error;
    console.log(`package: skipped ${name}: the registry does not answer for ${packages.join(' ')}`);
    return false;
  }
}

/** Writes files of the project. @param {Record<string, string>} files by path */
export function write(files) {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(project, path)), { recursive: true });
    writeFileSync(join(project, path), text);
  }
}

/** Bytes of all files below a folder. @param {string} folder @returns {number} */
export function bytesBelow(folder) {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  return files.reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);
}
