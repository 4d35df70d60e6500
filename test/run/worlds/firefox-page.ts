/** Runs test files in a page that nobody drives: the task is in the address, and events are posted to the runner. */
import { runFiles, stray } from '../harness.ts';
import type { PageMessage, PageTask } from './firefox.ts';
import { loadServed } from './served.ts';

const ATTEMPTS = 20;
const PAUSE_MS = 1000;

const { files, options, events } = JSON.parse(decodeURIComponent(location.hash.slice(1))) as PageTask;
let sent = Promise.resolve();
/** One after the other, so that they arrive in order. */
const post = (message: PageMessage) => {
  sent = sent.then(async () => void (await fetch(events, { method: 'POST', body: JSON.stringify(message) })));
};
addEventListener('unhandledrejection', ({ reason }) => post(stray(reason)));
addEventListener('error', ({ error, message }) => post(stray(error ?? message)));
post('begun');
if (await hasAdapter()) {
  await runFiles(Mocha, files, loadServed, post, options);
  post('done');
} else post('no adapter');

/** Asks for some seconds: right after its start, on a busy machine, Firefox may have no adapter yet. */
async function hasAdapter(): Promise<boolean> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (await navigator.gpu?.requestAdapter()) return true;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  return false;
}
