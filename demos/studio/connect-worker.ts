/** The worker of the page that fetches models. It inherits the page's policy, and so reaches what was asked for alone. */
import { offerJob } from '../shared/worker.ts';
import { ConnectJob } from './connect-job.ts';

offerJob(ConnectJob.open);
