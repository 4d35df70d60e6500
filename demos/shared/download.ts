/**
 * Files that are created in the tab and offered as downloads; the adapter is PEFT's two files in a zip.
 */
import { zipSync } from 'fflate';
import type { AdapterFiles } from 'webalign/models';

const NAME = 'webalign-adapter';

/** Offers the files as `webalign-adapter.zip`. */
export function downloadAdapter(files: AdapterFiles): void {
  // Trained numbers do not compress; equal files give equal bytes.
  const folder = Object.fromEntries(Object.entries(files).map(([name, bytes]) => [`${NAME}/${name}`, bytes]));
  const zip = zipSync(folder, { level: 0, mtime: '1980-01-01T00:00:00' });
  downloadFile(new Blob([zip], { type: 'application/zip' }), `${NAME}.zip`);
}

/** Offers a file as a download with this name. */
export function downloadFile(file: Blob, name: string): void {
  const address = URL.createObjectURL(file);
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  // By then, the browser has started to read it.
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
