/**
 * The fuzzer's thread: changes inputs, reads them, and keeps those that reach new code. Shares each input with the
 * supervisor before it is read, so that an input that never ends, or exhausts the memory, is not lost.
 */
import { getHeapStatistics } from 'node:v8';
import { parentPort, workerData } from 'node:worker_threads';
import { Random } from '../../src/data/random.ts';
import { countAllocations } from './allocations.ts';
import { Coverage, type FileCoverage } from './coverage.ts';
import { type Folder, folderSize } from './folder.ts';
import type { Finding, Meter } from './judge.ts';
import { minimise } from './minimise.ts';
import { mutate } from './mutate.ts';
import { Window } from './window.ts';

export interface Work {
  /** URL of the bundle of the readers. */
  readers: string;
  target: string;
  seed: number;
  milliseconds: number;
  shared: SharedArrayBuffer;
  /** Every file that a folder of this target may have. */
  names: string[];
  /** Inputs to begin with. */
  pool: Folder[];
  /** Signatures of known findings. */
  known: string[];
  /** Parts of paths whose lines are counted. */
  counted: readonly string[];
}

export type Report =
  | { kept: Folder }
  | { finding: Finding; signature: string; folder: Folder }
  | { coverage: FileCoverage[]; most: { seconds: number; memory: number } };

/** How many inputs are read between two checks of the coverage, since one check takes as long as several inputs. */
const BATCH = 24;

const { readers, target: name, seed, milliseconds, shared, names, pool, known, counted } = workerData as Work;
const port = parentPort!;
const tell = (report: Report) => port.postMessage(report);

const allocations = countAllocations();
const coverage = new Coverage(readers);
/** Loaded after the counters are installed. */
const { judge, mostBytes, signature, TARGETS }: typeof import('./judge.ts') = await import(readers);
const target = TARGETS[name];
const random = new Random(seed);
const window = new Window(shared, names);
const seen = new Set(known);

const meter: Meter = {
  allocated: allocations.bytes,
  // On V8's heap and outside it: less than was used if garbage was collected; a single excessive use is noticed by the
  // supervisor.
  memory() {
    const { used_heap_size, external_memory } = getHeapStatistics();
    return used_heap_size + external_memory;
  },
  // Of all threads, most of which wait.
  seconds() {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  },
};
/** The most that a file needed. */
const most = { seconds: 0, memory: 0 };

async function findingOf(folder: Folder): Promise<Finding | undefined> {
  window.show(folder);
  const { finding, seconds, memory } = await judge(target, folder, meter);
  most.seconds = Math.max(most.seconds, seconds);
  most.memory = Math.max(most.memory, memory);
  if (finding || memory <= mostBytes(target, folder)) return finding;
  return { kind: 'memory', detail: `${memory} bytes of heap`, origin: 'heap' };
}

async function read(folder: Folder): Promise<void> {
  const finding = await findingOf(folder);
  if (!finding) return;
  const key = signature(finding);
  if (seen.has(key)) return;
  seen.add(key);
  const same = async (smaller: Folder) => {
    const found = await findingOf(smaller);
    return found !== undefined && signature(found) === key;
  };
  const smallest = await minimise(folder, same);
  tell({ finding: (await findingOf(smallest)) ?? finding, signature: key, folder: smallest });
}

/** Reads them one by one; those that reached new code are kept. */
async function sift(folders: readonly Folder[]): Promise<void> {
  for (const folder of folders) {
    await read(folder);
    if (!coverage.take()) continue;
    pool.push(folder);
    tell({ kept: folder });
  }
}

const drawn = (from: readonly Folder[]) => from[random.below(from.length)];

/**
 * An input to change: every second time one of the latest, which are the least explored; of two the smaller one, which is
 * read faster.
 */
function chosen(): Folder {
  const from = random.below(2) === 0 ? pool.slice(-8) : pool;
  const [a, b] = [drawn(from), drawn(from)];
  return folderSize(a) < folderSize(b) ? a : b;
}

const end = performance.now() + milliseconds;
for (const folder of pool) {
  await read(folder);
  coverage.take();
}
while (performance.now() < end) {
  const batch: Folder[] = [];
  for (let i = 0; i < BATCH; i++) {
    const folder = mutate(chosen(), drawn(pool), target.words ?? [], random);
    await read(folder);
    batch.push(folder);
  }
  if (coverage.take({ remember: false })) await sift(batch);
}
tell({ coverage: coverage.files(counted), most });
