/**
 * Requests that outlive a bad moment: what passes by itself, a busy server, a cut connection, is tried again after a while,
 * longer each time, or as long as the server asks for. What a lasting refusal means is the caller's business.
 */
import { InputError, reason } from './errors.ts';

export interface HttpOptions {
  /** In place of the platform's: a proxy, or a test. */
  fetch?: typeof globalThis.fetch | undefined;
  signal?: AbortSignal | undefined;
  /** Hears a line where something unusual happens, or takes its time. */
  onNotice?: ((line: string) => void) | undefined;
  /** How to let time pass; for tests. */
  pause?: ((milliseconds: number, signal?: AbortSignal) => Promise<void>) | undefined;
}

/** Answers that may be another one soon. */
const PASSING_STATUS = [408, 425, 429, 500, 502, 503, 504];
/** Tries in a row without a byte gained. */
const MOST_TRIES = 6;
const FIRST_PAUSE_MS = 250;
/** A server that asks for more patience than this is taken to refuse. */
const LONGEST_PAUSE_MS = 300_000;
/** A connection that has been silent for this long is given up. */
const SILENCE_MS = 60_000;

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

/** Does `work`, and again where it fails in passing; `gained` says that it got further, so that patience begins anew. */
export async function persist<T>(
  work: (gained: () => void) => Promise<T>,
  { signal, pause = sleep, onNotice }: HttpOptions,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work(() => {
        tries = 0;
      });
    } catch (failure) {
      signal?.throwIfAborted();
      if (!(failure instanceof PassingFailure)) throw failure;
      const wait = failure.wait ?? FIRST_PAUSE_MS * 2 ** tries;
      if (tries >= MOST_TRIES || wait > LONGEST_PAUSE_MS) throw failure.error;
      const { where, what } = failure.error;
      onNotice?.(`${where}: ${what}; trying again${wait < 1000 ? '' : ` in ${Math.round(wait / 1000)} s`}`);
      await pause(wait, signal);
    }
  }
}

/** One request, once. A {@link PassingFailure} where trying again may help; any other answer as it is. */
export async function fetchOnce(
  url: string,
  init: RequestInit,
  { fetch = globalThis.fetch, signal }: HttpOptions,
): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { ...init, ...(signal && { signal }) });
  } catch (cause) {
    signal?.throwIfAborted();
    const what = `cannot be reached: ${reason(deepest(cause))}`;
    const wayOut = 'Check the address and the connection';
    throw new PassingFailure(new InputError(shown(url), what, wayOut, { cause }));
  }
  if (!PASSING_STATUS.includes(response.status)) return response;
  await response.body?.cancel();
  throw new PassingFailure(statusError(shown(url), response), retryAfter(response));
}

/** A request that is tried until it is answered for good. */
export function request(url: string, init: RequestInit, options: HttpOptions): Promise<Response> {
  return persist(() => fetchOnce(url, init, options), options);
}

/** An address without what may be secret in it. */
function shown(url: string): string {
  return url.replace(/[?#].*/s, '');
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

/** The answer's bytes as they come. A {@link PassingFailure} where they break off or nothing comes for a long time. */
export async function* bodyOf(
  response: Response,
  where: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const reader = response.body?.getReader();
  if (!reader) return;
  try {
    for (;;) {
      const { done, value } = await withinTime(reader.read()).catch((cause) => {
        signal?.throwIfAborted();
        const what = `the connection broke off: ${reason(deepest(cause))}`;
        throw new PassingFailure(new InputError(where, what, 'Try again: what came is kept', { cause }));
      });
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

function withinTime<T>(promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout>;
  const silence = new Promise<never>((_, fail) => {
    timer = setTimeout(() => fail(new Error('nothing came for a minute')), SILENCE_MS);
  });
  return Promise.race([promise, silence]).finally(() => clearTimeout(timer));
}

/** Milliseconds of a `Retry-After`, which gives seconds or a date. */
function retryAfter({ headers }: Response): number | undefined {
  const text = headers.get('retry-after');
  if (text === null) return undefined;
  const milliseconds = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isFinite(milliseconds) ? Math.max(0, milliseconds) : undefined;
}

/** Node's fetch only says "fetch failed"; what failed is in its cause. */
function deepest(error: unknown): unknown {
  const { cause } = (error ?? {}) as { cause?: unknown };
  return cause instanceof Error ? deepest(cause) : error;
}

function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, milliseconds);
    signal?.addEventListener('abort', stop, { once: true });
  });
}
