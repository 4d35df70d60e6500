/**
 * Calls a typed function through its port. The caller limits the wait.
 */
import type { RatedRow } from './messages.ts';

/** Numbers for the rows, or the error at one of them. */
export type Answer = { id: number; values: (number | null)[] } | { id: number; row: number; problem: string };

/** Rejects with a message that names the row, counted from 1. */
export function rater(port: MessagePort): (rows: readonly RatedRow[]) => Promise<(number | null)[]> {
  const waiting = new Map<number, (answer: Answer) => void>();
  let asked = 0;
  port.onmessage = ({ data }: MessageEvent<Answer>) => {
    waiting.get(data.id)?.(data);
    waiting.delete(data.id);
  };
  return async (rows) => {
    const id = ++asked;
    const answer = await new Promise<Answer>((resolve) => {
      waiting.set(id, resolve);
      port.postMessage({ id, rows });
    });
    if ('values' in answer) return answer.values;
    throw new Error(`story ${answer.row} of ${rows.length}: ${answer.problem}`);
  };
}
