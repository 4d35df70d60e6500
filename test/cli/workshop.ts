/**
 * A folder for testing the command line: the fixture model with a tokenizer, a few pairs, and functions that run commands
 * in this process (fast, with captured output) or as a child (for signals and for what a shell sees).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Writable } from 'node:stream';
import { METHODS } from '../../src/cli/methods.ts';
import { runProgram } from '../../src/cli/program.ts';
import type { Streams } from '../../src/cli/terminal.ts';
import { STUDIES } from '../../src/studies/commands.ts';
import trl from '../fixtures/trl-pairs.json' with { type: 'json' };
import { type ModelFixture, tinyLlama } from '../reference/fixtures.ts';

export interface Outcome {
  /** Exit code; null if a signal ended a child. */
  code: number | null;
  stdout: string;
  stderr: string;
  /** The last line of stdout, if it is JSON. */
  json: Record<string, unknown>;
  /** The error that it reports; empty if there was none. */
  error: { name: string; message: string };
}

/** Commands that write a report. */
const REPORTS = [...METHODS.map(({ name }) => name), 'sacpo'];

/** Words that the fixture's tokenizer knows. */
const WORDS = ['the sky', ' is blue', ' is red.', ' the end', ' a same thing', ' skying', ' blue blue'];

export class Workshop {
  private constructor(readonly folder: string) {}

  static async open(): Promise<Workshop> {
    const workshop = new Workshop(await mkdtemp(join(tmpdir(), 'webalign-cli-')));
    await workshop.model('model');
    await workshop.write('pairs.jsonl', lines(pairs(12)));
    return workshop;
  }

  close(): Promise<void> {
    return rm(this.folder, { recursive: true, force: true });
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  async write(name: string, contents: string | Uint8Array): Promise<string> {
    const path = this.path(name);
    await mkdir(resolve(path, '..'), { recursive: true });
    await writeFile(path, contents);
    return path;
  }

  /** The fixture as a model folder, with some files changed or, if undefined, left out. */
  async model(
    name: string,
    changed: Record<string, string | Uint8Array | undefined> = {},
    fixture: ModelFixture = tinyLlama,
  ): Promise<string> {
    const files: Record<string, string | Uint8Array | undefined> = {
      ...Object.fromEntries(fixture.files),
      'tokenizer.json': JSON.stringify(trl.tokenizer),
      'tokenizer_config.json': JSON.stringify(trl.tokenizerConfig),
      ...changed,
    };
    for (const [file, contents] of Object.entries(files)) {
      if (contents !== undefined) await this.write(`${name}/${file}`, contents);
    }
    return this.path(name);
  }

  /**
   * `webalign dpo` on the model and the pairs here; what is passed replaces or extends its flags. A switch has ''. The
   * adapter is as wide as the model's own products, so that both use the same pipelines: compiling is most of such a run.
   */
  dpo(options: Record<string, string>): string[] {
    const given = {
      '--model': this.path('model'),
      '--data': this.path('pairs.jsonl'),
      '--out': this.path('out'),
      // An existing adapter determines the rank.
      ...('--init-adapter' in options ? {} : { '--lora-r': '16' }),
      '--batch-size': '4',
      '--learning-rate': '1e-3',
      ...options,
    };
    return [
      'dpo',
      ...Object.entries(given).flatMap(([flag, value]) => (value === '' ? [flag] : [flag, value])),
    ];
  }

  /** Runs a command in this process. A report takes as long as such a run, so it is written only in tests of reports. */
  async run(
    args: readonly string[],
    signal = new AbortController().signal,
    stdin?: Streams['stdin'],
  ): Promise<Outcome> {
    const [stdout, stderr] = [collector(), collector()];
    const code = await runProgram([...args, ...forced(args), '--json'], {
      studies: STUDIES,
      signal,
      version: '0.0.0',
      streams: { stdout, stderr, ...(stdin && { stdin }) },
    });
    return outcome(code, stdout.text(), stderr.text());
  }

  /** Runs a command as a child process. */
  async spawn(
    args: readonly string[],
    { env = {}, onStart }: { env?: Record<string, string>; onStart?: (child: ChildProcess) => void } = {},
  ): Promise<Outcome> {
    const child = spawn(process.execPath, [resolve('dist/cli.js'), ...args, ...forced(args)], {
      env: { ...process.env, ...env },
    });
    const [stdout, stderr] = [collector(), collector()];
    child.stdout.pipe(stdout);
    child.stderr.pipe(stderr);
    onStart?.(child);
    const code = await new Promise<number | null>((done, failed) =>
      child.once('close', done).once('error', failed),
    );
    return outcome(code, stdout.text(), stderr.text());
  }
}

/** The variants that the suite runs with, for a command that names none itself and must not measure. */
function forced(args: readonly string[]): string[] {
  return [
    ...forcedVariants(args),
    ...(REPORTS.includes(args[0] ?? '') && !args.includes('--report-samples') ? ['--no-report'] : []),
  ];
}

function forcedVariants(args: readonly string[]): string[] {
  const own = args.includes('--variant') || args.includes('--tune');
  const names = own ? undefined : globalThis.testVariants;
  return names ? ['--variant', names.join(',')] : [];
}

/** Rows that the fixture's tokenizer can read. */
export function pairs(count: number): { prompt: string; chosen: string; rejected: string }[] {
  const word = (i: number) => WORDS[i % WORDS.length];
  return Array.from({ length: count }, (_, i) => ({
    prompt: word(0) + word(i),
    chosen: word(1 + (i % 3)) + word(i + 2),
    rejected: word(4 + (i % 2)) + word(i * 2 + 1),
  }));
}

export function lines(rows: readonly unknown[]): string {
  return rows.map((row) => `${typeof row === 'string' ? row : JSON.stringify(row)}\n`).join('');
}

function outcome(code: number | null, stdout: string, stderr: string): Outcome {
  const last = stdout.trimEnd().split('\n').at(-1) ?? '';
  const json: Record<string, unknown> = last.startsWith('{') ? JSON.parse(last) : {};
  const error = { name: '', message: '', ...(json.error as object | undefined) };
  return { code, stdout, stderr, json, error };
}

function collector() {
  const parts: Buffer[] = [];
  const stream = new Writable({
    write(chunk: Buffer | string, _encoding, done) {
      parts.push(Buffer.from(chunk));
      done();
    },
  });
  return Object.assign(stream, { text: () => Buffer.concat(parts).toString('utf8') });
}
