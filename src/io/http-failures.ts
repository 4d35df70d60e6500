/**
 * What it means that a request fails, or is answered with an error, in a sentence each: what is over in a moment, what will
 * stay, and what a person can do about it.
 */
import { InputError, reason } from './errors.ts';
import { isMixed, pageOrigin } from './page-address.ts';

/** A failure that may be over in a moment, with the error that it is where it is not. */
export class PassingFailure extends Error {
  constructor(
    readonly error: InputError,
    /** Milliseconds that the server asks to wait. */
    readonly wait?: number,
  ) {
    super(error.message);
  }
}

/** A request that was not answered, as far as this program is shown; a browser does not say why. */
export class NoAnswerError extends InputError {}

/** What the platform says of an answer that will be the same the next time. */
const LASTING: readonly { said: RegExp; what: string; wayOut: string }[] = [
  {
    said: /redirect count/i,
    what: 'leads from one address to the next without end',
    wayOut: 'Check the address',
  },
  {
    said: /url scheme|invalid url|unknown scheme/i,
    what: 'leads to an address that is not http(s)',
    wayOut: 'Check the address, and ask whose it is',
  },
  {
    said: /headers overflow/i,
    what: 'is answered with more headers than can be read',
    wayOut: 'Check that it is the address of a file server',
  },
];

/** The error for a request without an answer: an {@link InputError} where it will stay so, else a {@link PassingFailure}. */
export function networkFailure(where: string, url: string, cause: unknown): InputError | PassingFailure {
  const said = reason(deepest(cause));
  const lasting = LASTING.find((row) => row.said.test(said));
  if (lasting) return new InputError(where, lasting.what, lasting.wayOut, { cause });
  if (isMixed(url)) {
    const what = 'cannot be read: this page came over https, and its browser keeps it from http';
    return new InputError(where, what, 'Give an address with https://', { cause });
  }
  const wayOut = 'Check the address and the connection';
  return new PassingFailure(new NoAnswerError(where, `cannot be reached: ${said}`, wayOut, { cause }));
}

/** The error for a server that answers, where the browser keeps the answer from the page. */
export function corsError(where: string, host: string): NoAnswerError {
  const what = `${host} answers, and does not allow a page of ${pageOrigin()} to read it (CORS)`;
  const wayOut =
    "Let the server send Access-Control-Allow-Origin, or serve the files from the page's own origin";
  return new NoAnswerError(where, what, wayOut);
}

/** The error for an answer that broke off. */
export function brokeOff(where: string, cause: unknown): PassingFailure {
  const what = `the connection broke off: ${reason(deepest(cause))}`;
  return new PassingFailure(new InputError(where, what, 'Check the connection, and try again', { cause }));
}

/** What an answer's status says when nothing more is known. */
export function statusError(where: string, { status }: Response): InputError {
  if (status === 429)
    return new InputError(
      where,
      'the server answers 429: too many requests',
      'Try again later, or with a token',
    );
  return new InputError(where, `the server answered ${status}`, 'Check the address and access');
}

/** Node's fetch only says "fetch failed"; what failed is in its cause. */
function deepest(error: unknown): unknown {
  const { cause } = (error ?? {}) as { cause?: unknown };
  return cause instanceof Error ? deepest(cause) : error;
}
