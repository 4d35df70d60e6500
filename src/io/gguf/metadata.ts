/** Reads typed values out of GGUF's metadata; every error names the file and the key. */
import { InputError, quote } from '../errors.ts';
import type { GgufValue } from './writer.ts';

const WAY_OUT = 'Convert the model to GGUF again, or use its Hugging Face folder';

export class GgufMetadata {
  constructor(
    readonly values: ReadonlyMap<string, GgufValue>,
    readonly file: string,
  ) {}

  has(key: string): boolean {
    return this.values.has(key);
  }

  string(key: string): string | undefined {
    const found = this.values.get(key);
    if (found === undefined || found.type === 'string') return found?.value;
    throw this.wrong(key, 'a text');
  }

  /** A safe integer, at least 0. */
  integer(key: string): number | undefined {
    const value = this.number(key);
    if (value === undefined || (Number.isSafeInteger(value) && value >= 0)) return value;
    throw this.wrong(key, 'a whole number from 0');
  }

  /**
   * A finite number. A 32-bit float is returned as the shortest decimal that rounds to it: 0.00001, not
   * 0.000009999999747378752.
   */
  number(key: string): number | undefined {
    const found = this.values.get(key);
    if (found === undefined) return undefined;
    if (found.type === 'array' || found.type === 'string' || found.type === 'bool') {
      throw this.wrong(key, 'one number for all layers');
    }
    const value = Number(found.value);
    if (!Number.isFinite(value)) throw this.wrong(key, 'a finite number');
    return found.type === 'float32' ? shortest(value) : value;
  }

  boolean(key: string): boolean | undefined {
    const found = this.values.get(key);
    if (found === undefined) return undefined;
    if (found.type === 'bool') return Boolean(found.value);
    throw this.wrong(key, 'true or false');
  }

  strings(key: string): readonly string[] | undefined {
    const found = this.values.get(key);
    if (found === undefined) return undefined;
    if (found.type === 'array' && found.of === 'string') return found.value;
    throw this.wrong(key, 'a list of texts');
  }

  /** A list of numbers or booleans. */
  numbers(key: string): ArrayLike<number> | undefined {
    const found = this.values.get(key);
    if (found === undefined) return undefined;
    if (found.type === 'array' && found.of !== 'string' && found.of !== 'array') {
      const { value } = found;
      if (!(value instanceof BigInt64Array || value instanceof BigUint64Array)) return value;
    }
    throw this.wrong(key, 'a list of numbers');
  }

  wrong(key: string, expected: string): InputError {
    const found = this.values.get(key);
    const shown = found === undefined ? 'is missing' : `is ${description(found)}`;
    return new InputError(this.place(key), `${shown}, expected ${expected}`, WAY_OUT);
  }

  /** A well-formed value that is not supported. */
  unsupported(key: string, wayOut: string): InputError {
    const found = this.values.get(key);
    const shown = found === undefined ? 'nothing' : description(found);
    return new InputError(this.place(key), `${shown} is not supported`, wayOut);
  }

  private place(key: string): string {
    return `${this.file}, key ${quote(key)}`;
  }
}

function description(value: GgufValue): string {
  if (value.type === 'array') return `a list of ${value.value.length}`;
  return value.type === 'string' ? quote(value.value) : String(value.value);
}

/** The shortest decimal that rounds to the number in 32 bits. */
export function shortest(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
}
