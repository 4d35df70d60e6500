/**
 * `npm run bench`: measures webalign, and beside it jax-js, TensorFlow.js and ONNX Runtime Web, on this machine's
 * adapter. `--help` lists the options.
 *
 * Results are stored by case in a folder, so that a bench can be run in pieces. The peers are installed on the first run,
 * into test/bench/node_modules.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, Option } from 'commander';
import { benchPeers, build } from '../../esbuild.config.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const command = new Command('npm run bench --')
  .description(
    'Measures webalign, and beside it jax-js, TensorFlow.js and ONNX Runtime Web, on the adapter of this machine.',
  )
  .argument('[name...]', 'parts of the names of cases; all of them where none is given')
  .option('--only <name...>', 'the same')
  .option('--quick', 'the shortest cases, in seconds: whether it works, not how fast it is', false)
  .addOption(new Option('--where <place>', 'where it runs').choices(['node', 'chromium']).default('node'))
  .option('--variant <names>', 'kernel variants to run wherever they serve, separated by commas')
  .option('--no-peers', 'webalign alone')
  .option(
    '--python <interpreter>',
    'in Node: PyTorch and TRL of this interpreter run the same jobs on the processor',
  )
  .option('--json', 'each result as a line of JSON', false)
  .option('--out <folder>', 'where results are kept')
  .option(
    '--page',
    'measure nothing: draw FOLDER.md, docs/speed.md as a rule, from what is kept in FOLDER',
    false,
  )
  .parse();
const { only = [], quick, where, variant, json, page, python, ...options } = command.opts();

if (python !== undefined && spawnSync(python, ['-c', 'import torch, trl, peft']).status !== 0) {
  console.error(
    `${python} does not have PyTorch, TRL and PEFT: pip install torch trl peft, or name another with --python`,
  );
  process.exit(2);
}

/** Installs the peers that are missing; without a network the bench runs without them. */
function installPeers() {
  if (existsSync(join(here, 'node_modules/onnxruntime-web'))) return true;
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

const peers =
  !page && options.peers && installPeers() ? benchPeers[/** @type {'node' | 'chromium'} */ (where)] : [];
await build(['bench', ...(peers.length > 0 ? ['peers'] : [])]).catch(() => process.exit(1));

/** @type {typeof import('./command.ts')} */
const { drawPage, runBench } = await import(
  new URL('../../dist/bench/node/command.js', import.meta.url).href
);
const out = options.out ?? (page ? 'docs/speed' : 'webalign-out/bench');
const variants = variant?.split(',') ?? [];
const code = page
  ? await drawPage(out)
  : await runBench({ only: [...only, ...command.args], quick, where, variants, peers, json, out, python });
process.exit(code);
