/**
 * `npm test`: builds everything, then runs the one suite under Dawn in Node and in headless Chromium, and a slice of it in the other
 * worlds that are installed. `--help` lists the options. The last line is `N passed, N failed, N skipped` over all; the exit code
 * is 1 when a test failed or none ran.
 */
import { Command, Option } from 'commander';
import { build, nodeOnly, testFiles } from '../../esbuild.config.mjs';
import { WORLD_NAMES } from './worlds/names.mjs';

const command = new Command('npm test --')
  .description('Runs the tests in Node and in headless Chromium, or in another world.')
  .argument('[file...]', 'parts of the names of test files; all of them where none is given')
  .addOption(new Option('--only <world>', 'all of them in one world').choices(WORLD_NAMES))
  .option('--grep <text>', 'the tests whose names contain this')
  .option('--variant <names>', 'kernel variants to use where they are supported, separated by commas')
  .addOption(new Option('--limits <name>', 'limits of the devices').choices(['default']))
  .option('--features <names>', 'the only features that devices may have, separated by commas; none for none')
  .parse();
const { only, grep, variant, limits, features } = command.opts();
const files = testFiles.filter(
  (file) => command.args.length === 0 || command.args.some((part) => `test/${file}`.includes(part)),
);
await build(undefined, files).catch(() => process.exit(1));

/** @type {typeof import('./suite.ts')} */
const { runSuite } = await import(new URL('../../dist/test/node/run/suite.js', import.meta.url).href);
process.exit(
  await runSuite({
    files,
    needsNode: (file) => nodeOnly.test(file),
    only,
    isWhole: command.args.length === 0,
    grep,
    variants: variant?.split(','),
    capabilities: {
      limits,
      features: features?.split(',').filter((/** @type {string} */ name) => name !== 'none'),
    },
  }),
);
