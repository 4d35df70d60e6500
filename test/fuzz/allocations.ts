/**
 * Counts the bytes of typed arrays that are requested by a length, freed or not, so that memory requested because a file
 * claims a size shows in every engine and on every run alike. Copies of existing data (`slice`, `from`) are not counted.
 */
const COUNTED = [
  'ArrayBuffer',
  'Int8Array',
  'Uint8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
] as const;

type Constructor = { new (...args: unknown[]): object; readonly BYTES_PER_ELEMENT?: number };

/** The bytes requested since `start`; `stop` restores the platform's constructors. */
export function countAllocations(): { bytes(): number; stop(): void } {
  const scope = globalThis as unknown as Record<string, Constructor>;
  const own = new Map(COUNTED.map((name) => [name, scope[name]]));
  let bytes = 0;
  for (const [name, Own] of own) {
    scope[name] = new Proxy(Own, {
      construct(target, args, newTarget) {
        if (typeof args[0] === 'number') bytes += args[0] * (target.BYTES_PER_ELEMENT ?? 1);
        return Reflect.construct(target, args, newTarget);
      },
    });
  }
  return {
    bytes: () => bytes,
    stop: () => {
      for (const [name, Own] of own) scope[name] = Own;
    },
  };
}
