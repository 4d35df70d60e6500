/** Formats the errors and leaks of a test. */
import type { Aftermath } from './test-gpu.ts';
import type { Finding } from './watch.ts';

/** Handling of buffers and textures that a test neither destroys nor returns. */
export type LeakPolicy = 'error' | 'warn' | 'off';

/** A test caused errors on its device; the message lists each finding. */
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
/** Maximum number of findings and of leaks in a message. */
const SHOWN = 10;

/** The error of the test and the warning; undefined if there is none. */
export function verdictOf({ findings, leaks }: Aftermath, policy: LeakPolicy) {
  const faults = findings.map(({ kind, message }) => `${WORDS[kind]}: ${message}`);
  const leak =
    leaks.length > 0 && policy !== 'off'
      ? `GPU leak: ${leaks.length} not destroyed:\n${shown(leaks.map((line) => `  ${line}`))}`
      : undefined;
  if (leak && policy === 'error') faults.push(leak);
  const error = faults.length > 0 ? new GpuTestError(shown(faults)) : undefined;
  // The error belongs to the whole test, so the stack is not useful.
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
