/**
 * `npm run bench`: measures webalign, and beside it jax-js and TensorFlow.js, on this machine's adapter.
 *
 *   npm run bench -- [--only NAME …] [--quick] [--where node|chromium] [--no-peers] [--json] [--out FOLDER]
 *   npm run bench -- --page
 *
 * Results are kept by case in FOLDER, so that a bench may be made in pieces. `--page` measures nothing: it draws FOLDER.md, for
 * which FOLDER is docs/speed, from what is kept there. The peers are installed on the first run, into test/bench/node_modules.
 */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { benchPeers, build } from '../../esbuild.config.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const { values, positionals } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    quick: { type: 'boolean', default: false },
    where: { type: 'string', default: 'node' },
    'no-peers': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    page: { type: 'boolean', default: false },
    out: { type: 'string' },
  },
  allowPositionals: true,
});
const where = values.where === 'chromium' ? 'chromium' : 'node';

/** Installs the peers where they are not yet; without a network the bench goes on without them. */
function installPeers() {
  if (existsSync(join(here, 'node_modules/@jax-js/jax'))) return true;
  console.log('Installing the peers into test/bench/node_modules …');
  try {
    execFileSync('npm', ['ci', '--no-audit', '--no-fund', '--prefix', here], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    return true;
  } catch (error) {
    console.log(
      `The peers cannot be installed, so webalign is measured alone: ${String(error).split('\n')[0]}`,
    );
    return false;
  }
}

const peers = !values.page && !values['no-peers'] && installPeers() ? benchPeers : [];
await build(['bench', ...(peers.length > 0 ? ['peers'] : [])]).catch(() => process.exit(1));

/** @type {typeof import('./command.ts')} */
const { drawPage, runBench } = await import(
  new URL('../../dist/bench/node/command.js', import.meta.url).href
);
const { only = [], quick, json, page } = values;
const out = values.out ?? (page ? 'docs/speed' : 'webalign-out/bench');
const code = page
  ? await drawPage(out)
  : await runBench({ only: [...only, ...positionals], quick, where, peers, json, out });
process.exit(code);
