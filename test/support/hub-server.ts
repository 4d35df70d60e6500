/**
 * A hub on this machine that answers as Hugging Face's does: its API, its files, small ones by itself and large ones by a
 * redirect to a content network, which is another server on another port and must never receive a token. It records
 * requests, and can be told to answer wrongly.
 */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Files of at least this size are large: they are named by SHA-256 and are on the content network. */
const LARGE = 1000;
/** Entries per page of the list of files. */
const PAGE = 2;

export interface Seen {
  /** Which of the two servers. */
  on: 'hub' | 'network';
  method: string;
  path: string;
  headers: IncomingMessage['headers'];
}

/** An error: gets the request and answers instead of the server, or returns `false` to let it pass. */
export type Fault = (request: Seen, response: ServerResponse, content: Uint8Array) => boolean;

export interface Repository {
  commit: string;
  files: Record<string, Uint8Array | string>;
  /** The token that is required. */
  token?: string;
  gated?: boolean;
}

export class HubServer {
  /** All requests, in order. */
  readonly seen: Seen[] = [];
  /** Each is used once, by the first request that it applies to. */
  readonly faults: Fault[] = [];
  readonly repositories: Record<string, Repository> = {};
  /** Whether ranges are supported. */
  ranges = true;

  private constructor(
    private readonly servers: readonly Server[],
    readonly url: string,
    readonly networkUrl: string,
  ) {}

  static async open(): Promise<HubServer> {
    const servers = [createServer(), createServer()];
    const urls = await Promise.all(
      servers.map(
        (server) =>
          new Promise<string>((resolve) => {
            server.listen(0, '127.0.0.1', () =>
              resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
            );
          }),
      ),
    );
    const hub = new HubServer(servers, urls[0], urls[1]);
    servers[0].on('request', (request, response) => hub.answer('hub', request, response));
    servers[1].on('request', (request, response) => hub.answer('network', request, response));
    return hub;
  }

  close(): void {
    for (const server of this.servers) {
      server.closeAllConnections();
      server.close();
    }
  }

  /** Clears the list of requests and returns it. */
  take(): Seen[] {
    return this.seen.splice(0);
  }

  private answer(on: Seen['on'], request: IncomingMessage, response: ServerResponse): ServerResponse {
    // A page of another origin may send requests, as to the real one.
    response.setHeader('access-control-allow-origin', '*');
    response.setHeader('access-control-allow-headers', 'authorization');
    response.setHeader('access-control-expose-headers', 'X-Repo-Commit,X-Error-Code,ETag,Link,Content-Range');
    if (request.method === 'OPTIONS') return response.writeHead(204).end();
    const { method = 'GET', url = '/', headers } = request;
    const asked: Seen = { on, method, path: decodeURIComponent(url), headers };
    this.seen.push(asked);
    if (on === 'network') return this.content(asked, response, this.blob(asked.path.slice(1)));
    const [, id, rest] = /^\/(?:api\/models\/)?([^/]+\/[^/]+)\/(.*)$/.exec(asked.path) ?? [];
    const repository = id === undefined ? undefined : this.repositories[id];
    if (!repository || !this.mayRead(asked, repository)) {
      return refuse(response, repository ? 401 : 404, 'RepoNotFound');
    }
    return asked.path.startsWith('/api/')
      ? this.api(asked, response, repository, rest)
      : this.file(asked, response, repository, rest);
  }

  private mayRead({ headers }: Seen, { token }: Repository): boolean {
    return token === undefined || headers.authorization === `Bearer ${token}`;
  }

  private api(
    asked: Seen,
    response: ServerResponse,
    { commit, files }: Repository,
    rest: string,
  ): ServerResponse {
    if (this.faultFor(asked, response, new Uint8Array())) return response;
    const [, kind, revision] = /^(revision|tree)\/([^?]+)/.exec(rest) ?? [];
    if (revision !== 'main' && revision !== commit) return refuse(response, 404, 'RevisionNotFound');
    if (kind === 'revision') {
      const siblings = Object.keys(files).map((rfilename) => ({ rfilename }));
      return json(response, { id: idIn(asked.path), sha: commit, siblings });
    }
    const cursor = Number(/cursor=(\d+)/.exec(rest)?.[1] ?? 0);
    const entries = Object.entries(files).map(([path, content]) => entryOf(path, bytesOf(content)));
    if (cursor + PAGE < entries.length) {
      const next = `${this.url}/api/models/${idIn(asked.path)}/tree/${commit}`;
      response.setHeader('link', `<${next}?recursive=true&cursor=${cursor + PAGE}>; rel="next"`);
    }
    return json(response, [
      { type: 'directory', oid: '0', size: 0, path: 'sub' },
      ...entries.slice(cursor, cursor + PAGE),
    ]);
  }

