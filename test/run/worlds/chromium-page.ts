/**
 * The part of a test run in Chromium that runs in the page: it loads the requested test files and sends each event to the
 * runner in Node, which installed `emitTestEvent` in the page.
 */
import { type HarnessOptions, runFiles, type TestEvent } from '../harness.ts';
import { loadServed } from './served.ts';

declare global {
  function emitTestEvent(event: TestEvent): Promise<void>;
  function runTestFiles(files: readonly string[], options: HarnessOptions): Promise<void>;
}

globalThis.runTestFiles = async (files, options) => {
  const sent: Promise<void>[] = [];
  const emit = (event: TestEvent) => void sent.push(emitTestEvent(event));
  await runFiles(Mocha, files, loadServed, emit, options);
  await Promise.all(sent);
};
