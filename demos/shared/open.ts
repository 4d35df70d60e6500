/**
 * Opens a page's worker, or says why nothing can run here.
 */
import { proxy, type Remote, wrap } from 'comlink';
import { showNoAdapter } from './adapter.ts';
import { byId, setText } from './dom.ts';

const HOW_TO_GET_WEBGPU =
  'This page computes on your graphics card through WebGPU, and this browser offers none. Open it in a current Chrome or ' +
  'Edge, in Safari 26 or in Firefox 141 or later; if you are in one of these, turn on hardware acceleration in its ' +
  'settings, update the graphics driver, and reload.';
const HOW_TO_BE_SECURE =
  'Browsers give WebGPU to secure pages only. Open this page over https, or from localhost, and reload.';

/** What a worker offers at first: a job, of which something is known when it is opened. */
export interface JobWorker<Job, Update> {
  open(listener: (update: Update) => void): Promise<Job>;
}

/** Where problems are told. */
interface Says {
  say(text: string): void;
  complain(text: string): void;
}

/** The job of the worker beside the page; undefined where there is no WebGPU or it could not be loaded, which is then told. */
export async function openJob<Job extends object, Update>(
  name: string,
  listener: (update: Update) => void,
  progress: Says,
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
  const worker = new Worker(new URL('worker.js', document.baseURI), { type: 'module', name });
  worker.addEventListener('error', (event) => progress.complain(`The worker has failed: ${event.message}`));
  try {
    const opened = wrap<JobWorker<Job, Update>>(worker).open(proxy(listener) as never);
    return (await opened) as unknown as Remote<Job>;
  } catch (error) {
    if (error instanceof Error && error.name === 'NoAdapterError') return missing(HOW_TO_GET_WEBGPU);
    progress.complain(`The page could not be loaded: ${messageOf(error)}`);
    return undefined;
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
