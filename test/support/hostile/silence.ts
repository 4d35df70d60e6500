/** Servers that are silent, send slowly, or break the connection. */

import { begins } from './beginning.ts';
import { drip, type Hostile, json, partial, TOO_SLOW, tcp, weights } from './server.ts';

export const SILENCE: readonly Hostile[] = [
  tcp('never answers', () => undefined, 'has not answered for 0.2 s', TOO_SLOW),
  tcp('hangs up', (socket) => socket.destroy(), 'cannot be reached', 'connection'),
  tcp('does not speak HTTP', (socket) => socket.end('SSH-2.0-x\r\n\r\n'), 'cannot be reached'),
  tcp(
    'lets headers trickle',
    (socket) => {
      socket.write('HTTP/1.1 200 OK\r\nx-a: ');
      drip(socket, () => socket.write('a'));
    },
    'has not answered for 0.2 s',
    TOO_SLOW,
  ),
  tcp(
    'sends headers without end',
    (socket) => {
      socket.write('HTTP/1.1 200 OK\r\n');
      for (let i = 0; i < 20; i++) socket.write(`x-${i}: ${'a'.repeat(1000)}\r\n`);
      drip(socket, () => socket.write(`x: ${'a'.repeat(1000)}\r\n`));
    },
    'too many headers',
    'file server',
  ),
  json(
    'answers, and then is silent',
    (_, response) => response.flushHeaders(),
    'has not sent a byte for 0.2 s',
    TOO_SLOW,
  ),
  json(
    'lets the body trickle',
    (_, response) => drip(response, () => response.write('a')),
    'fewer than 1024 bytes a second',
    TOO_SLOW,
  ),
  weights(
    'gives a few bytes of a range with each answer',
    begins((_, response, first, last) => {
      partial(response, first, last, 2_000_000).write('abc');
      setTimeout(() => response.destroy(), 20);
    }),
    'was interrupted',
    'try again',
  ),
  weights(
    'lets a range trickle',
    begins((_, response, first, last) => {
      partial(response, first, last, 2_000_000);
      drip(response, () => response.write('a'));
    }),
    'fewer than 1024 bytes a second',
    TOO_SLOW,
  ),
];
