/**
 * Identifies the process that owns something on disk, in a form that other processes can read: it may be taken over or
 * removed if the owner has ended. A process is identified by machine, boot, process id and start time, because process ids
 * are reused.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { threadId } from 'node:worker_threads';

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

const UNKNOWN = '0';

let known: Owner | undefined;

/** This process. */
export function thisProcess(): Owner {
  known ??= {
    host: hostname(),
    machine: short(text('/etc/machine-id')),
    boot: short(text('/proc/sys/kernel/random/boot_id')),
    namespace: /\d+/.exec(link('/proc/self/ns/pid'))?.[0] ?? UNKNOWN,
    pid: process.pid,
    started: startOf(process.pid),
  };
  return known;
}

/** Whether a process still runs, as far as this one can determine. */
export function stateOf(owner: Owner): OwnerState {
  const self = thisProcess();
  if (owner.host !== self.host || owner.machine !== self.machine) return 'unknown';
  if (owner.boot !== self.boot) return 'gone';
  if (owner.namespace !== self.namespace) return 'unknown';
  if (!isRunning(owner.pid)) return 'gone';
  const started = startOf(owner.pid);
  // The process id may have been reused.
  return started === owner.started || started === UNKNOWN || owner.started === UNKNOWN ? 'running' : 'gone';
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
  // A zombie has ended; its parent has not yet read its exit status.
  return !/^[ZX]/.test(statFields(pid)?.[0] ?? '');
}

function startOf(pid: number): string {
  if (process.platform === 'linux') return statFields(pid)?.[19] ?? UNKNOWN;
  if (process.platform === 'win32') return UNKNOWN;
  try {
    const env = { ...process.env, LC_ALL: 'C', TZ: 'UTC' };
    const printed = execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { env, encoding: 'utf8' });
    return String(Date.parse(`${printed.trim()} UTC`) / 1000 || UNKNOWN);
  } catch {
    return UNKNOWN;
  }
}

/** Linux's fields of a process from its state on. The preceding name may contain any characters. */
function statFields(pid: number): string[] | undefined {
  const stat = text(`/proc/${pid}/stat`);
  return stat === '' ? undefined : stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

function text(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

/** Eight digits of a hash, because file names should not reveal what identifies a machine. */
function short(secret: string): string {
  return secret === '' ? UNKNOWN : createHash('sha256').update(secret).digest('hex').slice(0, 8);
}
