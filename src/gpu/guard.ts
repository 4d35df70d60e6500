/**
 * Whose error it is. On a device of our own every error is ours and arrives as an event. A device of the caller's has errors of
 * others too, and handlers that ours must not reach: there each call to the device stands in error scopes.
 */

/** Runs calls to the device so that their errors are told, and returns what they return. */
export interface Guard {
  <T>(calls: () => T): T;
  /** Resolves when the errors of all calls so far have been told. */
  told(): Promise<unknown>;
}

const FILTERS: readonly GPUErrorFilter[] = ['validation', 'out-of-memory', 'internal'];

/** For a device whose errors arrive as events. */
export const unguarded: Guard = Object.assign(<T>(calls: () => T): T => calls(), {
  told: async () => undefined,
});

/** For a device that is shared: `tell` hears the errors of the guarded calls, and no one else does. */
export function guarded(device: GPUDevice, tell: (error: GPUError) => void): Guard {
  const pending = new Set<Promise<unknown>>();
  const pop = () => {
    const scope = device
      .popErrorScope()
      .then((error) => error && tell(error))
      // A device that is lost has no errors left to tell.
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
