/**
 * `npm test`: builds everything, then runs the one suite under Dawn in Node and in headless Chromium.
 *
 *   npm test -- [part of a file name …] [--only node|chromium] [--grep TEXT] [--variant NAMES]
 *
 * `--variant` asks for kernel variants, so that the suite runs by them wherever they serve. The last line is
 * `N passed, N failed, N skipped` over both; the exit code is 1 when a test failed or none ran.
 */
import { parseArgs } from 'node:util';
import { build, nodeOnly, testFiles } from '../../esbuild.config.mjs';

const { values, positionals } = parseArgs({
  options: { only: { type: 'string' }, grep: { type: 'string' }, variant: { type: 'string' } },
  allowPositionals: true,
});
const files = testFiles.filter(
  (file) => positionals.length === 0 || positionals.some((part) => `test/${file}`.includes(part)),
);
await build(undefined, files).catch(() => process.exit(1));

/** @type {typeof import('./suite.ts')} */
const { runSuite } = await import(new URL('../../dist/test/node/run/suite.js', import.meta.url).href);
process.exit(
  await runSuite({
    node: values.only === 'chromium' ? [] : files,
    chromium: values.only === 'node' ? [] : files.filter((file) => !nodeOnly.test(file)),
    grep: values.grep,
    variants: values.variant?.split(','),
  }),
);
