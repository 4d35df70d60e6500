/**
 * Assigns errors to their owner. On our own device every error is ours and arrives as an event. A device provided by the
 * caller also has errors and handlers of others, so there each of our calls is wrapped in error scopes.
 */

/** Runs calls to the device so that their errors are reported, and returns their result. */
export interface Guard {
  <T>(calls: () => T): T;
  /** Resolves when the errors of all calls so far have been reported. */
  told(): Promise<unknown>;
}

const FILTERS: readonly GPUErrorFilter[] = ['validation', 'out-of-memory', 'internal'];

/** For a device whose errors arrive as events. */
export const unguarded: Guard = Object.assign(<T>(calls: () => T): T => calls(), {
  told: async () => undefined,
});

/** For a shared device: only `tell` receives the errors of the guarded calls. */
export function guarded(device: GPUDevice, tell: (error: GPUError) => void): Guard {
  const pending = new Set<Promise<unknown>>();
  const pop = () => {
    const scope = device
      .popErrorScope()
      .then((error) => error && tell(error))
      // A lost device reports no more errors.
      .catch(() => undefined)
      .finally(() => pending.delete(scope));
    pending.add(scope);
  };
  const guard = <T>(calls: () => T): T => {
    for (const filter of FILTERS) device.pushErrorScope(filter);
    try {
      return calls();
    } finally {
      for (const _ of FILTERS) pop();
    }
  };
  return Object.assign(guard, { told: () => Promise.all(pending) });
}
