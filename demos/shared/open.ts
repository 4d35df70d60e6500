/**
 * Opens a page's worker, or explains why nothing can run here.
 */
import { proxy, type Remote, wrap } from 'comlink';
import { showNoAdapter } from './adapter.ts';
import { byId, setText } from './dom.ts';
import { messageOf } from './message-of.ts';
import { ended, type JobWorker, startWorker } from './worker.ts';

const HOW_TO_GET_WEBGPU =
  'This page computes on your graphics card through WebGPU, and this browser offers none. Open it in a current Chrome or ' +
  'Edge, in Safari 26 or in Firefox 141 or later; if you are in one of these, turn on hardware acceleration in its ' +
  'settings, update the graphics driver, and reload.';
/** Shown when the worker has ended. */
export const LOST =
  'The browser has ended the part of this page that computes, and with it what was not kept. Reload the page: a run that was ' +
  'kept can be resumed from its last checkpoint.';
const HOW_TO_BE_SECURE =
  'Browsers give WebGPU to secure pages only. Open this page over https, or from localhost, and reload.';

/** Where problems are shown. */
interface Says {
  say(text: string): void;
  complain(text: string): void;
}

/**
 * The job of the worker beside the page, `worker.js` unless `script` names another; undefined if there is no WebGPU or
 * loading fails, which is then shown. `onEnd` is called when the worker has ended, which only the browser or developer
 * tools can cause.
 */
export async function openJob<Job extends object, Update>(
  name: string,
  listener: (update: Update) => void,
  progress: Says,
  onEnd: () => void,
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
    await remote.live(lock);
    void ended(lock).then(onEnd);
    return (await remote.open(document.baseURI, proxy(listener) as never)) as unknown as Remote<Job>;
  } catch (error) {
    if (error instanceof Error && error.name === 'NoAdapterError') return missing(HOW_TO_GET_WEBGPU);
    progress.complain(`The page could not be loaded: ${messageOf(error)}`);
    return undefined;
  }
}
