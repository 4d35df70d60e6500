/** Files in a zip that is made piece by piece and never whole in memory. Nothing is compressed: weights do not shrink. */
import { Zip, ZipPassThrough } from 'fflate';
import { InputError } from 'webalign';
import { formatBytes } from 'webalign/gpu';
import type { StreamedFile } from 'webalign/models';

/** The format's own limit, without an extension that this writer lacks. */
const MOST_BYTES = 2 ** 32 - 2 ** 20;

/** The zip's pieces; `folder` holds all files. Throws `InputError` for more than 4 GiB. */
export async function* zipped(
  folder: string,
  files: Readonly<Record<string, StreamedFile>>,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  const bytes = Object.values(files).reduce((sum, file) => sum + file.bytes, 0);
  if (bytes > MOST_BYTES) {
    const what = `takes ${formatBytes(bytes)}, and a zip holds ${formatBytes(MOST_BYTES)}`;
    throw new InputError(folder, what, 'Export the whole model as GGUF');
  }
  const ready: Uint8Array<ArrayBuffer>[] = [];
  const zip = new Zip((error, piece) => {
    if (error) throw error;
    ready.push(piece);
  });
  for (const [path, file] of Object.entries(files)) {
    const entry = new ZipPassThrough(`${folder}/${path}`);
    // The same files give the same bytes.
    entry.mtime = '1980-01-01T00:00:00';
    zip.add(entry);
    for await (const piece of file.pieces()) {
      entry.push(piece);
      yield* ready.splice(0);
    }
    entry.push(new Uint8Array(), true);
    yield* ready.splice(0);
  }
  zip.end();
  yield* ready.splice(0);
}
