/**
 * A page's worker: how the page starts it and detects its end, and the worker's part of that. Both are in this file because
 * they share a lock.
 */
import { expose, proxy } from 'comlink';
import { reportWork } from './deadline.ts';

/** The worker's initial interface: opens a job, with some information about it. */
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
 * Starts a worker whose script is beside the page. A worker with its own URL would have its own policy, which the page's
 * `<meta>` elements cannot set; one created from a blob inherits the page's policy and cannot reach other servers. Its
 * `location` is not useful, so the page must send its URL.
 */
export function startWorker(name: string, script = 'worker.js'): Worker {
  const address = new URL(script, document.baseURI).href;
  const code = new Blob([`import ${JSON.stringify(address)};`], { type: 'text/javascript' });
  return new Worker(URL.createObjectURL(code), { type: 'module', name });
}

/** In the worker: offers the job that `open` creates. */
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

/** In the page: resolves when the worker that holds the lock has ended for any reason. The worker itself does not report it. */
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
