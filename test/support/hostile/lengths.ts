/** Servers that send more or less than they announce, endless data, or data that is much larger when decompressed. */
import type { ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { begins } from './beginning.ts';
import { type Hostile, json, MEGABYTE, partial, pour, pouring, weights } from './server.ts';

/** 64 MB of zeros. */
const BOMB = gzipSync(new Uint8Array(2 ** 26));

const gzipped = (response: ServerResponse, body: Uint8Array) =>
  response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': body.byteLength }).end(body);

export const LENGTHS: readonly Hostile[] = [
  json(
    'announces more than it sends',
    (_, response) => {
      response.writeHead(200, { 'content-length': 100 }).write('{"a":1}', () => response.socket?.end());
    },
    'was interrupted',
  ),
  json(
    'announces less than it sends',
    (_, response) => {
      response.socket?.write('HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n{"a":1, "b":2}');
    },
    'config.json',
  ),
  pouring(
    80,
    json(
      'sends a text without end',
      (_, response) => pour(response),
      'more than the 67108864 bytes',
      'download it separately',
    ),
  ),
  pouring(
    300,
    weights(
      'sends weights without end',
      (_, response) => pour(response),
      'more than the 268435456 bytes',
      'Content-Length',
    ),
  ),
  json(
    'announces a text of a terabyte',
    (_, response) => {
      response.writeHead(200, { 'content-length': 1e12 });
      pour(response);
    },
    'is 1000000000000 bytes long',
    'is 67108864',
  ),
  weights(
    'announces weights of a thousand terabytes',
    (_, response) => {
      response.writeHead(200, { 'content-length': 1e15 });
      pour(response);
    },
    '1000000000000000 bytes',
    'not enough memory',
  ),
  json('sends nothing', (_, response) => response.end(), 'the file is empty'),
  json('has no content', (_, response) => response.writeHead(204).end(), 'responded with 204'),
  pouring(
    8,
    json(
      'sends a range without end',
      (_, response) => {
        partial(response, 0, 99, 100);
        pour(response);
      },
      'did not send the first 100 bytes',
    ),
  ),
  pouring(
    16,
    weights(
      'sends a later range without end',
      begins((_, response, first, last) => {
        partial(response, first, last, 2_000_000);
        pour(response);
      }),
      'more than the 2000000 bytes that were requested',
    ),
  ),
  json('sends a bomb for a text', (_, response) => gzipped(response, BOMB), 'this is not valid JSON'),
  json(
    'sends a bomb in a bomb',
    (_, response) => gzipped(response, Buffer.concat([BOMB, BOMB])),
    'more than the 67108864 bytes',
  ),
  weights(
    'sends a bomb for weights',
    (_, response) => gzipped(response, Buffer.concat(Array(5).fill(BOMB))),
    'more than the 268435456 bytes',
  ),
  json(
    'sends what cannot be unpacked',
    (_, response) => gzipped(response, MEGABYTE.subarray(0, 100)),
    'was interrupted',
  ),
];