  private file(asked: Seen, response: ServerResponse, repository: Repository, rest: string): ServerResponse {
    const [, revision, path = ''] = /^resolve\/([^/]+)\/(.*)$/.exec(rest) ?? [];
    const { commit, files, gated } = repository;
    response.setHeader('x-repo-commit', commit);
    if (revision !== 'main' && revision !== commit) return refuse(response, 404, 'RevisionNotFound');
    if (gated) return refuse(response, 403, 'GatedRepo');
    if (!Object.hasOwn(files, path)) return refuse(response, 404, 'EntryNotFound');
    const content = bytesOf(files[path]);
    if (content.byteLength < LARGE) return this.content(asked, response, content);
    if (this.faultFor(asked, response, content)) return response;
    const location = `${this.networkUrl}/${sha256(content)}`;
    const linked = { 'x-linked-etag': `"${sha256(content)}"`, 'x-linked-size': content.byteLength };
    return response.writeHead(302, { location, ...linked }).end();
  }

  private blob(name: string): Uint8Array {
    const contents = Object.values(this.repositories).flatMap(({ files }) =>
      Object.values(files).map(bytesOf),
    );
    return contents.find((content) => sha256(content) === name) ?? new Uint8Array();
  }

  private content(asked: Seen, response: ServerResponse, content: Uint8Array): ServerResponse {
    response.setHeader('etag', `"${createHash('md5').update(content).digest('hex')}"`);
    if (this.faultFor(asked, response, content)) return response;
    return send(asked, response, content, this.ranges);
  }

  private faultFor(asked: Seen, response: ServerResponse, content: Uint8Array): boolean {
    const index = this.faults.findIndex((fault) => fault(asked, response, content));
    if (index >= 0) this.faults.splice(index, 1);
    return index >= 0;
  }
}

/** Sends the requested part, completely or up to `cut`, where the connection breaks. */
export function send(
  { headers, method }: Pick<Seen, 'headers' | 'method'>,
  response: ServerResponse,
  content: Uint8Array,
  ranges = true,
  cut?: number,
): ServerResponse {
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(ranges ? (headers.range ?? '') : '') ?? [];
  const from = Number(first ?? 0);
  const to = Math.min(content.byteLength, last ? Number(last) + 1 : content.byteLength);
  if (first !== undefined && from >= content.byteLength) {
    return response.writeHead(416, { 'content-range': `bytes */${content.byteLength}` }).end();
  }
  if (first !== undefined)
    response.setHeader('content-range', `bytes ${from}-${to - 1}/${content.byteLength}`);
  response.writeHead(first === undefined ? 200 : 206, { 'content-length': to - from });
  if (method === 'HEAD') return response.end();
  if (cut === undefined) return response.end(content.subarray(from, to));
  response.flushHeaders();
  response.write(content.subarray(from, Math.max(from, Math.min(cut, to))), () =>
    // Time for the bytes to be read: what a client has not read by the end of a connection is lost.
    setTimeout(() => response.socket?.end(), 30),
  );
  return response;
}

/** Requests for contents on the content network. */
export const isContent = ({ on, method }: Seen) => on === 'network' && method === 'GET';

/** The connection breaks at byte `at` of a large file. */
export const cutAt =
  (at: number, ranges = true): Fault =>
  (asked, response, content) => {
    if (!isContent(asked)) return false;
    send(asked, response, content, ranges, at);
    return true;
  };

/** Other content is sent. */
export const sends =
  (make: (content: Uint8Array) => Uint8Array): Fault =>
  (asked, response, content) => {
    if (!isContent(asked)) return false;
    send(asked, response, make(content));
    return true;
  };

/** Answers with a status, by default to any request. */
export const answers =
  (status: number, headers: Record<string, string> = {}, where = (_: Seen) => true): Fault =>
  (asked, response) => {
    if (!where(asked)) return false;
    response.writeHead(status, headers).end();
    return true;
  };

export function sha256(content: Uint8Array | string): string {
  return createHash('sha256').update(content).digest('hex');
}

/** The name of a blob in Git. */
export function gitName(content: Uint8Array | string): string {
  const bytes = bytesOf(content);
  return createHash('sha1').update(`blob ${bytes.byteLength}\0`).update(bytes).digest('hex');
}

function entryOf(path: string, content: Uint8Array): object {
  const size = content.byteLength;
  if (size < LARGE) return { type: 'file', oid: gitName(content), size, path };
  const lfs = { oid: sha256(content), size, pointerSize: 134 };
  return { type: 'file', oid: gitName('pointer'), size, path, lfs };
}

/** The repository's id in a path of the API. */
function idIn(path: string): string {
  return path.split('/').slice(3, 5).join('/');
}

function bytesOf(content: Uint8Array | string): Uint8Array {
  return typeof content === 'string' ? new TextEncoder().encode(content) : content;
}

function json(response: ServerResponse, value: unknown): ServerResponse {
  return response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

function refuse(response: ServerResponse, status: number, code: string): ServerResponse {
  return response.writeHead(status, { 'x-error-code': code, 'content-type': 'text/plain' }).end(code);
}
