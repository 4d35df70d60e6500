/**
 * Identifies the process that owns something on disk, in a form that other processes can read: it may be taken over or
 * removed if the owner has ended. A process is identified by machine, boot, process id and start time, because process ids
 * are reused.
 */
import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import { threadId } from 'node:worker_threads';
import { factsOf, UNKNOWN } from './process-facts.ts';

export interface Owner {
  host: string;
  /** Distinguishes machines with the same host name; '0' if unknown. */
  machine: string;
  /** Changes with each boot of the machine; '0' if unknown. */
  boot: string;
  /** Process ids of another namespace, such as another container, are meaningless here. */
  namespace: string;
  pid: number;
  /** The start time of the process, on its machine's clock; '0' if unknown. */
  started: string;
}

/** `unknown`: on another machine, or in another container on this one. */
export type OwnerState = 'running' | 'gone' | 'unknown';

const facts = factsOf();
let known: Owner | undefined;

/** This process. */
export function thisProcess(): Owner {
  known ??= {
    host: hostname(),
    machine: short(facts.machine()),
    boot: short(facts.boot()),
    namespace: facts.namespace(),
    pid: process.pid,
    started: facts.startOf(process.pid),
  };
  return known;
}

/** Whether a process still runs, as far as this one can determine. */
export function stateOf(owner: Owner): OwnerState {
  const self = thisProcess();
  if (owner.host !== self.host || owner.machine !== self.machine) return 'unknown';
  if (differ(owner.boot, self.boot)) return 'gone';
  if (owner.namespace !== self.namespace) return 'unknown';
  if (!isRunning(owner.pid)) return 'gone';
  // The number may belong to another process by now.
  return differ(owner.started, facts.startOf(owner.pid)) ? 'gone' : 'running';
}

/** Whether both are known and not the same. */
function differ(a: string, b: string): boolean {
  return a !== b && a !== UNKNOWN && b !== UNKNOWN;
}

/** Identifies this thread of this process in file names. */
export function ownerTag(): string {
  const { host, machine, boot, namespace, pid, started } = thisProcess();
  return [host.replace(/[^\w-]/g, '_'), machine, boot, namespace, pid, started, threadId].join('~');
}

/** The state of the owner with this tag; `unknown` for any other text. */
export function tagState(tag: string): OwnerState {
  const [host, machine, boot, namespace, pid, started, thread, ...more] = tag.split('~');
  const isTag = thread !== undefined && more.length === 0 && /^\d+$/.test(pid ?? '');
  if (!isTag || !machine || !boot || !namespace || !started) return 'unknown';
  const self = thisProcess();
  const isHere = host === self.host.replace(/[^\w-]/g, '_');
  return stateOf({ host: isHere ? self.host : '', machine, boot, namespace, pid: Number(pid), started });
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it exists, and belongs to another user.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  return !facts.hasEnded(pid);
}

/** Eight digits of a hash, because file names should not reveal what identifies a machine. */
function short(secret: string): string {
  return secret === UNKNOWN ? UNKNOWN : createHash('sha256').update(secret).digest('hex').slice(0, 8);
}
