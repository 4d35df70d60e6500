/**
 * The fuzzer's supervisor: gives each target its share of the time in a thread with a small heap, ends a thread that reads
 * one input for too long, and stores every finding as JSON. It reads no inputs itself.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { machine } from '../support/figures.ts';
import type { FileCoverage } from './coverage.ts';
import { type FuzzResult, targetLine } from './figures.ts';
import { type Folder, folderSize, keep } from './folder.ts';
import { type Finding, MOST_MEMORY, MOST_SECONDS, signature, TARGETS } from './judge.ts';
import { minimise } from './minimise.ts';
import { Window, windowMemory } from './window.ts';
import type { Report, Work } from './worker.ts';

export interface Options {
  /** Part of the names of targets. */
  only?: string | undefined;
  minutes: number;
  seed: number;
  /** URLs of the bundles of the thread and of the readers. */
  worker: string;
  readers: string;
  /** Folder for findings. */
  out: string;
}

const LIMITS = { maxOldGenerationSizeMb: MOST_MEMORY / 2 ** 20 - 32, maxYoungGenerationSizeMb: 32 };
/** After this many inputs that hang, a target is not run any more. */
const MOST_DEATHS = 12;
const COUNTED = ['src/io/', 'src/data/'];

/** What is known about one target. */
interface Progress {
  executions: number;
  pool: Folder[];
  found: Map<string, { finding: Finding; folder: Folder }>;
  coverage: FileCoverage[];
  /** The most that an input took. */
  most: { seconds: number; memory: number };
}

/** Fuzzes, prints the outcome of each target, and returns the figures. */
export async function fuzz(options: Options): Promise<FuzzResult> {
  const names = Object.keys(TARGETS).filter((name) => name.includes(options.only ?? ''));
  const targets: FuzzResult['targets'] = {};
  const files = new Map<string, FileCoverage['lines']>();
  for (const name of names) {
    const start = performance.now();
    const { executions, pool, found, most, coverage } = await fuzzTarget(
      name,
      (options.minutes * 60_000) / names.length,
      options,
    );
    targets[name] = {
      inputs: executions,
      kept: pool.length,
      findings: found.size,
      seconds: Math.round((performance.now() - start) / 1000),
      mostSeconds: Number(most.seconds.toFixed(2)),
      mostMebibytes: Math.round(most.memory / 2 ** 20),
    };
    addCoverage(files, coverage);
    console.log(targetLine(name, targets[name]));
  }
  for (const [file, all] of files) {
    const missed = all.filter(({ reached }) => !reached).map(({ text }) => text);
    const some = missed.slice(0, 4).join(' | ').slice(0, 240);
    console.log(`${file}: ${all.length - missed.length} of ${all.length} lines${some && `, not ${some}`}`);
  }
  return { seed: options.seed, minutes: options.minutes, machine: machine(), targets, rooms: roomsOf(files) };
}

/** Lines that any target reached. */
function addCoverage(files: Map<string, FileCoverage['lines']>, coverage: readonly FileCoverage[]): void {
  for (const { file, lines } of coverage) {
    const earlier = files.get(file);
    files.set(
      file,
      lines.map((line, i) => ({ ...line, reached: line.reached || !!earlier?.[i]?.reached })),
    );
  }
}

function roomsOf(files: ReadonlyMap<string, FileCoverage['lines']>): FuzzResult['rooms'] {
  return Object.fromEntries(
    COUNTED.map((room) => {
      const all = [...files].flatMap(([file, lines]) => (file.includes(room) ? lines : []));
      return [room, { lines: all.length, reached: all.filter(({ reached }) => reached).length }];
    }),
  );
}

