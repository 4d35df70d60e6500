/**
 * Reads the body of a response as it arrives: with a timeout, and never more than was announced, requested or allowed for
 * the type of file. Also reads a response's headers about its body, and detects a web page sent instead of a file.
 */
import { InputError } from './errors.ts';
import { type HttpOptions, hostOf } from './http.ts';
import { brokeOff, PassingFailure } from './http-failures.ts';
import { WaitBudget } from './http-wait.ts';

type Bytes = Uint8Array<ArrayBuffer>;

const MEBIBYTE = 2 ** 20;
/** Text files of a model. The longest tokenizers have 35 MB. */
const TEXTS = /\.(json|jinja)$/i;
const MOST_TEXT_BYTES = 64 * MEBIBYTE;
/** Limit for any other file of unknown length. */
const MOST_UNKNOWN_BYTES = 256 * MEBIBYTE;

/** The response's bytes as they arrive. Throws {@link PassingFailure} if the connection breaks or is too slow. */
export async function* bodyOf(
  response: Response,
  where: string,
  options: HttpOptions,
): AsyncGenerator<Bytes> {
  const reader = response.body?.getReader();
  if (!reader) return;
  const budget = new WaitBudget(where, hostOf(response.url || where), 'bytes', options);
  try {
    for (;;) {
      const { done, value } = await budget.wait(reader.read()).catch((cause) => {
        options.signal?.throwIfAborted();
        throw cause instanceof InputError ? new PassingFailure(cause) : brokeOff(where, cause);
      });
      if (done) return;
      budget.credit(value.byteLength);
      yield value;
    }
  } finally {
    // Not awaited: cancelling may hang too if the connection does.
    void reader.cancel().catch(() => undefined);
  }
}

/** Maximum number of bytes, and a description of them: `that were announced`. */
export interface Limit {
  bytes: number;
  which: string;
}

/** The bytes of a body, up to the limit. Throws {@link InputError} if there are more. */
export async function* within(
  body: AsyncIterable<Bytes>,
  { bytes, which }: Limit,
  where: string,
): AsyncGenerator<Bytes> {
  let come = 0;
  for await (const piece of body) {
    come += piece.byteLength;
    if (come > bytes) throw tooLong(where, `the server sends more than the ${bytes} bytes ${which}`);
    yield piece;
  }
}

function tooLong(where: string, what: string): InputError {
  const wayOut =
    'Check the address; if the file is correct, download it separately and give the folder on disk';
  return new InputError(where, what, wayOut);
}

/** Throws {@link InputError} for an announced length above the limit for this type of file. */
export function checkLength(path: string, bytes: number, where: string): void {
  if (TEXTS.test(path) && bytes > MOST_TEXT_BYTES)
    throw tooLong(where, `is ${bytes} bytes long; the limit for files of this type is ${MOST_TEXT_BYTES}`);
}

/** The limit for a file of which only the path is known. */
export function limitByKind(path: string): Limit {
  const bytes = TEXTS.test(path) ? MOST_TEXT_BYTES : MOST_UNKNOWN_BYTES;
  return { bytes, which: 'that are allowed for a file without an announced length (Content-Length)' };
}

/** The whole body as text. Throws {@link InputError} if it exceeds the limit. */
export async function textOf(
  response: Response,
  limit: Limit,
  where: string,
  options: HttpOptions,
): Promise<string> {
  const parts: Bytes[] = [];
  for await (const piece of within(bodyOf(response, where, options), limit, where)) parts.push(piece);
  return new Blob(parts).text();
}

/** The first bytes of a body: more than `length`, or all. The rest remains unread. */
export async function beginning(
  body: AsyncGenerator<Bytes>,
  length: number,
): Promise<{ bytes: Bytes; isWhole: boolean }> {
  const parts: Bytes[] = [];
  let come = 0;
  let isWhole = false;
  while (come <= length && !isWhole) {
    const { done, value } = await body.next();
    isWhole = done === true;
    if (!value) continue;
    parts.push(value);
    come += value.byteLength;
  }
  return { bytes: new Uint8Array(await new Blob(parts).arrayBuffer()), isWhole };
}

/** The bytes already read of a body, followed by the rest. */
export async function* joined(start: Bytes, rest: AsyncIterable<Bytes>): AsyncGenerator<Bytes> {
  if (start.byteLength > 0) yield start;
  yield* rest;
}

/** Whether the body is encoded, so that its byte offsets are not those of the file. */
export function isEncoded({ headers }: Response): boolean {
  return !/^(identity)?$/i.test(headers.get('content-encoding')?.trim() ?? '');
}

/** The announced length of the body; undefined if unknown. */
export function announcedLength(response: Response): number | undefined {
  const text = response.headers.get('content-length');
  return text !== null && /^\d+$/.test(text) && !isEncoded(response) ? Number(text) : undefined;
}

/** Whether the content type is a web page. */
export function isHtml({ headers }: Response): boolean {
  return /^\s*(text\/html|application\/xhtml\+xml)\b/i.test(headers.get('content-type') ?? '');
}

export function isXml({ headers }: Response): boolean {
  return /^\s*(text|application)\/xml\b/i.test(headers.get('content-type') ?? '');
}

/** Whether the bytes begin like a web page, whatever the content type. */
export function beginsLikeHtml(bytes: Uint8Array): boolean {
  const start = new TextDecoder().decode(bytes.subarray(0, 2048));
  const tag = start.replace(/^(\s|<!--.*?-->|<\?xml[^>]*\?>)+/s, '');
  return /^<(!doctype\s+html|html|head|body|meta|script|title)\b/i.test(tag);
}
