/**
 * The worker: all work on the GPU happens here, so that the page only draws. Opens the job and hands it to the page.
 */
import { offerJob } from '../shared/worker.ts';
import { Job } from './job.ts';

offerJob(Job.open);
