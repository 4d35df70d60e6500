/**
 * Which process owns something on disk, in a form that other processes can read: whether the owner still runs decides what
 * may be taken over or removed. A process is known by machine, boot, number and start time, because numbers are used again.
 */
import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import { threadId } from 'node:worker_threads';
import { factsOf, UNKNOWN } from './process-facts.ts';

export interface Owner {
  host: string;
  /** Tells machines with the same host name apart; '0' where the system does not say. */
  machine: string;
  /** Changes with each start of the machine; '0' where the system does not say. */
  boot: string;
  /** Processes of another namespace, such as another container's, have numbers that mean nothing here. */
  namespace: string;
  pid: number;
  /** When the process began, on a clock of its machine; '0' where the system does not say. */
  started: string;
}

/** `unknown`: on another machine, or in another container of this one. */
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

/** Whether a process still runs, as far as this one can see. */
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

/** This thread of this process, for the names of its files. */
export function ownerTag(): string {
  const { host, machine, boot, namespace, pid, started } = thisProcess();
  return [host.replace(/[^\w-]/g, '_'), machine, boot, namespace, pid, started, threadId].join('~');
}

/** The state of the owner whose tag this is; `unknown` for any other text. */
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
    // EPERM: it is there, and another user's.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  return !facts.hasEnded(pid);
}

/** Eight digits of a hash: what identifies a machine is not for everyone who sees a file's name. */
function short(secret: string): string {
  return secret === UNKNOWN ? UNKNOWN : createHash('sha256').update(secret).digest('hex').slice(0, 8);
}
