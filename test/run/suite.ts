/**
 * Runs the suite in Node and in Chromium, one after the other, and ends with one line of counts. A crashed process, and a
 * page that crashes or hangs, count as a failure; so does a run without a test.
 */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import MochaClass from 'mocha';
import { gpuPage, launchChromium } from '../../src/testing.ts';
import { isItsTurn } from '../support/slice.mjs';
import { describeError, type HarnessOptions, runFiles, type TestEvent } from './harness.ts';
import { Report } from './report.ts';

const TIMEOUT = 120_000;
/** Long files, whose kernels Node runs on the same adapter: of these, a page runs one per day in a full suite. */
const IN_TURN = [
  'ops/attention.test.ts',
  'ops/long-rows.test.ts',
  'ops/attention-pieces.test.ts',
  'ops/parts.test.ts',
  'ops/matmul.test.ts',
];
/** Kernels for GPUs take a software adapter this many times as long, compilation most of all. */
const PATIENCE = 5;
/** A page without an event for this long hangs: even a test with its own long timeout ends before. */
const STANDSTILL = 900_000;

export interface SuiteOptions {
  /** Test files to run in Node, relative to `test/`. */
  node: readonly string[];
  /** Those to run in Chromium. */
  chromium: readonly string[];
  /** Whether all tests are requested, so that a page's long files take turns. */
  isWhole: boolean;
  grep?: string | undefined;
  /** Kernel variants that the shared device must use. */
  variants?: readonly string[] | undefined;
}

/** Returns the exit code. */
export async function runSuite({ node, chromium, isWhole, grep, variants }: SuiteOptions): Promise<number> {
  process.setSourceMapsEnabled(true);
  const reports: Report[] = [];
  const rests = (file: string) =>
    isWhole && IN_TURN.includes(file) && !isItsTurn(IN_TURN.indexOf(file), IN_TURN.length);
  const breakOff = () => {
    process.exitCode = conclude(reports, 1);
  };
  process.once('exit', breakOff);
  const worlds = [
    { name: 'node', files: node, run: runInNode },
    { name: 'chromium', files: chromium.filter((file) => !rests(file)), run: runInChromium },
  ];
  for (const { name, files, run } of worlds.filter((world) => world.files.length > 0)) {
    const report = new Report(name);
    reports.push(report);
    try {
      await run(files, report, { grep, variants, timeout: variants ? PATIENCE * TIMEOUT : TIMEOUT });
    } catch (error) {
      report.add(stray(error));
    }
    for (const file of name === 'chromium' ? chromium.filter(rests) : [])
      report.add({ file, title: 'it has another day; WEBALIGN_SLICE=all runs it', kind: 'skip' });
    report.end();
  }
  process.off('exit', breakOff);
  return conclude(reports);
}

/** Prints the counts and returns the exit code. `brokenOff` is 1 if the process ends before the suite does. */
function conclude(reports: readonly Report[], brokenOff = 0): number {
  const sum = (kind: TestEvent['kind']) => reports.reduce((total, { counts }) => total + counts[kind], 0);
  if (brokenOff) console.log('The run was broken off.');
  const failed = sum('fail') + brokenOff;
  console.log(`${sum('pass')} passed, ${failed} failed, ${sum('skip')} skipped`);
  return failed > 0 || sum('pass') === 0 ? 1 : 0;
}

async function runInNode(files: readonly string[], report: Report, options: HarnessOptions): Promise<void> {
  const load = (file: string) =>
    import(pathToFileURL(resolve('dist/test/node', file.replace(/\.ts$/, '.js'))).href);
  // Mocha catches stray exceptions itself; rejections it only emits again, to the same listeners.
  const seen = new Set<unknown>();
  process.on('unhandledRejection', (error, promise) => {
    if (!seen.has(promise)) report.add(stray(error));
    seen.add(promise);
  });
  await runFiles(MochaClass, files, load, report.add, options);
}

async function runInChromium(
  files: readonly string[],
  report: Report,
  options: HarnessOptions,
): Promise<void> {
  const browser = await launchChromium({ onNotice: (line) => console.log(`chromium  ${line}`) });
  try {
    const page = await gpuPage(browser, {
      serve: {
        '/': 'dist/test/chromium',
        '/fixtures/': 'test/fixtures',
        '/embedded/': 'demos/align/model',
        '/shared/': '../shared',
        '/mocha/': 'node_modules/mocha',
      },
    });
    await page.exposeFunction('emitTestEvent', report.add);
    page.on('console', (message) => {
      // Whether a missing file is an error is decided by the test.
      const isNews =
        /^(error|warning)$/.test(message.type()) && !message.text().startsWith('Failed to load resource');
      if (isNews) console.log(`chromium  console: ${message.text()}`);
    });
    page.on('pageerror', (error) => report.add(stray(error)));
    const crash = new Promise<never>((_, reject) => {
      page.once('crash', () => reject(new Error('The page crashed.')));
      setInterval(() => {
        if (Date.now() - report.lastEvent > STANDSTILL) reject(new Error('The page stands still.'));
      }, 1000).unref();
    });
    await page.addScriptTag({ url: '/mocha/mocha.js' });
    await page.addScriptTag({ url: '/run/page.js', type: 'module' });
    await Promise.race([
      crash,
      page.evaluate(([names, how]) => runTestFiles(names, how), [files, options] as const),
    ]);
  } finally {
    await browser.close();
  }
}

function stray(error: unknown): TestEvent {
  return {
    kind: 'fail',
    file: 'the run',
    title: 'an error outside of any test',
    error: describeError(error),
  };
}
