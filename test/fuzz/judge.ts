/**
 * What counts as a finding: a reader that throws anything but an `InputError`, an error that names no file or is too long
 * for a person, time or memory beyond what any small file may need, memory out of proportion, or a result that is not what
 * the reader promises. Time that never ends, and exhausted memory, are detected by the supervisor.
 */
import { InputError } from '../../src/io/errors.ts';
import { type Folder, folderSize } from './folder.ts';
import { FOLDER, type Target } from './targets.ts';

export { TARGETS } from './targets.ts';

export interface Finding {
  kind: 'thrown' | 'unnamed' | 'long' | 'unprintable' | 'memory' | 'time' | 'heap';
  detail: string;
  /** Where it came from, the same for findings with the same cause. */
  origin: string;
}

const MOST_CHARACTERS = 1000;
/** What any file of up to a megabyte may need: seconds of CPU time, and bytes of host memory above the start. */
export const MOST_SECONDS = 5;
export const MOST_MEMORY = 512 * 2 ** 20;

/** What is measured while a file is read, each since an arbitrary time. */
export interface Meter {
  /** Bytes of typed arrays that were requested by a length, freed or not. */
  allocated(): number;
  /** Bytes in use. */
  memory(): number;
  /** Seconds of CPU time. */
  seconds(): number;
}

export interface Verdict {
  finding: Finding | undefined;
  refused: boolean;
  /** What the file needed. */
  seconds: number;
  memory: number;
}

/** Bytes that a reader may use for a folder: a fixed amount, and a few copies in wider types. */
export function mostBytes({ megabytes = 64 }: Target, folder: Folder): number {
  return megabytes * 2 ** 20 + 20 * folderSize(folder);
}

/** Reads `folder`. */
export async function judge(target: Target, folder: Folder, meter: Meter): Promise<Verdict> {
  const before = { allocated: meter.allocated(), memory: meter.memory(), seconds: meter.seconds() };
  let error: unknown;
  try {
    await target.run(folder);
  } catch (thrown) {
    error = thrown ?? new Error('something empty was thrown');
  }
  const taken = {
    allocated: meter.allocated() - before.allocated,
    memory: meter.memory() - before.memory,
    seconds: meter.seconds() - before.seconds,
  };
  const finding = findingOf(target, folder, error, taken);
  return { finding, refused: error !== undefined, seconds: taken.seconds, memory: taken.memory };
}

function findingOf(
  target: Target,
  folder: Folder,
  error: unknown,
  { allocated, memory, seconds }: Record<keyof Meter, number>,
): Finding | undefined {
  const found = (kind: Finding['kind'], detail: string) => ({ kind, detail, origin: origin(error) });
  if (seconds > MOST_SECONDS) return found('time', `${seconds.toFixed(1)} s`);
  if (allocated > mostBytes(target, folder))
    return found('memory', `${allocated} bytes for ${folderSize(folder)}`);
  if (memory > MOST_MEMORY) return found('memory', `${memory} bytes above the start`);
  if (error === undefined) return undefined;
  if (!(error instanceof InputError)) {
    const { stack = error } = error instanceof Error ? error : {};
    return found('thrown', String(stack).slice(0, MOST_CHARACTERS));
  }
  const { message, where } = error;
  if (message.length > MOST_CHARACTERS) return found('long', message.slice(0, 200));
  if (/[\p{Cc}\p{Cs}\u202a-\u202e]/u.test(message)) return found('unprintable', JSON.stringify(message));
  const named = [`${FOLDER}/`, target.blames].some((name) => name && where.startsWith(name));
  return named ? undefined : found('unnamed', message);
}

/** Findings of the same kind and origin are one finding. */
export function signature({ kind, origin }: Finding): string {
  return `${kind} ${origin}`;
}

/** The functions on its stack; of a broken promise, its message. The frames of an exhausted stack differ every time. */
function origin(error: unknown): string {
  if (!(error instanceof Error)) return '';
  if (error.message.startsWith('unsound')) return error.message.replace(/\d+/g, '#').slice(0, 60);
  if (/call stack/.test(error.message)) return error.message;
  const frames = [...(error.stack ?? '').matchAll(/\n {4}at (?:async )?(\S+)/g)].map(([, name]) => name);
  return [error.name, ...frames.slice(0, 3)].join(' ');
}
