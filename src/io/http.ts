/**
 * Requests that outlive a bad moment: what passes by itself, a busy server, a cut connection, a silent one, is tried again
 * after a while, longer each time, or as long as the server asks for. What a lasting refusal means is the caller's business.
 */
import { InputError } from './errors.ts';
import { corsError, networkFailure, PassingFailure, statusError } from './http-failures.ts';
import { WaitBudget, type WaitOptions } from './http-wait.ts';
import { isForeign } from './page-address.ts';

export interface HttpOptions extends WaitOptions {
  /** In place of the platform's: a proxy, or a test. */
  fetch?: ((url: string, init?: RequestInit) => Promise<Response>) | undefined;
  /** How to let time pass; for tests. */
  pause?: ((milliseconds: number, signal?: AbortSignal) => Promise<void>) | undefined;
}

/** Options of whoever fetches files. */
export interface FetchOptions extends HttpOptions {
  onProgress?: ((progress: FetchProgress) => void) | undefined;
}

export interface FetchProgress {
  file: string;
  /** Bytes that are there, those of an earlier attempt included. */
  loaded: number;
  total: number;
}

/** Answers that may be another one soon. */
const PASSING_STATUS = [408, 425, 429, 500, 502, 503, 504];
/** Tries in a row that gain nothing. */
const MOST_TRIES = 6;
/** A try that gains fewer bytes than this gains nothing: a server that gives one with each answer comes to an end too. */
const LEAST_GAIN = 1024;
const FIRST_PAUSE_MS = 250;
/** A server that asks for more patience than this is taken to refuse. */
const LONGEST_PAUSE_MS = 300_000;

/** Does `work`, and again where it fails in passing; by `gained` it says how many bytes it got further. */
export async function persist<T>(
  work: (gained: (bytes: number) => void) => Promise<T>,
  { signal, pause = sleep, onNotice }: HttpOptions,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    let gain = 0;
    try {
      return await work((bytes) => {
        gain += bytes;
        // WaitBudget begins anew.
        if (gain >= LEAST_GAIN) tries = 0;
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
export async function fetchOnce(url: string, init: RequestInit, options: HttpOptions): Promise<Response> {
  options.signal?.throwIfAborted();
  const response = await answerTo(url, init, options);
  if (!PASSING_STATUS.includes(response.status)) return response;
  discard(response);
  throw new PassingFailure(statusError(shown(url), response), retryAfter(response));
}

/** A request that is tried until it is answered for good. */
export function request(url: string, init: RequestInit, options: HttpOptions): Promise<Response> {
  return persist(() => fetchOnce(url, init, options), options);
}

/** Ends an answer whose body nobody wants. */
export function discard(response: Response): void {
  void response.body?.cancel().catch(() => undefined);
}

/** An address without what may be secret in it. */
export function shown(url: string): string {
  return url.replace(/[?#].*/s, '');
}

/** Whom an address or a name in messages speaks of. */
export function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : 'the server';
}

/** The answer's headers, which have to come in time. */
async function answerTo(url: string, init: RequestInit, options: HttpOptions): Promise<Response> {
  const { fetch = globalThis.fetch, signal } = options;
  const where = shown(url);
  const ask = async (more: RequestInit = {}): Promise<Response> => {
    const budget = new WaitBudget(where, hostOf(url), 'answer', options);
    const cut = new AbortController();
    try {
      return await budget.wait(fetch(url, { ...init, ...more, signal: cut.signal }));
    } catch (cause) {
      cut.abort();
      signal?.throwIfAborted();
      throw cause instanceof InputError ? new PassingFailure(cause) : cause;
    }
  };
  try {
    return await ask();
  } catch (cause) {
    signal?.throwIfAborted();
    if (cause instanceof PassingFailure || cause instanceof InputError) throw cause;
    const failure = networkFailure(where, url, cause);
    if (failure instanceof InputError || !isForeign(url) || !(await answersBlindly(ask))) throw failure;
    // A page is not told why it may not read an answer: one more try tells a cut connection from a server that does not allow it.
    return ask().catch((again) => {
      signal?.throwIfAborted();
      throw again instanceof PassingFailure ? again : corsError(where, hostOf(url));
    });
  }
}

/** Whether the server answers a page that does not ask to read the answer. */
function answersBlindly(ask: (more: RequestInit) => Promise<Response>): Promise<boolean> {
  return ask({ method: 'HEAD', mode: 'no-cors', credentials: 'omit', headers: {} }).then(
    () => true,
    () => false,
  );
}

/** Milliseconds of a `Retry-After`, which gives seconds or a date. */
function retryAfter({ headers }: Response): number | undefined {
  const text = headers.get('retry-after');
  if (text === null) return undefined;
  const milliseconds = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isFinite(milliseconds) ? Math.max(0, milliseconds) : undefined;
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
