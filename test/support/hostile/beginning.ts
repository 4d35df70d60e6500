/** A file whose beginning is valid, for servers that fail after that. */
import type { IncomingMessage, ServerResponse } from 'node:http';

const ranges = (request: IncomingMessage) => request.headers.range?.match(/\d+/g)?.map(Number) ?? [];

/** A valid beginning of a file that claims `total` bytes; requests beyond it are answered by `then`. */
export const begins =
  (
    then: (request: IncomingMessage, response: ServerResponse, first: number, last: number) => unknown,
    total = 2_000_000,
  ) =>
  (request: IncomingMessage, response: ServerResponse) => {
    const [first = 0, last = 0] = ranges(request);
    response.setHeader('etag', '"1"');
    if (last !== 65_535) return then(request, response, first, last);
    return response.writeHead(206, { 'content-range': `bytes 0-65535/${total}` }).end(header(total));
  };

/** The first bytes of a safetensors file whose only tensor fills `total` bytes. */
export function header(total: number): Uint8Array {
  const size = 1000;
  const entry = { x: { dtype: 'U8', shape: [total - size - 8], data_offsets: [0, total - size - 8] } };
  const bytes = new Uint8Array(65_536);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(size), true);
  bytes.fill(0x20, 8, 8 + size);
  bytes.set(new TextEncoder().encode(JSON.stringify(entry)), 8);
  return bytes;
}
