/**
 * The bytes of an answer: taken as they come, in time, and never more than were announced or asked for, or than a file of the
 * kind can have. Also what an answer's headers say of its body, and whether that is a web page in a file's place.
 */
import { InputError } from './errors.ts';
import { type HttpOptions, hostOf } from './http.ts';
import { brokeOff, PassingFailure } from './http-failures.ts';
import { WaitBudget } from './http-wait.ts';

type Bytes = Uint8Array<ArrayBuffer>;

const MEBIBYTE = 2 ** 20;
/** Texts that belong to a model. The longest tokenizers have 35 MB. */
const TEXTS = /\.(json|jinja)$/i;
const MOST_TEXT_BYTES = 64 * MEBIBYTE;
/** Of any other file, where nothing says how long it is. */
const MOST_UNKNOWN_BYTES = 256 * MEBIBYTE;

/** The answer's bytes as they come. A {@link PassingFailure} where they break off, or come too slowly. */
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
    // Not awaited: a connection that hangs may hang here too.
    void reader.cancel().catch(() => undefined);
  }
}

/** How many bytes may come, and which they are: `that were announced`. */
export interface Limit {
  bytes: number;
  which: string;
}

/** The bytes of a body, up to the limit. {@link InputError} where one more comes. */
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
    'Check the address; if the file is right, fetch it by other means and give the folder on disk';
  return new InputError(where, what, wayOut);
}

/** {@link InputError} for a file that is said to be longer than any of its kind. */
export function checkLength(path: string, bytes: number, where: string): void {
  if (TEXTS.test(path) && bytes > MOST_TEXT_BYTES)
    throw tooLong(
      where,
      `is ${bytes} bytes long, where at most ${MOST_TEXT_BYTES} are read of a file of its kind`,
    );
}

/** The limit of a file that nothing is known of but its path. */
export function limitByKind(path: string): Limit {
  const bytes = TEXTS.test(path) ? MOST_TEXT_BYTES : MOST_UNKNOWN_BYTES;
  return { bytes, which: 'that are read of a file whose length it does not announce (Content-Length)' };
}

/** The whole body as text. {@link InputError} where it is longer than the limit. */
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

/** The first bytes of a body, at least one more than `length` or all there are. The rest stays. */
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

/** What was taken of a body, and the rest. */
export async function* joined(start: Bytes, rest: AsyncIterable<Bytes>): AsyncGenerator<Bytes> {
  if (start.byteLength > 0) yield start;
  yield* rest;
}

/** Whether the bytes of the body are others than the file's: a part of it then says nothing about a part of the file. */
export function isEncoded({ headers }: Response): boolean {
  return !/^(identity)?$/i.test(headers.get('content-encoding')?.trim() ?? '');
}

/** How many bytes the answer's headers say come; `undefined` where they do not. */
export function announcedLength(response: Response): number | undefined {
  const text = response.headers.get('content-length');
  return text !== null && /^\d+$/.test(text) && !isEncoded(response) ? Number(text) : undefined;
}

/** Whether the answer is a web page by its type. */
export function isHtml({ headers }: Response): boolean {
  return /^\s*(text\/html|application\/xhtml\+xml)\b/i.test(headers.get('content-type') ?? '');
}

/** Whether a file begins as web pages do, whatever its type says. */
export function beginsLikeHtml(bytes: Uint8Array): boolean {
  const start = new TextDecoder().decode(bytes.subarray(0, 2048));
  const tag = start.replace(/^(\s|<!--.*?-->|<\?xml[^>]*\?>)+/s, '');
  return /^<(!doctype\s+html|html|head|body|meta|script|title)\b/i.test(tag);
}
