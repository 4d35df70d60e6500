/**
 * The adapter as a file: PEFT's two files in a zip, made in the tab and handed to the browser as a download.
 */
import { zipSync } from 'fflate';
import type { AdapterFiles } from 'webalign/models';

const NAME = 'webalign-adapter';

/** Offers the files as `webalign-adapter.zip`. */
export function downloadAdapter(files: AdapterFiles): void {
  // Trained numbers do not shrink; the same files give the same bytes.
  const folder = Object.fromEntries(Object.entries(files).map(([name, bytes]) => [`${NAME}/${name}`, bytes]));
  const zip = zipSync(folder, { level: 0, mtime: '1980-01-01T00:00:00' });
  const address = URL.createObjectURL(new Blob([zip], { type: 'application/zip' }));
  const link = document.createElement('a');
  link.href = address;
  link.download = `${NAME}.zip`;
  link.click();
  // The browser has begun to read it by then.
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
