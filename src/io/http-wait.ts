/**
 * How long to wait for a server. Waiting consumes a limited time, and received bytes add time back at the minimum accepted
 * rate, so that a silent server and one that trickles both time out. The wait is reported and can be aborted.
 */
import { InputError, quote } from './errors.ts';

export interface WaitOptions {
  /** Milliseconds of silence after which to give up; default: 30 000. */
  timeout?: number | undefined;
  /** Minimum rate in bytes per second; default: 1024. */
  leastRate?: number | undefined;
  signal?: AbortSignal | undefined;
  /** Reports unusual or slow events, one line each. */
  onNotice?: ((line: string) => void) | undefined;
}

const TIMEOUT_MS = 30_000;
const LEAST_RATE = 1024;
/** Time until the first notice about waiting; later notices come after twice the time. */
const FIRST_NOTICE_MS = 10_000;
/**
 * If a timer is this late, the program itself was blocked rather than the server: by another computation, or a sleeping
 * machine.
 */
const LATE_MS = 250;

const WAY_OUT =
  'Try again later, or allow more time: WEBALIGN_HTTP_TIMEOUT (seconds) and WEBALIGN_HTTP_LEAST_RATE (bytes a second), ' +
  'or the options timeout (milliseconds) and leastRate';

/** What is awaited: a response's headers or its bytes. */
export type Awaited = 'answer' | 'bytes';

/** The time budget of one response. Throws {@link InputError} if it is used up. */
export class WaitBudget {
  private readonly timeout: number;
  private readonly leastRate: number;
  /** Remaining milliseconds of waiting. */
  private left: number;
  private nextNotice: number;
  private bytes = 0;
  private waited = 0;

  constructor(
    /** File or URL, for error messages. */
    private readonly where: string,
    private readonly host: string,
    private readonly awaited: Awaited,
    private readonly options: WaitOptions,
  ) {
    this.timeout = checked('timeout', options.timeout ?? TIMEOUT_MS, 1);
    this.leastRate = checked('leastRate', options.leastRate ?? LEAST_RATE, 0);
    this.left = this.timeout;
    this.nextNotice = this.firstNotice;
  }

  /** Records that bytes have arrived. */
  credit(bytes: number): void {
    if (bytes === 0) return;
    this.bytes += bytes;
    this.left = Math.min(this.timeout, this.left + (bytes / this.leastRate) * 1000);
    // A new wait is reported anew.
    if (this.left === this.timeout) this.nextNotice = this.firstNotice;
  }

  /** The result of `promise`. Rejects when the time is used up, or with the signal's reason as soon as it is aborted. */
  wait<T>(promise: Promise<T>): Promise<T> {
    const { signal } = this.options;
    return new Promise<T>((resolve, reject) => {
      const atFirst = this.left;
      let since = performance.now();
      let timer: ReturnType<typeof setTimeout> | undefined;
      /** Subtracts the time since the last check. */
      const spend = () => {
        const now = performance.now();
        this.left -= now - since;
        this.waited += now - since;
        since = now;
      };
      const finish = (settle: () => void) => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', stop);
        spend();
        // If the program was blocked, the timer is late and the server is not at fault.
        if (this.left <= 0) this.left = atFirst;
        settle();
      };
      const stop = () => finish(() => reject(signal?.reason));
      const look = () => {
        if (this.left <= 0) return finish(() => reject(this.timeUp()));
        this.tell();
        const next = Math.max(1, Math.min(this.left, this.nextNotice - this.spent));
        const due = since + next;
        timer = setTimeout(() => {
          const late = performance.now() - due;
          spend();
          if (late > LATE_MS) this.left += late;
          look();
        }, next);
      };
      promise.then(
        (value) => finish(() => resolve(value)),
        (error) => finish(() => reject(error)),
      );
      if (signal?.aborted) return stop();
      signal?.addEventListener('abort', stop, { once: true });
      look();
    });
  }

  private get firstNotice(): number {
    return Math.min(FIRST_NOTICE_MS, this.timeout / 3);
  }

  private get spent(): number {
    return this.timeout - this.left;
  }

  private tell(): void {
    if (this.spent < this.nextNotice) return;
    this.nextNotice *= 2;
    const { where, host } = this;
    const what =
      this.bytes === 0
        ? `waiting for ${host} for ${seconds(this.spent)}`
        : `waiting for ${host}, which has sent ${this.bytes} bytes in ${seconds(this.waited)}`;
    this.options.onNotice?.(`${where}: ${what}`);
  }

  private timeUp(): InputError {
    const { where, host, bytes, awaited } = this;
    const silent = `has not ${awaited === 'answer' ? 'answered' : 'sent a byte'} for ${seconds(this.timeout)}`;
    const slow = `sends fewer than ${this.leastRate} bytes a second: ${bytes} in ${seconds(this.waited)}`;
    // A burst followed by silence is not a low rate.
    const stopped = `stopped sending after ${bytes} bytes`;
    const isFast = (1000 * bytes) / this.waited >= this.leastRate;
    return new InputError(where, `${host} ${bytes === 0 ? silent : isFast ? stopped : slow}`, WAY_OUT);
  }
}

function seconds(milliseconds: number): string {
  return `${Math.round(milliseconds / 100) / 10} s`;
}

function checked(name: string, value: number, least: number): number {
  if (typeof value === 'number' && value >= least && value < Number.POSITIVE_INFINITY) return value;
  throw new InputError(name, `is ${quote(value)}`, `Give a number of at least ${least}`);
}
