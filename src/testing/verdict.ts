/** Puts into sentences what a test left behind on its device. */
import type { Aftermath } from './test-gpu.ts';
import type { Finding } from './watch.ts';

/** What becomes of buffers and textures that a test neither destroys nor returns. */
export type LeakPolicy = 'error' | 'warn' | 'off';

/** A test did something wrong on its device; the message has each finding. */
export class GpuTestError extends Error {
  override name = 'GpuTestError';
}

const WORDS: Record<Finding['kind'], string> = {
  shader: 'WGSL does not compile',
  validation: 'GPU validation error',
  'out-of-memory': 'GPU out of memory',
  internal: 'GPU internal error',
  lost: 'GPU device lost',
};
/** Findings and leaks that a message shows. */
const SHOWN = 10;

/** Why the test failed, undefined if it did not; and a warning, undefined if there is nothing to warn of. */
export function verdictOf({ findings, leaks }: Aftermath, policy: LeakPolicy) {
  const faults = findings.map(({ kind, message }) => `${WORDS[kind]}: ${message}`);
  const leak =
    leaks.length > 0 && policy !== 'off'
      ? `GPU leak: ${leaks.length} not destroyed:\n${shown(leaks.map((line) => `  ${line}`))}`
      : undefined;
  if (leak && policy === 'error') faults.push(leak);
  const error = faults.length > 0 ? new GpuTestError(shown(faults)) : undefined;
  // It belongs to the test as a whole: the place where it is made says nothing.
  if (error) error.stack = `${error.name}: ${error.message}`;
  return {
    error,
    warning: policy === 'warn' ? leak : undefined,
  };
}

function shown(lines: readonly string[]): string {
  const rest = lines.length - SHOWN;
  return [...lines.slice(0, SHOWN), ...(rest > 0 ? [`… and ${rest} more`] : [])].join('\n');
}
