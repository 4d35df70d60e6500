/** Runs test files in a page that nobody drives: the task is in the address, and events are posted to the runner. */
import { runFiles, stray } from '../harness.ts';
import type { PageMessage, PageTask } from './firefox.ts';
import { loadServed } from './served.ts';

const { files, options, events } = JSON.parse(decodeURIComponent(location.hash.slice(1))) as PageTask;
let sent = Promise.resolve();
/** One after the other, so that they arrive in order. */
const post = (message: PageMessage) => {
  sent = sent.then(async () => void (await fetch(events, { method: 'POST', body: JSON.stringify(message) })));
};
addEventListener('unhandledrejection', ({ reason }) => post(stray(reason)));
addEventListener('error', ({ error, message }) => post(stray(error ?? message)));
await runFiles(Mocha, files, loadServed, post, options);
post('done');
