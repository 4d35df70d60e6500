/**
 * Opens a page's worker, or explains why nothing can run here.
 */
import { proxy, type Remote, transfer, wrap } from 'comlink';
import { showNoAdapter } from './adapter.ts';
import { watchWork } from './deadline.ts';
import { byId, setText } from './dom.ts';
import { messageOf } from './message-of.ts';
import { ended, type JobWorker, startWorker } from './worker.ts';

const HOW_TO_GET_WEBGPU =
  'This page computes on your graphics card through WebGPU, and this browser offers none. Open it in a current Chrome or ' +
  'Edge, in Safari 26 or in Firefox 141 or later; if you are in one of these, turn on hardware acceleration in its ' +
  'settings, update the graphics driver, and reload.';
const RESUME = 'Reload the page: a run that was kept can be resumed from its last checkpoint.';
const LOST = `The browser has ended the part of this page that computes, and with it what was not kept. ${RESUME}`;
const LATE =
  'The page has stopped its worker, and everything that was not stored is lost. Use the files of a model that you trust.';
const HOW_TO_BE_SECURE =
  'Browsers give WebGPU to secure pages only. Open this page over https, or from localhost, and reload.';

/** Where problems are shown. */
interface Says {
  say(text: string): void;
  complain(text: string): void;
}

/**
 * The job of the worker beside the page, `worker.js` unless `script` says another; undefined where there is no WebGPU or it could not be loaded, which is then told.
 * `onEnd` is called with the reason when the worker has ended: the browser ended it, a person with the developer tools, or this page,
 * because tokenizing took too long (`isLate`).
 */
export async function openJob<Job extends object, Update>(
  name: string,
  listener: (update: Update) => void,
  progress: Says,
  onEnd: (why: string, isLate: boolean) => void,
  script?: string,
): Promise<Remote<Job> | undefined> {
  const missing = (text: string) => {
    setText(byId('missing-text', HTMLElement), text);
    byId('missing', HTMLElement).hidden = false;
    showNoAdapter();
    progress.say('Nothing can run here yet.');
    return undefined;
  };
  if (!window.isSecureContext) return missing(HOW_TO_BE_SECURE);
  if (!navigator.gpu) return missing(HOW_TO_GET_WEBGPU);
  const worker = startWorker(name, script);
  worker.addEventListener('error', (event) => progress.complain(`The worker has failed: ${event.message}`));
  try {
    const remote = wrap<JobWorker<Job, Update>>(worker);
    const lock = `webalign-worker ${crypto.randomUUID()}`;
    const { port1, port2 } = new MessageChannel();
    await remote.live(lock, transfer(port2, [port2]));
    let late: string | undefined;
    watchWork(port1, (why) => {
      late = `${why}. ${LATE} ${RESUME}`;
      worker.terminate();
    });
    void ended(lock).then(() => onEnd(late ?? LOST, late !== undefined));
    return (await remote.open(document.baseURI, proxy(listener) as never)) as unknown as Remote<Job>;
  } catch (error) {
    if (error instanceof Error && error.name === 'NoAdapterError') return missing(HOW_TO_GET_WEBGPU);
    progress.complain(`The page could not be loaded: ${messageOf(error)}`);
    return undefined;
  }
}
