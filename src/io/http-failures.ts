/**
 * Explains failed requests and error responses: whether a retry may help, and what the user can do.
 */
import { InputError, reason } from './errors.ts';
import { isMixed, pageOrigin } from './page-address.ts';

/** A failure that may be temporary, with the error to throw if it persists. */
export class PassingFailure extends Error {
  constructor(
    readonly error: InputError,
    /** Delay in milliseconds that the server requests. */
    readonly wait?: number,
  ) {
    super(error.message);
  }
}

/** A request without a visible response; browsers do not reveal the reason. */
export class NoAnswerError extends InputError {}

/** Platform errors that a retry would not change. */
const LASTING: readonly { said: RegExp; what: string; wayOut: string }[] = [
  {
    said: /redirect count/i,
    what: 'redirects without end',
    wayOut: 'Check the address',
  },
  {
    said: /url scheme|invalid url|unknown scheme/i,
    what: 'redirects to an address that is not http(s)',
    wayOut: 'Check the address, and ask its owner',
  },
  {
    said: /headers overflow/i,
    what: 'has a response with too many headers',
    wayOut: 'Check that it is the address of a file server',
  },
];

/** The error for a request without a response: {@link InputError} if it is permanent, otherwise {@link PassingFailure}. */
export function networkFailure(where: string, url: string, cause: unknown): InputError | PassingFailure {
  const said = reason(deepest(cause));
  const lasting = LASTING.find((row) => row.said.test(said));
  if (lasting) return new InputError(where, lasting.what, lasting.wayOut, { cause });
  if (isMixed(url)) {
    const what = 'cannot be read: the browser blocks http addresses on an https page';
    return new InputError(where, what, 'Give an address with https://', { cause });
  }
  const wayOut = 'Check the address and the connection';
  return new PassingFailure(new NoAnswerError(where, `cannot be reached: ${said}`, wayOut, { cause }));
}

/** The error if the server responds but the browser does not let the page read the response. */
export function corsError(where: string, host: string): NoAnswerError {
  const what = `${host} responds, but does not allow a page of ${pageOrigin()} to read the response (CORS)`;
  const wayOut =
    "Let the server send Access-Control-Allow-Origin, or serve the files from the page's own origin";
  return new NoAnswerError(where, what, wayOut);
}

/** The error for an interrupted response. */
export function brokeOff(where: string, cause: unknown): PassingFailure {
  const what = `the connection was interrupted: ${reason(deepest(cause))}`;
  return new PassingFailure(new InputError(where, what, 'Check the connection, and try again', { cause }));
}

/** The error for a status without further information. */
export function statusError(where: string, { status }: Response): InputError {
  if (status === 429)
    return new InputError(
      where,
      'the server responded with 429: too many requests',
      'Try again later, or with a token',
    );
  return new InputError(where, `the server responded with ${status}`, 'Check the address and access');
}

/** Node's fetch only says "fetch failed"; the reason is in its cause. */
function deepest(error: unknown): unknown {
  const { cause } = (error ?? {}) as { cause?: unknown };
  return cause instanceof Error ? deepest(cause) : error;
}
