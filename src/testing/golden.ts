/**
 * Golden files: known good numbers, stored as JSON beside the tests. Node only; a file is only written on request.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Closeness, compareTensors, type Numbers } from './closeness.ts';

export interface GoldenOptions extends Closeness {
  /** Write the file instead of comparing with it; default: `WEBALIGN_GOLDEN=write` in the environment. */
  write?: boolean | undefined;
}

/**
 * Compares numbers with those of a file. Throws an Error if they are not close, or if the file does not exist; the message
 * says how to write it.
 */
export function assertGolden(actual: Numbers, path: string, options: GoldenOptions = {}): void {
  const { write = process.env.WEBALIGN_GOLDEN === 'write', ...closeness } = options;
  if (write) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, `${JSON.stringify(Array.from(actual, worded))}\n`);
    return;
  }
  const { pass, message } = compareTensors(actual, golden(path), closeness);
  if (!pass) throw new Error(`${path}: ${message}`);
}

function golden(path: string): number[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    throw new Error(`There is no golden file ${path}. Run the tests once with WEBALIGN_GOLDEN=write.`);
  }
  const values: unknown = JSON.parse(text);
  if (!Array.isArray(values)) throw new Error(`${path} is not a golden file: expected a list of numbers.`);
  return values.map(Number);
}

/** JSON has no infinities and no NaN. */
function worded(value: number): number | string {
  return Number.isFinite(value) ? value : String(value);
}
