/**
 * A deadline for tokenizing. A model's tokenizer contains regular expressions, one of them may never finish, and JavaScript cannot
 * interrupt it. The worker reports when such work begins and ends; the page terminates a worker that takes too long. Other work
 * has no deadline.
 */
import { useGuard } from 'webalign/data';

/** The same as in Node. */
const DEADLINE_MS = 60_000;

/** The file whose work began, or undefined when it ended. */
type Report = string | undefined;

/** In the worker: reports all tokenizing to the page from now on. */
export function reportWork(page: MessagePort): void {
  const report = (file: Report) => page.postMessage(file);
  let isInside = false;
  useGuard((work, where) => {
    if (isInside) return work();
    isInside = true;
    report(where());
    try {
      return work();
    } finally {
      isInside = false;
      report(undefined);
    }
  });
}

/** In the page: calls `onLate` with the reason when work is not done in time. */
export function watchWork(worker: MessagePort, onLate: (reason: string) => void): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  worker.onmessage = ({ data }: MessageEvent<Report>) => {
    clearTimeout(timer);
    if (data === undefined) return;
    const reason = `${data}: takes more than ${DEADLINE_MS / 1000} s, which a regular expression of the model's tokenizer may do`;
    timer = setTimeout(onLate, DEADLINE_MS, reason);
  };
}
