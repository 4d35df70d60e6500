/**
 * The worker: all GPU work happens here, so that the page only draws. Opens the job and passes it to the page.
 */
import { offerJob } from '../shared/worker.ts';
import { Job } from './job.ts';

offerJob(Job.open);
