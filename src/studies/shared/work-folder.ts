/**
 * The runs of a study: many trainings that resume when the study is started again, and share the reference's
 * log-probabilities. Results are stored elsewhere, so the folder may be removed.
 */
import { join } from 'node:path';
import { fileCheckpointStore, nodeReferenceCache } from 'webalign/node';
import { InterruptedError } from '../../cli/failures.ts';
import { CHECKPOINT, type RunFolder } from '../../cli/run-folder.ts';

/** The folder of the run at `path`, one of those in `work`. */
export function workFolder(path: string, work: string): RunFolder {
  return {
    path,
    checkpoint: fileCheckpointStore(join(path, CHECKPOINT)),
    referenceCache: () => nodeReferenceCache(work),
    resumes: true,
    clear: async () => {},
    [Symbol.asyncDispose]: async () => {},
  };
}

/** If a signal stops the training, the message says that the same command continues the study. */
export function goesOn<T>(training: Promise<T>): Promise<T> {
  return training.catch((error) => {
    if (!(error instanceof InterruptedError)) throw error;
    throw new InterruptedError(
      error.signal,
      'Stopped; finished results are stored. Run the same command to continue.',
    );
  });
}
