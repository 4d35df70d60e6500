/** Servers that redirect elsewhere, send a page instead of a file, or refuse. */
import { PAGE } from '../file-server.ts';
import { type Hostile, json, pour, pouring } from './server.ts';

export const ADDRESSES: readonly Hostile[] = [
  json(
    'leads in a circle',
    ({ url }, response) => response.writeHead(302, { location: `${url}x` }).end(),
    'without end',
    'Check the address',
  ),
  json(
    'leads to a file',
    (_, response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
    'not http(s)',
    'ask its owner',
  ),
  json(
    'leads to data',
    (_, response) => response.writeHead(302, { location: 'data:application/json,{}' }).end(),
    'not http(s)',
  ),
  json(
    'leads nowhere',
    (_, response) => response.writeHead(302, { location: 'http://' }).end(),
    'not http(s)',
  ),
  json(
    'requires a login',
    ({ url }, response) => {
      if (!url?.startsWith('/login'))
        return response.writeHead(302, { location: '/login?back=secret' }).end();
      return response.writeHead(200, { 'content-type': 'text/html' }).end(PAGE);
    },
    'a web page (HTML), from',
    '/login.',
    'requires a login',
  ),
  json(
    'has a page for everything',
    (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end(PAGE),
    'there is no file "config.json"',
    'a web page (HTML)',
  ),
  json(
    'has a page of another type for everything',
    (_, response) => response.writeHead(200, { 'content-type': 'application/json' }).end(PAGE),
    'a web page (HTML)',
  ),
  pouring(
    8,
    json(
      'has a page without end',
      (_, response) => {
        response.writeHead(200, { 'content-type': 'text/html' });
        pour(response);
      },
      'a web page (HTML)',
    ),
  ),
  json('is overloaded for ever', (_, response) => response.writeHead(503).end(), 'responded with 503'),
  json(
    'asks to come back in a year',
    (_, response) => response.writeHead(429, { 'retry-after': '31536000' }).end(),
    '429',
  ),
  json('forbids', (_, response) => response.writeHead(403).end(), 'responded with 403'),
];
