/**
 * A page's worker: how a page starts it and learns of its end, and what the worker does for that. Both halves stand here,
 * because they agree on a lock.
 */
import { expose, proxy } from 'comlink';
import { reportWork } from './deadline.ts';

/** What a worker offers at first: a job, of which something is known when it is opened. */
export interface JobWorker<Job, Update> {
  /**
   * Holds the lock of this name for as long as the worker lives; resolves when it has the lock. Reports tokenizing, which may never
   * finish, to `page`.
   */
  live(lock: string, page: MessagePort): Promise<void>;
  /** `base`: the address of the page, beside which its files are. */
  open(base: string, listener: (update: Update) => void): Promise<Job>;
}

/**
 * Starts a worker whose script lies beside the page. A worker with an address of its own would have a policy of its own, which
 * none of a page's `<meta>` elements can set; one that begins as a blob inherits the page's and cannot reach other servers.
 * Its `location` says nothing, so it has to be told where the page is.
 */
export function startWorker(name: string, script = 'worker.js'): Worker {
  const address = new URL(script, document.baseURI).href;
  const code = new Blob([`import ${JSON.stringify(address)};`], { type: 'text/javascript' });
  return new Worker(URL.createObjectURL(code), { type: 'module', name });
}

/** In the worker: offers the job that `open` makes. */
export function offerJob<Job extends object, Update>(open: JobWorker<Job, Update>['open']): void {
  const worker: JobWorker<Job, Update> = {
    live: (lock, page) => {
      reportWork(page);
      return holdLock(lock);
    },
    open: async (base, listener) => proxy(await open(base, listener)),
  };
  expose(worker);
}

/** In the page: resolves when the worker that holds the lock has ended, however it did. A worker says nothing of it itself. */
export async function ended(lock: string): Promise<void> {
  await navigator.locks.request(lock, () => undefined);
}

function holdLock(name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const hold = () => {
      resolve();
      return new Promise<never>(() => {});
    };
    navigator.locks.request(name, hold).catch(reject);
  });
}
