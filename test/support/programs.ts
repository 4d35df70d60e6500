/** Programs that some tests need and that may not be installed. */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The first that exists: `given`, or one of the names in a folder of `$PATH` or of `more`. */
export function findProgram(
  given: string | undefined,
  names: readonly string[],
  more: readonly string[] = [],
): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...more];
  const places = [given, ...names.flatMap((name) => folders.map((folder) => join(folder, name)))];
  return places.find((place) => place && existsSync(place));
}
