/**
 * Stored results: one JSON file each, with a key of everything that it depends on. A file with another key, or an
 * unreadable one, counts as missing.
 */
import { join } from 'node:path';
import { contentHash, parseJsonObject } from 'webalign/files';
import { readFileIfAny, writeFileAtomic } from 'webalign/node';

export class Kept<Result extends object> {
  private constructor(
    private readonly path: string,
    readonly key: string,
  ) {}

  /** The result `name` in `folder`, which depends only on `about`. */
  static async of<Result extends object>(
    folder: string,
    name: string,
    about: unknown,
  ): Promise<Kept<Result>> {
    return new Kept(join(folder, `${name}.json`), await contentHash(JSON.stringify(about)));
  }

  async read(): Promise<Result | undefined> {
    const bytes = await readFileIfAny(this.path);
    if (!bytes) return undefined;
    try {
      const { key, ...result } = parseJsonObject(new TextDecoder().decode(bytes), this.path);
      return key === this.key ? (result as Result) : undefined;
    } catch {
      return undefined;
    }
  }

  /** Arrays of numbers are written on one line. */
  write(result: Result): Promise<void> {
    const text = JSON.stringify({ key: this.key, ...result }, null, 1);
    const inLines = text.replace(/\[[^[\]{}"]*\]/g, (list) => list.replace(/\s+/g, ''));
    return writeFileAtomic(this.path, new TextEncoder().encode(`${inLines}\n`));
  }
}
