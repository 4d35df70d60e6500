/**
 * The page's half of a run in Chromium: loads the test files that it is asked to and sends each event to the runner in
 * Node, which put `emitTestEvent` there.
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
