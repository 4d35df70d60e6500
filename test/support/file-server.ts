/**
 * Servers on this machine that serve the files of a folder, each like a common kind of server: with and without ranges,
 * with a page for missing files, compressed, by redirects. They record their requests.
 */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { send } from './hub-server.ts';

export interface Asked {
  method: string;
  /** Decoded, without a query. */
  path: string;
  headers: IncomingMessage['headers'];
}

/** Answers as one kind of server does; `content` is the file, if it exists. */
export type Answer = (
  asked: Asked,
  response: ServerResponse,
  content: Uint8Array | undefined,
  server: FileServer,
) => unknown;

export class FileServer {
  /** All requests, in order. */
  readonly seen: Asked[] = [];
  /** Bytes that were written to all answers. */
  sent = 0;

  private constructor(
    private readonly server: Server,
    /** By path, which begins with a slash. May be changed at any time. */
    readonly files: Record<string, Uint8Array>,
    readonly url: string,
  ) {}

  static async open(files: Record<string, Uint8Array>, answer: Answer): Promise<FileServer> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const made = new FileServer(server, files, `http://127.0.0.1:${port}`);
    server.on('request', (request, response) => {
      const { method = 'GET', url = '/', headers } = request;
      const asked = { method, path: decodeURIComponent(url.replace(/\?.*/, '')), headers };
      made.seen.push(asked);
      count(response, (bytes) => {
        made.sent += bytes;
      });
      void answer(asked, response, made.files[asked.path], made);
    });
    return made;
  }

  close(): void {
    this.server.closeAllConnections();
    this.server.close();
  }

  /** Clears the list of requests and returns it: `GET /model/config.json bytes=0-65535`. */
  take(): string[] {
    return this.seen
      .splice(0)
      .map(({ method, path, headers }) => `${method} ${path} ${headers.range ?? ''}`.trim());
  }
}

function count(response: ServerResponse, onBytes: (bytes: number) => void): void {
  for (const name of ['write', 'end'] as const) {
    const send = response[name].bind(response) as (...args: unknown[]) => never;
    response[name] = (...args: unknown[]) => {
      if (args[0] instanceof Uint8Array) onBytes(args[0].byteLength);
      return send(...args);
    };
  }
}

/** The page of an app, which many servers send for missing files. */
export const PAGE =
  '<!doctype html><html><head><title>app</title></head><body><div id="app"></div></body></html>\n';

const etags = new WeakMap<Uint8Array, string>();

export function etagOf(content: Uint8Array): string {
  const etag = etags.get(content) ?? `"${createHash('md5').update(content).digest('hex')}"`;
  etags.set(content, etag);
  return etag;
}

const missing: Answer = (_, response) =>
  response.writeHead(404, { 'content-type': 'text/plain' }).end('not found');

/** Ranges, ETags and conditional requests, as in nginx and most others. */
const plain: Answer = (asked, response, content, server) => {
  if (!content) return missing(asked, response, content, server);
  return withEtag(asked, response, content, etagOf(content));
};

function withEtag(asked: Asked, response: ServerResponse, content: Uint8Array, etag: string): unknown {
  response.setHeader('etag', etag);
  if (asked.headers['if-none-match'] === etag) return response.writeHead(304).end();
  const { range, 'if-range': ifRange, ...headers } = asked.headers;
  const isStill = ifRange === undefined || ifRange === etag;
  return send({ ...asked, headers: isStill && range ? { ...headers, range } : headers }, response, content);
}

/** Vite's servers: weak ETags, the app's page for any other path, and compression of texts if no range is requested. */
const vite =
  (compresses: boolean): Answer =>
  (asked, response, content) => {
    response.setHeader('vary', 'Origin');
    response.setHeader('cache-control', 'no-cache');
    if (!content) {
      response.setHeader('content-type', 'text/html');
      response.setHeader('etag', `W/${etagOf(Buffer.from(PAGE))}`);
      return response
        .writeHead(200, asked.method === 'HEAD' ? {} : { 'content-length': PAGE.length })
        .end(PAGE);
    }
    const isText = asked.path.endsWith('.json');
    response.setHeader('content-type', isText ? 'application/json' : '');
    response.setHeader('last-modified', new Date(0).toUTCString());
    const etag = `W/"${content.byteLength}-${etagOf(content).slice(1, 9)}"`;
    const isPacked = /gzip/.test(String(asked.headers['accept-encoding'])) && !asked.headers.range;
    if (!compresses || !isText || !isPacked) return withEtag(asked, response, content, etag);
    return response.writeHead(200, { etag, 'content-encoding': 'gzip' }).end(gzipSync(content));
  };