async function fuzzTarget(name: string, milliseconds: number, options: Options): Promise<Progress> {
  const { seeds } = TARGETS[name];
  const pool = [...(typeof seeds === 'function' ? await seeds() : seeds)];
  const progress: Progress = {
    executions: 0,
    pool,
    found: new Map(),
    coverage: [],
    most: { seconds: 0, memory: 0 },
  };
  const end = Date.now() + milliseconds;
  for (let life = 0; life < MOST_DEATHS && Date.now() < end; life++) {
    const work = { ...options, seed: options.seed + life * 1000, milliseconds: end - Date.now() };
    const death = await live(name, progress, work);
    if (!death) break;
    const key = `${signature(death.finding)} ${life}`;
    const smallest = await minimise(
      death.folder,
      async (folder) => {
        const again = await live(
          name,
          { ...progress, pool: [folder], found: new Map() },
          { ...work, milliseconds: 1 },
        );
        return again?.finding.kind === death.finding.kind;
      },
      life < 3 ? 30 : 0,
    );
    await record(name, progress, key, death.finding, smallest, options.out);
  }
  return progress;
}

/** One thread from its start to its end; the reason if it died. */
function live(
  name: string,
  progress: Progress,
  { worker: address, readers, seed, milliseconds, out }: Options & { milliseconds: number },
): Promise<{ finding: Finding; folder: Folder } | undefined> {
  const shared = windowMemory();
  const names = [...new Set(progress.pool.flatMap((folder) => Object.keys(folder)))];
  const known = [...progress.found.keys()];
  const work: Work = {
    readers,
    target: name,
    seed,
    milliseconds,
    shared,
    names,
    pool: progress.pool,
    known,
    counted: COUNTED,
  };
  const window = new Window(shared, names);
  const worker = new Worker(new URL(address), { workerData: work, resourceLimits: LIMITS, stderr: true });
  // Libraries print warnings about their input.
  worker.stderr.resume();
  const recorded: Promise<void>[] = [];

  return new Promise((done) => {
    let count = 0;
    let since = process.cpuUsage();
    let at = Date.now();
    let memory = process.memoryUsage.rss();
    const finish = async (death?: Finding) => {
      clearInterval(watch);
      progress.executions += window.count;
      await Promise.all(recorded);
      await worker.terminate();
      done(death && { finding: death, folder: window.seen() });
    };
    const watch = setInterval(() => {
      if (window.count !== count) {
        count = window.count;
        since = process.cpuUsage();
        at = Date.now();
        memory = Math.min(memory, process.memoryUsage.rss());
      }
      const above = process.memoryUsage.rss() - memory;
      // Freed memory is returned to the system late, so a longer observation is needed here too.
      if (count > 0 && above > 2 * MOST_MEMORY)
        finish({ kind: 'memory', detail: `${above} bytes above the start`, origin: '' });
      const { user, system } = process.cpuUsage(since);
      // Compilation and garbage collection in other threads count too, so it is observed for longer than the limit.
      const busy = (user + system) / 1e6 > 2 * MOST_SECONDS;
      const idle = Date.now() - at > 30_000 * MOST_SECONDS;
      if (count > 0 && (busy || idle))
        finish({ kind: 'time', detail: `more than ${MOST_SECONDS} s`, origin: '' });
    }, 100);
    worker.on('message', (report: Report) => {
      if ('kept' in report) progress.pool.push(report.kept);
      else if ('coverage' in report) {
        progress.coverage = report.coverage;
        progress.most.seconds = Math.max(progress.most.seconds, report.most.seconds);
        progress.most.memory = Math.max(progress.most.memory, report.most.memory);
      } else recorded.push(record(name, progress, report.signature, report.finding, report.folder, out));
    });
    worker.on('error', (error) => {
      const full = 'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY';
      finish(
        full
          ? { kind: 'heap', detail: `more than ${LIMITS.maxOldGenerationSizeMb} MB`, origin: '' }
          : { kind: 'thrown', detail: String(error.stack), origin: '' },
      );
    });
    worker.on('exit', () => finish());
  });
}

async function record(
  target: string,
  { found }: Progress,
  key: string,
  finding: Finding,
  folder: Folder,
  out: string,
): Promise<void> {
  found.set(key, { finding, folder });
  const path = join(out, `${target}-${found.size}.json`);
  await mkdir(out, { recursive: true });
  await writeFile(path, JSON.stringify({ why: finding, files: keep(folder) }, null, 1));
  console.log(`${target}: ${finding.kind} (${folderSize(folder)} bytes, ${path}): ${finding.detail}`);
}
