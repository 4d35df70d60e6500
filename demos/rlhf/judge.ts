/**
 * Runs a function that the user typed, in a separate worker. The worker belongs to a frame with an opaque origin, whose
 * policy (`judge.html`) blocks everything: requests, storage, and all data of this page except the stories to rate.
 */
import { make } from '../shared/dom.ts';
import type { JudgePort, RatedRow } from './messages.ts';
import { rater } from './rater.ts';

/** Maximum seconds until the function is loaded or an error is known. */
const START = 10;

/** Messages of the frame: the name of the function, or the first error of its text. */
type News = { name: string } | { problem: string; line: number };

/** Prefix of the user's text, on one line, so that line numbers match the typed text. */
const BEFORE = `'use strict'; const reward = (`;
const BEHIND = `
);
if (typeof reward !== 'function') throw new TypeError('This is not a function.');
const answer = async (rows) => {
  const values = [];
  for (const [i, { text, ...about }] of rows.entries()) {
    try {
      const value = await reward(text, about);
      if (value !== null && !Number.isFinite(value)) {
        return { row: i + 1, problem: 'it returned ' + String(value) + ' instead of a finite number or null' };
      }
      values.push(value);
    } catch (error) {
      return { row: i + 1, problem: String(error) };
    }
  }
  return { values };
};
self.onmessage = ({ ports: [port] }) => {
  port.onmessage = async ({ data: { id, rows } }) => port.postMessage({ id, ...(await answer(rows)) });
};
self.postMessage(reward.name || 'reward');
`;

/** The worker's script. The function may end with a semicolon. */
export function scriptOf(code: string): string {
  return BEFORE + code.replace(/[\s;]+$/, '') + BEHIND;
}

/** The frame in which all functions run, loaded with the page. */
export function openFrame(): Promise<HTMLIFrameElement> {
  const frame = make('iframe', 'away');
  frame.src = 'judge.html';
  frame.title = 'Where typed functions run';
  frame.setAttribute('sandbox', 'allow-scripts');
  frame.setAttribute('aria-hidden', 'true');
  frame.tabIndex = -1;
  const loaded = new Promise<HTMLIFrameElement>((resolve) => {
    frame.addEventListener('load', () => resolve(frame), { once: true });
  });
  document.body.append(frame);
  return loaded;
}

export class Judge {
  private readonly ask: ReturnType<typeof rater>;

  private constructor(
    /** Name of the function. */
    readonly name: string,
    /** Port to the frame with its worker. */
    private readonly control: MessagePort,
  ) {
    this.ask = rater(this.connect());
  }

  /** Starts a function. Rejects with the error of its text, and the line. */
  static async open({ contentWindow }: HTMLIFrameElement, code: string): Promise<Judge> {
    const { port1: control, port2 } = new MessageChannel();
    const news = new Promise<News>((resolve) => {
      control.onmessage = ({ data }: MessageEvent<News>) => resolve(data);
    });
    // The frame has an opaque origin.
    contentWindow?.postMessage(scriptOf(code), '*', [port2]);
    try {
      const found = await inTime(news, START, 'it did not start');
      if ('name' in found) return new Judge(found.name, control);
      throw new Error(`Line ${found.line}: ${found.problem.replace(/^Uncaught /, '')}`);
    } catch (error) {
      control.postMessage('end');
      throw error;
    }
  }

  /** A port through which the training worker can call it. */
  port(): JudgePort {
    return { name: this.name, port: this.connect() };
  }

  /** Rates some stories. Rejects if the function throws, or takes too long. */
  rate(rows: readonly RatedRow[], seconds: number): Promise<(number | null)[]> {
    return inTime(this.ask(rows), seconds, 'it did not return');
  }

  /** Ends it, even if it is running. */
  close(): void {
    this.control.postMessage('end');
    this.control.close();
  }

  private connect(): MessagePort {
    const { port1, port2 } = new MessageChannel();
    this.control.postMessage('connect', [port2]);
    return port1;
  }
}

function inTime<T>(work: Promise<T>, seconds: number, what: string): Promise<T> {
  let timer = 0;
  const late = new Promise<never>((_, reject) => {
    const error = new Error(`${what} within ${seconds} s`);
    timer = window.setTimeout(() => reject(error), seconds * 1000);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
