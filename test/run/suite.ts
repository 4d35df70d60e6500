/**
 * Runs the suite in its worlds, one after the other, and ends with the one line of counts. A world that breaks off, a
 * page that crashes or stands still, counts as a failure; so does a run without a test.
 */
import type { Capabilities } from '../../src/testing/narrowed.ts';
import { isItsTurn } from '../support/slice.mjs';
import { stray, type TestEvent } from './harness.ts';
import { Report } from './report.ts';
import { MissingWorldError, type World } from './worlds/world.ts';
import { WORLDS, type WorldName } from './worlds/worlds.ts';

const TIMEOUT = 120_000;
/** Long files, whose kernels Node runs on the same adapter: of these, a page runs one per day in a full suite. */
const IN_TURN = [
  'ops/attention.test.ts',
  'ops/long-rows.test.ts',
  'ops/attention-pieces.test.ts',
  'ops/parts.test.ts',
  'ops/matmul.test.ts',
];
/** A world that is not run as a whole runs each of the other files once in so many days. */
const DAYS = 30;
/** What is made for GPUs takes a software adapter so many times as long, the compiling most of all. */
const PATIENCE = 5;

export interface SuiteOptions {
  /** Test files, relative to `test/`. */
  files: readonly string[];
  /** Those of them that need Node. */
  needsNode: (file: string) => boolean;
  /** The one world to run in, with all files. By default those that run the suite as a whole. */
  only?: WorldName | undefined;
  /** Whether all tests are asked for: then a page's long files take turns, and the other worlds get a slice. */
  isWhole: boolean;
  grep?: string | undefined;
  /** Kernel variants that the shared device must use. */
  variants?: readonly string[] | undefined;
  /** What the tests' devices may have. */
  capabilities: Capabilities;
}

/** Returns the exit code. */
export async function runSuite(suite: SuiteOptions): Promise<number> {
  const { grep, variants, capabilities, only, isWhole } = suite;
  process.setSourceMapsEnabled(true);
  const reports: Report[] = [];
  const breakOff = () => {
    process.exitCode = conclude(reports, 1);
  };
  process.once('exit', breakOff);
  for (const [name, world] of Object.entries(WORLDS)) {
    if (only ? name !== only : !world.isWhole && !isWhole) continue;
    const report = new Report(name);
    const { files, resting } = share(world, suite);
    if (files.length + resting.length === 0) continue;
    reports.push(report);
    const missing = await world.missing?.();
    const timeout = variants ? PATIENCE * TIMEOUT : TIMEOUT;
    const options = { grep, variants, capabilities, timeout };
    const error = missing
      ? new MissingWorldError(missing)
      : await failureOf(world.run(files, report, options));
    if (error instanceof MissingWorldError) {
      const { message } = error;
      // A world that is requested by name must be there.
      report.add(
        only
          ? { kind: 'fail', file: name, title: 'this world', error: message }
          : { kind: 'skip', file: name, title: message },
      );
    } else if (error) report.add(stray(error));
    for (const file of resting)
      report.add({ file, title: 'it runs on another day; WEBALIGN_SLICE=all runs it now', kind: 'skip' });
    report.end();
  }
  process.off('exit', breakOff);
  return conclude(reports);
}

const failureOf = (run: Promise<void>): Promise<unknown> =>
  run.then(
    () => undefined,
    (error: unknown) => error,
  );

/** The files that a world runs, and those that it would run on another day. */
function share(world: World, { files, needsNode, isWhole, only }: SuiteOptions) {
  if (world.isNode) return { files, resting: [] };
  const able = files.filter((file) => !needsNode(file));
  if (only || !isWhole) return { files: able, resting: [] };
  if (!world.isWhole) {
    const short = able.filter((file) => !IN_TURN.includes(file));
    return { files: short.filter((_, place) => isItsTurn(place % DAYS, DAYS)), resting: [] };
  }
  const rests = (file: string) => IN_TURN.includes(file) && !isItsTurn(IN_TURN.indexOf(file), IN_TURN.length);
  return { files: able.filter((file) => !rests(file)), resting: able.filter(rests) };
}

/** Prints the counts and returns the exit code. `brokenOff` is 1 where the process ends before the suite does. */
function conclude(reports: readonly Report[], brokenOff = 0): number {
  const sum = (kind: TestEvent['kind']) => reports.reduce((total, { counts }) => total + counts[kind], 0);
  if (brokenOff) console.log('The run was broken off.');
  const failed = sum('fail') + brokenOff;
  console.log(`${sum('pass')} passed, ${failed} failed, ${sum('skip')} skipped`);
  return failed > 0 || sum('pass') === 0 ? 1 : 0;
}
