/**
 * Output of commands: results on stdout, everything else on stderr, and with `--json` one JSON object as the only
 * line of stdout. On a terminal a progress bar; otherwise an occasional line.
 */
import { createInterface } from 'node:readline';
import { Presets, SingleBar } from 'cli-progress';

/** Without a terminal, milliseconds between two lines of progress. */
const QUIET_MS = 10_000;

/** The output streams: `process`, or an object with the same members. */
export interface Streams {
  stdout: Stream;
  stderr: Stream;
  stdin?: NodeJS.ReadableStream & { isTTY?: boolean };
}
type Stream = NodeJS.WritableStream & { isTTY?: boolean; columns?: number };

export class Terminal {
  private bar: SingleBar | undefined;
  private stage = '';
  private lastLine = 0;

  constructor(
    /** Whether a program reads stdout. */
    readonly json: boolean,
    private readonly streams: Streams = process,
  ) {}

  /** Prints a line for the user. */
  info(line: string): void {
    this.endProgress();
    this.streams.stderr.write(`${line}\n`);
  }

  /** Characters that fit into a line. */
  get width(): number {
    return this.streams.stdout.columns ?? 100;
  }

  /** Prints a part of the result for a person: on stdout, unless a program reads that. */
  print(text: string): void {
    this.endProgress();
    (this.json ? this.streams.stderr : this.streams.stdout).write(`${text}\n`);
  }

  /** Prints a piece of a longer part of the result immediately. */
  write(piece: string): void {
    this.endProgress();
    (this.json ? this.streams.stderr : this.streams.stdout).write(piece);
  }

  /** Whether a person types the input of {@link lines}. */
  get isTyped(): boolean {
    return this.streams.stdin?.isTTY === true;
  }

  /**
   * Yields lines of stdin until its end, with a prompt before each line on a terminal. On Ctrl-C in a terminal `onInterrupt` is
   * called; without it, and if the signal aborts, the lines end.
   */
  async *lines(signal: AbortSignal, onInterrupt: () => boolean = () => false): AsyncGenerator<string> {
    const { stdin, stderr } = this.streams;
    if (!stdin || signal.aborted) return;
    const { isTyped } = this;
    const reader = createInterface({
      input: stdin,
      output: stderr,
      terminal: isTyped,
      prompt: isTyped ? '> ' : '',
    });
    const close = () => reader.close();
    signal.addEventListener('abort', close, { once: true });
    reader.on('SIGINT', () => {
      if (!onInterrupt()) close();
    });
    try {
      if (isTyped) reader.prompt();
      for await (const line of reader) {
        yield line;
        if (isTyped) reader.prompt();
      }
    } finally {
      signal.removeEventListener('abort', close);
      close();
    }
  }

  /** Prints the result for a program. */
  result(value: object): void {
    this.endProgress();
    if (this.json) this.streams.stdout.write(`${JSON.stringify(value)}\n`);
  }

  /** Shows the progress of a stage, with `details` beside it. */
  progress(stage: string, done: number, total: number, details = ''): void {
    if (this.streams.stderr.isTTY) this.draw(stage, done, total, details);
    else this.tell(stage, done, total, details);
  }

  /** The same for a short, repeated stage: shown only on a terminal. */
  glimpse(stage: string, done: number, total: number, details = ''): void {
    if (this.streams.stderr.isTTY) this.draw(stage, done, total, details);
  }

  /** Leaves the bar as it is; the next line starts below it. */
  endProgress(): void {
    this.bar?.stop();
    this.bar = undefined;
    this.stage = '';
  }

  /** Resolves when all output has been passed to the system: `process.exit` would drop buffered output. */
  async flush(): Promise<void> {
    this.endProgress();
    const streams = [this.streams.stdout, this.streams.stderr];
    await Promise.all(
      streams.map((stream) => new Promise<void>((resolve) => stream.write('', () => resolve()))),
    );
  }

  private draw(stage: string, done: number, total: number, details: string): void {
    if (!this.bar || this.stage !== stage) {
      this.endProgress();
      const format = '{stage} {bar} {value}/{total}  {details}';
      const look = {
        format,
        stream: this.streams.stderr,
        hideCursor: true,
        linewrap: false,
        barsize: 24,
        fps: 10,
      };
      this.bar = new SingleBar({ ...look, gracefulExit: false }, Presets.shades_classic);
      this.bar.start(total, done, { stage, details });
      this.stage = stage;
    }
    this.bar.update(done, { stage, details });
    if (done >= total) this.endProgress();
  }

  private tell(stage: string, done: number, total: number, details: string): void {
    const now = performance.now();
    const isNew = stage !== this.stage;
    if (!isNew && done < total && now - this.lastLine < QUIET_MS) return;
    this.stage = done < total ? stage : '';
    this.lastLine = now;
    this.streams.stderr.write(`${stage} ${done}/${total}${details && `  ${details}`}\n`);
  }
}
