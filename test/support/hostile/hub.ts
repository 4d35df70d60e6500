/** Hubs that are silent, endless, or give wrong information about their files. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { PAGE } from '../file-server.ts';
import { send, sha256 } from '../hub-server.ts';
import { drip, type Hostile, json, pour, pouring, TOO_SLOW, tcp } from './server.ts';

const COMMIT = 'c0ffee'.padEnd(40, '0');

/** A hub that describes its only file by `entry`, and answers a request for it with `content`. */
const hub =
  (entry: object, content: (request: IncomingMessage, response: ServerResponse) => unknown) =>
  (request: IncomingMessage, response: ServerResponse) => {
    const { url = '' } = request;
    if (url.includes('/revision/')) return response.end(JSON.stringify({ sha: COMMIT }));
    if (!url.includes('/tree/')) return content(request, response);
    const file = { type: 'file', path: 'config.json', oid: '0'.repeat(40), size: 100, ...entry };
    return response.end(JSON.stringify([file]));
  };

const ofHub = (...[name, http, ...says]: Parameters<typeof json>): Hostile => ({
  ...json(name, http, ...says),
  reads: 'hub',
});

export const HUBS: readonly Hostile[] = [
  {
    ...tcp('a hub that never answers', () => undefined, 'has not answered for 0.2 s', TOO_SLOW),
    reads: 'hub',
  },
  ofHub(
    'a hub that trickles',
    (_, response) => drip(response, () => response.write('{')),
    'fewer than 1024 bytes a second',
    TOO_SLOW,
  ),
  ofHub(
    'a hub that answers with a page',
    (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end(PAGE),
    'a web page (HTML)',
    'HF_ENDPOINT',
  ),
  pouring(
    16,
    ofHub('a hub that answers without end', (_, response) => pour(response), 'more than the 8388608 bytes'),
  ),
  ofHub(
    'a hub with a list without end',
    ({ url = '' }, response) => {
      if (url.includes('/revision/')) return response.end(JSON.stringify({ sha: COMMIT }));
      return response.writeHead(200, { link: `<${url}>; rel="next"` }).end('[]');
    },
    'where its list of files ends',
  ),
  pouring(
    80,
    ofHub(
      'a hub with a long list without end',
      ({ url = '' }, response) => {
        if (url.includes('/revision/')) return response.end(JSON.stringify({ sha: COMMIT }));
        return response.writeHead(200, { link: `<${url}>; rel="next"` }).end(`[${' '.repeat(7_000_000)}]`);
      },
      'that are allowed for a response of the hub',
    ),
  ),
  ofHub(
    'a hub whose file has another hash',
    hub({ oid: sha256('x').slice(0, 40), size: 7 }, (request, response) =>
      send({ method: 'GET', headers: request.headers }, response, Buffer.from('{"a":1}')),
    ),
    'its hash is',
    'try again',
  ),
  pouring(
    8,
    ofHub(
      'a hub whose file has no end',
      hub({}, (_, response) => pour(response)),
      'more than the expected 100 bytes',
    ),
  ),
  ofHub(
    'a hub whose file is a page',
    hub({}, (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end(PAGE)),
    'a web page (HTML) was sent instead',
    'HF_ENDPOINT',
  ),
  ofHub(
    'a hub whose file trickles',
    hub({}, (_, response) => drip(response, () => response.write('a'))),
    'fewer than 1024 bytes a second',
    TOO_SLOW,
  ),
  ofHub(
    'a hub whose text is promised to be huge',
    hub({ size: 1e12 }, (_, response) => pour(response)),
    'is 1000000000000 bytes long',
  ),
  ofHub(
    'a hub whose file never answers',
    hub({}, () => undefined),
    'has not answered for 0.2 s',
    TOO_SLOW,
  ),
  ofHub(
    'a hub whose file leads in a circle',
    hub({}, ({ url }, response) => response.writeHead(302, { location: `${url}x` }).end()),
    'without end',
    'Check the address',
  ),
  ofHub(
    'a hub that leads to a file',
    hub({}, (_, response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end()),
    'not http(s)',
  ),
  ofHub(
    'a hub whose file is cut again and again',
    hub({}, (_, response) => {
      response
        .writeHead(200, { 'content-length': 100 })
        .write('{', () => setTimeout(() => response.destroy(), 10));
    }),
    'was interrupted',
  ),
];
