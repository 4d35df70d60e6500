/**
 * A function that a person typed, in a worker of its own. The worker belongs to a frame with an opaque origin, whose policy
 * (`judge.html`) lets nothing out: no request, no storage, nothing of this page but the stories that it is to rate.
 */
import { make } from '../shared/dom.ts';
import type { JudgePort, RatedRow } from './messages.ts';
import { rater } from './rater.ts';

/** Most seconds until the function is there, or what is wrong with it. */
const START = 10;

/** What the frame tells: the name of the function, or the first error of its text. */
type News = { name: string } | { problem: string; line: number };

/** What stands before the person's text, in one line, so that lines are counted as they are typed. */
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
        return { row: i + 1, problem: 'it returned ' + String(value) + ', and not a finite number or null' };
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

/** The worker's script. A function may end with a semicolon, as people write it. */
export function scriptOf(code: string): string {
  return BEFORE + code.replace(/[\s;]+$/, '') + BEHIND;
}

/** The frame in which all of them run, loaded with the page. */
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
    /** Of the function. */
    readonly name: string,
    /** To the frame that has its worker. */
    private readonly control: MessagePort,
  ) {
    this.ask = rater(this.connect());
  }

  /** Starts a function. Rejects with what is wrong with its text, and the line. */
  static async open({ contentWindow }: HTMLIFrameElement, code: string): Promise<Judge> {
    const { port1: control, port2 } = new MessageChannel();
    const news = new Promise<News>((resolve) => {
      control.onmessage = ({ data }: MessageEvent<News>) => resolve(data);
    });
    // The frame's origin has no name.
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

  /** Where the worker that trains can ask it. */
  port(): JudgePort {
    return { name: this.name, port: this.connect() };
  }

  /** The numbers of some stories. Rejects where it throws, or takes too many seconds. */
  rate(rows: readonly RatedRow[], seconds: number): Promise<(number | null)[]> {
    return inTime(this.ask(rows), seconds, 'it has not answered');
  }

  /** Ends it, whatever it does. */
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
