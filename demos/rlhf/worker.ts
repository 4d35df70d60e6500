/**
 * The worker: all work on the GPU happens here, so that the page only draws. Opens the job and hands it to the page.
 */
import { expose, proxy } from 'comlink';
import type { JobWorker } from '../shared/open.ts';
import { Job } from './job.ts';
import type { RlhfJob, Update } from './messages.ts';

const worker: JobWorker<RlhfJob, Update> = {
  open: async (listener) => proxy(await Job.open(location.href, listener)),
};

expose(worker);
