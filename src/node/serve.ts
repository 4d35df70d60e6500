/**
 * A file server for tests and pages on this machine: read-only folders over http on 127.0.0.1, which browsers treat as a
 * secure context with `navigator.gpu`. Only its own pages may frame them. It never keeps a process alive, and never serves
 * a file outside its folders.
 */

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize, sep } from 'node:path';
import { own } from '../base/lookup.ts';

const TYPES: Record<string, string> = {
  '.css': 'text/css',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.map': 'application/json',
  '.mjs': 'text/javascript',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
};

export interface Server {
  /** `http://127.0.0.1:PORT`, without a trailing slash. */
  url: string;
  close(): Promise<void>;
}

/**
 * Serves folders by the prefix of the path: `{ '/': 'dist', '/shared/': '../shared' }`; the longest prefix applies. A
 * folder without `index.html` shows an empty page.
 */
export async function serve(folders: Record<string, string>): Promise<Server> {
  const prefixes = Object.keys(folders).sort((a, b) => b.length - a.length);
  const server = createServer(async (request, response) => {
    const path = filePath(new URL(request.url ?? '/', 'http://localhost').pathname);
    const content = path === undefined ? undefined : await readFile(path).catch(() => undefined);
    const isIndex = request.url?.split('?')[0]?.endsWith('/');
    if (content === undefined && !isIndex) {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('not found');
      return;
    }
    const type = isIndex ? TYPES['.html'] : own(TYPES, extname(path ?? ''));
    response.writeHead(200, {
      // Not possible in a `<meta>` element.
      'content-security-policy': "frame-ancestors 'self'",
      'x-content-type-options': 'nosniff',
      'content-type': type ?? 'application/octet-stream',
      'cache-control': 'no-store',
    });
    response.end(content ?? '<!doctype html><meta charset="utf-8"><title>empty</title>');
  });

  function filePath(pathname: string): string | undefined {
    const prefix = prefixes.find((each) => pathname.startsWith(each));
    if (prefix === undefined) return undefined;
    let rest: string;
    try {
      rest = normalize(decodeURIComponent(pathname.slice(prefix.length)) || 'index.html');
    } catch {
      return undefined;
    }
    if (rest.endsWith(sep)) rest = join(rest, 'index.html');
    return rest.startsWith('..') || rest.includes('\0') ? undefined : join(own(folders, prefix)!, rest);
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  server.unref();
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The test server has no port.');
  return {
    url: `http://127.0.0.1:${address.port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
