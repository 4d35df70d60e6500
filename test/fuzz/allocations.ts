/**
 * Counts the bytes of typed arrays that are asked for by a length, freed or not, so that memory taken on a file's word
 * shows in every engine and on every run alike. Copies of what is there already (`slice`, `from`) are no such claims.
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

/** How many bytes have been asked for since `start`; `stop` gives the platform its constructors back. */
export function countAllocations(): { bytes(): number; stop(): void } {
  const scope = globalThis as unknown as Record<string, Constructor>;
  const own = new Map(COUNTED.map((name) => [name, scope[name] as Constructor]));
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