/** A page of the app with status 200, as hosts of single-page apps send it. */
const fallback: Answer = (asked, response, content, server) => {
  if (content) return plain(asked, response, content, server);
  return response.writeHead(200, { 'content-type': 'text/html; charset=UTF-8' }).end(PAGE);
};

/** The same page, with the content type of the requested file. */
const lying: Answer = (asked, response, content, server) => {
  if (content) return plain(asked, response, content, server);
  response.setHeader(
    'content-type',
    asked.path.endsWith('.json') ? 'application/json' : 'application/octet-stream',
  );
  return send(asked, response, Buffer.from(`\n<!-- app -->${PAGE}`));
};

/** A bucket of S3 whose files may be read but not listed: access to a missing one is denied. */
const unlisted: Answer = (asked, response, content, server) => {
  if (content) return plain(asked, response, content, server);
  const body = '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code></Error>';
  return response.writeHead(403, { 'content-type': 'application/xml' }).end(body);
};

const withoutRanges: Answer = (asked, response, content, server) => {
  if (!content) return missing(asked, response, content, server);
  const lastModified = new Date(0).toUTCString();
  response.setHeader('last-modified', lastModified);
  if (asked.headers['if-modified-since'] === lastModified) return response.writeHead(304).end();
  return send(asked, response, content, false);
};

/** Files that are stored compressed: a range is one of the compressed bytes. */
const packed: Answer = (asked, response, content, server) => {
  if (!content) return missing(asked, response, content, server);
  response.setHeader('content-encoding', 'gzip');
  return withEtag(asked, response, gzipSync(content), etagOf(content));
};

/** No length, no ranges and no versions. */
const chunked: Answer = (asked, response, content, server) => {
  if (!content) return missing(asked, response, content, server);
  for (let at = 0; at < content.byteLength; at += 100_000) response.write(content.subarray(at, at + 100_000));
  return response.end();
};

/** Every file is elsewhere: first at a relative URL, then on another host. */
const redirected: Answer = (asked, response, _, server) => {
  if (asked.path.startsWith('/moved')) {
    const [, there] = server.url.split('127.0.0.1');
    const location = `http://localhost${there}/files${asked.path.replace('/moved', '')}`;
    return response.writeHead(307, { location }).end();
  }
  if (!asked.path.startsWith('/files'))
    return response.writeHead(302, { location: `/moved${asked.path}` }).end();
  return plain(asked, response, server.files[asked.path.replace('/files', '')], server);
};

/** Does not support HEAD, and does not say in a range how long the file is. */
const withoutHead: Answer = (asked, response, content, server) => {
  if (asked.method === 'HEAD') return response.writeHead(405).end();
  if (!content || !asked.headers.range) return plain(asked, response, content, server);
  const [first = 0, last = 0] = asked.headers.range.match(/\d+/g)?.map(Number) ?? [];
  const part = content.subarray(first, last + 1);
  response.setHeader('content-range', `bytes ${first}-${first + part.byteLength - 1}/*`);
  return response.writeHead(206).end(part);
};

/** Answers late, and sends little at a time. */
const slow: Answer = async (asked, response, content, server) => {
  if (!content) return missing(asked, response, content, server);
  const pause = () => new Promise((go) => setTimeout(go, 30));
  await pause();
  const [first = 0, last = content.byteLength - 1] = asked.headers.range?.match(/\d+/g)?.map(Number) ?? [];
  const part = content.subarray(first, last + 1);
  const range = `bytes ${first}-${first + part.byteLength - 1}/${content.byteLength}`;
  response.writeHead(206, {
    'content-range': range,
    'content-length': part.byteLength,
    etag: etagOf(content),
  });
  for (let at = 0; at < part.byteLength; at += 200_000) {
    response.write(part.subarray(at, at + 200_000));
    await pause();
  }
  return response.end();
};

/** The kinds of server from which a model must load, by name. */
export const SERVERS: Readonly<Record<string, Answer>> = {
  'a plain server': plain,
  'Vite dev': vite(false),
  'Vite preview': vite(true),
  "a single-page app's host": fallback,
  'a page with status 200 and a wrong type': lying,
  'a bucket that may not be listed': unlisted,
  'no ranges': withoutRanges,
  'compressed files': packed,
  'no lengths': chunked,
  'redirects, relative and to another host': redirected,
  'no HEAD and no totals': withoutHead,
  'a slow server': slow,
};
