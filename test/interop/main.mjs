/**
 * `npm run interop`: checks that transformers, PEFT, TRL, gguf-py and llama.cpp read the files of webalign, and that
 * webalign reads theirs. Sets up a Python environment once, in `test/interop/.venv`; nothing else needs Python.
 *
 *   npm run interop -- [part of a check's name …] [--slow] [--llama] [--installed]
 *
 * `--slow` also runs checks that take minutes. `--llama` installs llama-cpp-python, which pip compiles from source in
 * some minutes. `--installed` installs nothing and uses what is installed. WEBALIGN_PYTHON names another
 * interpreter. A check is a file `check_<name>.py` here (see `interop.py`); without Python, it is skipped by name. The last
 * line is `N passed, N failed, N skipped`; the exit code is 1 if one failed.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from '../../esbuild.config.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));
const environment = join(here, '.venv');
/** The versions that made the fixtures; llama.cpp must be compiled, so it is a separate option. */
const PINNED = readFileSync(join(here, '../fixtures/requirements.txt'), 'utf8')
  .split('\n')
  .filter((line) => /^[a-z]/.test(line));
const LLAMA = PINNED.filter((line) => line.startsWith('llama'));
const OTHERS = PINNED.filter((line) => !LLAMA.includes(line));
/** The packages that every check may import. */
const MODULES = ['torch', 'transformers', 'peft', 'trl', 'gguf'];
const VERDICT = /^(ok|FAILED|skipped) /;

const { values: options, positionals } = parseArgs({
  options: { slow: { type: 'boolean' }, llama: { type: 'boolean' }, installed: { type: 'boolean' } },
  allowPositionals: true,
});

/** Whether `python` can import all of `modules`. @param {string} python @param {string[]} modules */
function has(python, modules) {
  const code = `import sys, importlib.util as u; sys.exit(any(u.find_spec(m) is None for m in sys.argv[1:]))`;
  return spawnSync(python, ['-c', code, ...modules], { stdio: 'ignore' }).status === 0;
}

/**
 * The interpreter to use, or why there is none.
 *
 * @returns {{ python: string } | { missing: string }}
 */
function findPython() {
  const given = process.env.WEBALIGN_PYTHON;
  if (given) {
    if (has(given, MODULES)) return { python: given };
    return { missing: `WEBALIGN_PYTHON, ${given}, cannot import all of ${MODULES.join(', ')}` };
  }
  const own = join(environment, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python');
  if (!options.installed && !(existsSync(own) && has(own, MODULES))) {
    const python = ['python3', 'python'].find((name) => has(name, ['venv']));
    if (!python) return { missing: 'no Python with venv' };
    console.log(`Setting up Python in ${environment}; this happens once`);
    const failed =
      said(python, ['-m', 'venv', environment]) ?? said(own, ['-m', 'pip', 'install', '-q', ...OTHERS]);
    if (failed) return { missing: `the Python packages could not be installed: ${failed}` };
  }
  if (options.llama && !options.installed && !has(own, ['llama_cpp'])) {
    console.log(`Compiling ${LLAMA}`);
    const failed = said(own, ['-m', 'pip', 'install', '-q', ...LLAMA]);
    if (failed) console.log(`${LLAMA} could not be installed: ${failed}`);
  }
  return has(own, MODULES) ? { python: own } : { missing: 'no Python with the packages is installed' };
}

/** The last line of a failed command's error output; undefined if it succeeded. @param {string} command @param {string[]} args */
function said(command, args) {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (status === 0) return undefined;
  return error?.message ?? stderr.trim().split('\n').at(-1) ?? `exit code ${status}`;
}

const counts = { ok: 0, FAILED: 0, skipped: 0 };

/** Prints a line and counts it if it is a verdict. @param {string} line */
function tell(line) {
  console.log(line);
  const [, verdict] = VERDICT.exec(line) ?? [];
  if (verdict) counts[/** @type {keyof typeof counts} */ (verdict)] += 1;
}

/** Runs a file of checks; a file that crashes counts as one more failure. @param {string} python @param {string} file */
async function run(python, file) {
  const child = spawn(python, [join(here, file)], {
    cwd: root,
    env: {
      ...process.env,
      PYTHONHASHSEED: '0',
      PYTHONUNBUFFERED: '1',
      HF_HUB_OFFLINE: '1',
      HF_DATASETS_OFFLINE: '1',
      HF_HUB_DISABLE_PROGRESS_BARS: '1',
      TOKENIZERS_PARALLELISM: 'false',
      TRANSFORMERS_VERBOSITY: 'error',
      INTEROP_SLOW: options.slow ? '1' : '',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const failedBefore = counts.FAILED;
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  const ended = new Promise((done) => child.once('close', done));
  for await (const line of createInterface({ input: child.stdout })) tell(line);
  const code = await ended;
  if (code === 0 || counts.FAILED > failedBefore) return;
  console.log(stderr.trimEnd());
  tell(`FAILED ${file}: ended with exit code ${code}`);
}

const files = readdirSync(here)
  .filter((file) => /^check_\w+\.py$/.test(file))
  .filter((file) => positionals.length === 0 || positionals.some((part) => file.includes(part)))
  .sort();
const found = findPython();
if ('missing' in found) for (const file of files) tell(`skipped ${file}: ${found.missing}`);
else {
  await build(['library']).catch(() => process.exit(1));
  for (const file of files) {
    const start = performance.now();
    await run(found.python, file);
    console.log(`  ${file}, ${((performance.now() - start) / 1000).toFixed(0)} s`);
  }
}
console.log(`${counts.ok} passed, ${counts.FAILED} failed, ${counts.skipped} skipped`);
process.exit(counts.FAILED > 0 ? 1 : 0);
