/**
 * A folder over HTTP. Files are read in large ranges if the server supports them, otherwise fetched as a whole, and stored
 * in a cache if there is one. No token is sent.
 */
import { type Files, filesOf } from './files.ts';
import { type FetchFilesOptions, type Found, RemoteFile, type Wanted } from './http-file.ts';
import { PieceCache } from './http-ranges.ts';
import { resolveAddress } from './page-address.ts';

/** The folder at `baseUrl`. A status of 404 or 410, or a web page instead of a file, means that the file is missing. */
export function fetchFiles(baseUrl: string, options: FetchFilesOptions = {}): Files {
  const base = URL.canParse(baseUrl) ? baseUrl : resolveAddress(baseUrl).href;
  const [name = '', query = ''] = base.split(/(?=[?#])/, 2);
  const folder = name.replace(/\/+$/, '');
  const recent = new PieceCache();
  const known = new Map<string, Promise<Found>>();
  const look = (path: string, wanted: Wanted): Promise<Found> => {
    const url = `${folder}/${path.split('/').map(encodeURIComponent).join('/')}${query}`;
    const found = new RemoteFile(url, { folder, path, recent, ...options }).look(wanted);
    known.set(path, found);
    // Failed requests, and sources that use much memory, are not remembered.
    const forget = () => known.get(path) === found && known.delete(path);
    found.then(({ isLarge }) => isLarge && forget(), forget);
    return found;
  };
  return filesOf(
    folder,
    async (path) => {
      const found = await known.get(path);
      const { source, because } =
        found && (found.source || !found.isThere) ? found : await look(path, 'file');
      if (because) throw because;
      return source;
    },
    async (path) => (await (known.get(path) ?? look(path, 'existence'))).isThere,
  );
}
