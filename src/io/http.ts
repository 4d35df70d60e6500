/**
 * Requests with retries: temporary failures, such as a busy server, a broken connection or a timeout, are retried after a
 * delay that grows, or that the server requests. The caller interprets permanent errors.
 */
import { InputError } from './errors.ts';
import { corsError, networkFailure, PassingFailure, statusError } from './http-failures.ts';
import { WaitBudget, type WaitOptions } from './http-wait.ts';
import { isForeign } from './page-address.ts';

export interface HttpOptions extends WaitOptions {
  /** Replaces the platform's fetch: a proxy, or a test. */
  fetch?: ((url: string, init?: RequestInit) => Promise<Response>) | undefined;
  /** Replaces the delay, for tests. */
  pause?: ((milliseconds: number, signal?: AbortSignal) => Promise<void>) | undefined;
}

/** Options for fetching files. */
export interface FetchOptions extends HttpOptions {
  onProgress?: ((progress: FetchProgress) => void) | undefined;
}

export interface FetchProgress {
  file: string;
  /** Number of bytes present, including those of an earlier attempt. */
  loaded: number;
  total: number;
}

/** Statuses that may be temporary. */
const PASSING_STATUS = [408, 425, 429, 500, 502, 503, 504];
/** Maximum number of consecutive attempts without progress. */
const MOST_TRIES = 6;
/** An attempt that receives fewer bytes makes no progress; this also stops a server that sends one byte per response. */
const LEAST_GAIN = 1024;
const FIRST_PAUSE_MS = 250;
/** If a server requests a longer delay, it counts as a refusal. */
const LONGEST_PAUSE_MS = 300_000;

/** Runs `work`, and retries it after temporary failures; `work` calls `gained` with the number of new bytes. */
export async function persist<T>(
  work: (gained: (bytes: number) => void) => Promise<T>,
  { signal, pause = sleep, onNotice }: HttpOptions,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    let gain = 0;
    try {
      return await work((bytes) => {
        gain += bytes;
        // WaitBudget starts over.
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

/** One request without retries. Throws {@link PassingFailure} if a retry may help; returns any other response. */
export async function fetchOnce(url: string, init: RequestInit, options: HttpOptions): Promise<Response> {
  options.signal?.throwIfAborted();
  const response = await answerTo(url, init, options);
  if (!PASSING_STATUS.includes(response.status)) return response;
  discard(response);
  throw new PassingFailure(statusError(shown(url), response), retryAfter(response));
}

/** A request with retries. */
export function request(url: string, init: RequestInit, options: HttpOptions): Promise<Response> {
  return persist(() => fetchOnce(url, init, options), options);
}

/** Cancels a response whose body is not needed. */
export function discard(response: Response): void {
  void response.body?.cancel().catch(() => undefined);
}

/** A URL without parts that may be secret. */
export function shown(url: string): string {
  return url.replace(/[?#].*/s, '');
}

/** The host of a URL or of a file's name, for messages. */
export function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : 'the server';
}

/** The response's headers, within the timeout. */
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
    // Browsers do not say why a response is unreadable: one more attempt distinguishes a broken connection from missing
    // CORS headers.
    return ask().catch((again) => {
      signal?.throwIfAborted();
      throw again instanceof PassingFailure ? again : corsError(where, hostOf(url));
    });
  }
}

/** Whether the server responds to an opaque request. */
function answersBlindly(ask: (more: RequestInit) => Promise<Response>): Promise<boolean> {
  return ask({ method: 'HEAD', mode: 'no-cors', credentials: 'omit', headers: {} }).then(
    () => true,
    () => false,
  );
}

/** The milliseconds in `Retry-After`, which contains seconds or a date. */
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
