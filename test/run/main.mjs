/**
 * `npm test`: builds everything, then runs the one suite under Dawn in Node and in headless Chromium. `--help` lists the
 * options. The last line is `N passed, N failed, N skipped` over both; the exit code is 1 if a test failed or none ran.
 */
import { Command, Option } from 'commander';
import { build, nodeOnly, testFiles } from '../../esbuild.config.mjs';

const command = new Command('npm test --')
  .description('Runs the tests in Node and in headless Chromium.')
  .argument('[file...]', 'parts of the names of test files; all of them where none is given')
  .addOption(new Option('--only <place>', 'one of the two').choices(['node', 'chromium']))
  .option('--grep <text>', 'the tests whose names contain this')
  .option('--variant <names>', 'kernel variants to use where they are supported, separated by commas')
  .parse();
const { only, grep, variant } = command.opts();
const files = testFiles.filter(
  (file) => command.args.length === 0 || command.args.some((part) => `test/${file}`.includes(part)),
);
await build(undefined, files).catch(() => process.exit(1));

/** @type {typeof import('./suite.ts')} */
const { runSuite } = await import(new URL('../../dist/test/node/run/suite.js', import.meta.url).href);
process.exit(
  await runSuite({
    node: only === 'chromium' ? [] : files,
    chromium: only === 'node' ? [] : files.filter((file) => !nodeOnly.test(file)),
    isWhole: command.args.length === 0,
    grep,
    variants: variant?.split(','),
  }),
);
