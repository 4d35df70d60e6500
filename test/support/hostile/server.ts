/**
 * The parts of malicious servers: a row for each, with what a person must be told, and one of them running on this machine.
 * Each answers every request, so that it simulates both a folder and a hub.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createSocketServer, type Server, type Socket } from 'node:net';

export const MEGABYTE = new Uint8Array(2 ** 20).fill(0x20);
/** Answers a request, or takes over the connection. */
type Answer =
  | { http: (request: IncomingMessage, response: ServerResponse) => unknown }
  | { tcp: (socket: Socket) => unknown };

export interface Hostile {
  name: string;
  answer: Answer;
  /** What is read from it: a file at a URL, or one of a hub. */
  reads: 'config.json' | 'model.safetensors' | 'hub';
  /** Parts of the message. */
  says: readonly string[];
  /** How many megabytes it may send at most, including those that wait in its connections; 6 by default. */
  megabytes?: number;
}

/** Runs `again` every 20 ms until the connection ends. */
export function drip(connection: { destroyed: boolean }, again: () => void): void {
  const timer = setInterval(() => (connection.destroyed ? clearInterval(timer) : again()), 20);
}

/** Writes endlessly, as fast as the client reads. */
export function pour(response: ServerResponse): void {
  const more = () => {
    while (!response.destroyed) if (!response.write(MEGABYTE)) return void response.once('drain', more);
  };
  more();
}

export const partial = (response: ServerResponse, first: number, last: number, total: number) =>
  response.writeHead(206, { 'content-range': `bytes ${first}-${last}/${total}` });

export const json = (
  name: string,
  http: (request: IncomingMessage, response: ServerResponse) => unknown,
  ...says: string[]
): Hostile => ({
  name,
  answer: { http },
  reads: 'config.json',
  says,
});
export const weights = (...[name, http, ...says]: Parameters<typeof json>): Hostile => ({
  ...json(name, http, ...says),
  reads: 'model.safetensors',
});
export const tcp = (name: string, answer: (socket: Socket) => unknown, ...says: string[]): Hostile => ({
  name,
  answer: { tcp: answer },
  reads: 'config.json',
  says,
});
export const pouring = (megabytes: number, row: Hostile): Hostile => ({ ...row, megabytes });

/** The advice for everything that is too slow. */
export const TOO_SLOW = 'WEBALIGN_HTTP_TIMEOUT';

/** One of them, on this machine: how many bytes it has sent, and how many connections still have bytes to read. */
export async function openHostile({
  answer,
}: Hostile): Promise<{ url: string; sent(): number; stuck(): number; close(): void }> {
  const sockets = new Set<Socket>();
  const written: number[] = [];
  let server: Server;
  if ('tcp' in answer) server = createSocketServer((socket) => socket.once('data', () => answer.tcp(socket)));
  else server = createServer((request, response) => void answer.http(request, response));
  server.on('connection', (socket: Socket) => {
    sockets.add(socket.on('error', () => undefined));
    socket.once('close', () => written.push(socket.bytesWritten));
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    sent: () => [...written, ...[...sockets].map((socket) => socket.bytesWritten)].reduce((a, b) => a + b, 0),
    stuck: () => [...sockets].filter(({ writableLength }) => writableLength > 0).length,
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
