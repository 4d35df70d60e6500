/**
 * How long a server is waited for. Waiting uses up a limited time, and bytes that come earn it back at the least rate that is
 * accepted: a server that is silent and one that trickles end alike. Whoever waits is told so, and can be called off.
 */
import { InputError, quote } from './errors.ts';

export interface WaitOptions {
  /** Milliseconds that a server may be silent before it is given up; 30 000 by default. */
  timeout?: number | undefined;
  /** Bytes a second below which a server is given up; 1024 by default. */
  leastRate?: number | undefined;
  signal?: AbortSignal | undefined;
  /** Hears a line where something unusual happens, or takes its time. */
  onNotice?: ((line: string) => void) | undefined;
}

const TIMEOUT_MS = 30_000;
const LEAST_RATE = 1024;
/** After this long a person is told what is waited for; then after twice as long, and so on. */
const FIRST_NOTICE_MS = 10_000;
/** A timer that is this late was held up by this program, not by the server: another computation, a machine that slept. */
const LATE_MS = 250;

const WAY_OUT =
  'Try again later, or allow more: WEBALIGN_HTTP_TIMEOUT (seconds) and WEBALIGN_HTTP_LEAST_RATE (bytes a second), ' +
  'or the options timeout (milliseconds) and leastRate';

/** What is waited for: an answer's headers, or its bytes. */
export type Awaited = 'answer' | 'bytes';

/** The time that one answer has. {@link InputError} where it is used up. */
export class WaitBudget {
  private readonly timeout: number;
  private readonly leastRate: number;
  /** Milliseconds of waiting that are left. */
  private left: number;
  private nextNotice: number;
  private bytes = 0;
  private waited = 0;

  constructor(
    /** File or address, for messages. */
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

  /** Bytes have come. */
  credit(bytes: number): void {
    if (bytes === 0) return;
    this.bytes += bytes;
    this.left = Math.min(this.timeout, this.left + (bytes / this.leastRate) * 1000);
    // What is waited for anew is told anew.
    if (this.left === this.timeout) this.nextNotice = this.firstNotice;
  }

  /** What `promise` gives. Rejects where the time is up first, or with the signal's reason as soon as that is given. */
  wait<T>(promise: Promise<T>): Promise<T> {
    const { signal } = this.options;
    return new Promise<T>((resolve, reject) => {
      const atFirst = this.left;
      let since = performance.now();
      let timer: ReturnType<typeof setTimeout> | undefined;
      /** Takes the time since the last look off what is left. */
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
        // The timer would have come first, had this program not been busy.
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
    // A burst and then silence is not a low rate.
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
  throw new InputError(name, `is ${quote(value)}`, `Give a number from ${least} on`);
}
