/**
 * Identifies a machine, its current boot and a process on each operating system. Equal texts mean the same thing. If a system does not
 * tell, or its tool fails, the text is {@link UNKNOWN}.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { own } from '../base/lookup.ts';

export const UNKNOWN = '0';

export interface ProcessFacts {
  /** Distinguishes machines with the same host name. */
  machine(): string;
  /** Changes when the machine restarts. */
  boot(): string;
  /** Process numbers of another namespace, such as another container, mean nothing here. */
  namespace(): string;
  /** When the process started, on a clock of its machine. */
  startOf(pid: number): string;
  /** Whether a process that the system still lists has ended. */
  hasEnded(pid: number): boolean;
}

const unknown = () => UNKNOWN;
const never = () => false;

const LINUX: ProcessFacts = {
  machine: () => text('/etc/machine-id'),
  boot: () => text('/proc/sys/kernel/random/boot_id'),
  namespace: () => /\d+/.exec(link('/proc/self/ns/pid'))?.[0] ?? UNKNOWN,
  startOf: (pid) => statFields(pid)?.[19] ?? UNKNOWN,
  // A zombie has ended; its parent has not read its exit code.
  hasEnded: (pid) => /^[ZX]/.test(statFields(pid)?.[0] ?? ''),
};

/** Other Unix systems. */
const UNIX: ProcessFacts = {
  machine: unknown,
  boot: unknown,
  namespace: unknown,
  startOf: (pid) => startOfPs(printed('ps', '-o', 'lstart=', '-p', String(pid))),
  hasEnded: (pid) => /^Z/.test(printed('ps', '-o', 'stat=', '-p', String(pid)).trim()),
};

const SYSTEMS: Readonly<Record<string, ProcessFacts>> = {
  linux: LINUX,
  darwin: {
    ...UNIX,
    machine: () => machineOfIoreg(printed('ioreg', '-rd1', '-c', 'IOPlatformExpertDevice')),
    // Not kern.boottime, which moves when the clock is set.
    boot: () => printed('sysctl', '-n', 'kern.bootsessionuuid').trim() || UNKNOWN,
  },
  win32: {
    machine: () =>
      machineOfReg(printed('reg', 'query', 'HKLM\\SOFTWARE\\Microsoft\\Cryptography', '/v', 'MachineGuid')),
    boot: unknown,
    namespace: unknown,
    startOf: unknown,
    hasEnded: never,
  },
};

/** Facts of the system with this name in Node. */
export function factsOf(platform: string = process.platform): ProcessFacts {
  return own(SYSTEMS, platform) ?? UNIX;
}

/** Seconds since 1970 of what `ps -o lstart=` prints in UTC: `Tue Dec  1 09:05:01 2026`. */
export function startOfPs(output: string): string {
  return String(Date.parse(`${output.trim()} UTC`) / 1000 || UNKNOWN);
}

/** The line `"IOPlatformUUID" = "…"` of macOS's ioreg. */
export function machineOfIoreg(output: string): string {
  return /"IOPlatformUUID" = "([^"]+)"/.exec(output)?.[1] ?? UNKNOWN;
}

/** The line `MachineGuid    REG_SZ    …` of Windows' reg. */
export function machineOfReg(output: string): string {
  return /\bMachineGuid\s+REG_SZ\s+(\S+)/.exec(output)?.[1] ?? UNKNOWN;
}

/** Fields of a process in /proc, starting with its state. The name before it may contain anything. */
function statFields(pid: number): string[] | undefined {
  const stat = text(`/proc/${pid}/stat`);
  return stat === UNKNOWN ? undefined : stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

function text(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim() || UNKNOWN;
  } catch {
    return UNKNOWN;
  }
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

/** Output of a tool, in English and in UTC; empty if it fails. On a busy machine it may take seconds. */
function printed(tool: string, ...args: string[]): string {
  try {
    const env = { ...process.env, LC_ALL: 'C', TZ: 'UTC' };
    const stdio: ('ignore' | 'pipe')[] = ['ignore', 'pipe', 'ignore'];
    return execFileSync(tool, args, { env, encoding: 'utf8', stdio });
  } catch {
    return '';
  }
}
