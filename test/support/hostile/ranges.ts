/** Servers that answer a request for a range with something else. */
import { begins, header } from './beginning.ts';
import { type Hostile, json, MEGABYTE, partial, weights } from './server.ts';

export const RANGES: readonly Hostile[] = [
  weights(
    'sends the whole file for a later range',
    begins((_, response) => response.end(MEGABYTE)),
    'sent something else, but bytes 0 to 1999999 were requested',
  ),
  weights(
    'sends another range',
    begins((_, response, first, last) => partial(response, first + 1, last + 1, 2_000_000).end(MEGABYTE)),
    'sent bytes 1 to 2000000',
  ),
  weights(
    'sends another range at once',
    (_, response) => partial(response, 5, 65_540, 2_000_000).end(MEGABYTE.subarray(0, 65_536)),
    'did not send the first 65536 bytes',
  ),
  weights(
    'sends a part of a range, again and again',
    begins((_, response, first) => partial(response, first, first, 2_000_000).end('a')),
    '6 of 2000000 bytes arrived',
  ),
  weights(
    'has another length meanwhile',
    begins((_, response, first, last) => partial(response, first, last, 3_000_000).end(MEGABYTE)),
    'changed on the server',
    'Try again',
  ),
  weights(
    'has another ETag meanwhile',
    begins((_, response, first, last) => {
      response.setHeader('etag', '"2"');
      partial(response, first, last, 2_000_000).end(MEGABYTE);
    }),
    'changed on the server',
    'Try again',
  ),
  weights(
    'claims more bytes than it has',
    begins((_, response) => response.writeHead(416).end(), 1e12),
    '999999998992 bytes',
    'not enough memory',
  ),
  weights(
    'says of its range another length than its header',
    (_, response) => {
      partial(response, 0, 65_535, 5_000_000).end(header(2_000_000));
    },
    'the tensors end at byte',
  ),
  json(
    'has no first bytes',
    (_, response) => response.writeHead(416, { 'content-range': 'bytes */100' }).end(),
    'responded with 416',
  ),
  json(
    'sends an empty range',
    (_, response) => partial(response, 0, 99, 100).end(),
    '0 of 100 bytes arrived',
  ),
  weights(
    'breaks a range off, again and again',
    begins((_, response, first, last) => {
      response.setHeader('content-length', last - first + 1);
      partial(response, first, last, 2_000_000).flushHeaders();
      setTimeout(() => response.destroy(), 10);
    }),
    'was interrupted',
  ),
];
