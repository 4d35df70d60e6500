/**
 * The runs of a study: many trainings that go on by themselves when the study is started again, and share the reference's
 * log-probabilities. What is kept of them are results; the folder may be removed.
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

/** Where a signal stopped it, says that the study goes on by the same command. */
export function goesOn<T>(training: Promise<T>): Promise<T> {
  return training.catch((error) => {
    if (!(error instanceof InterruptedError)) throw error;
    throw new InterruptedError(
      error.signal,
      'Stopped; what is done is kept. Give the same command to go on.',
    );
  });
}
