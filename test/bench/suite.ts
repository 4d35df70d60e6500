/**
 * Runs cases, ours and the peers', and reports the outcome of each: the same code in Node and in a page. Every case gets a
 * new device of ours, so that its first start compiles and its bytes are its own. Prints nothing.
 */
import type { AdapterReport } from '../../src/gpu/adapter.ts';
import { Gpu } from '../../src/gpu/device.ts';
import { GpuValidationError, NoAdapterError } from '../../src/gpu/errors.ts';
import type { Tuning } from '../../src/gpu/tuner.ts';
import { requireVariants } from '../../src/ops/variants.ts';
import type { Case, Job, Peak, Peer, PeerSource, Result, Run } from './bench.ts';
import { FACTS, type Fact } from './facts.ts';
import { measurePeak } from './peak.ts';
import { type Course, type Entrant, measured, PACE, QUICK_PACE, race, warmUp } from './timing.ts';

export const OURS = 'webalign';

export interface SuiteOptions {
  /** Parts of ids; if empty, all cases are run. */
  only: readonly string[];
  quick: boolean;
  /** Our kernel variants to use for every shape that they support. */
  variants?: readonly string[];
  signal?: AbortSignal | undefined;
  /** What is counted rather than timed; if left out, all of it. */
  facts?: readonly Fact[];
}

export type BenchEvent =
  | { type: 'adapter'; adapter: AdapterReport; peak: Peak; peers: { name: string; version: string }[] }
  | { type: 'start'; id: string; done: number; total: number }
  | { type: 'result'; result: Result }
  | { type: 'fact'; id: string; values: Record<string, number> }
  | { type: 'left out'; id: string; reason: string }
  | ({ type: 'processor' } & ProcessorTime);

/** Median time of a library that runs without WebGPU, on the processor. */
export interface ProcessorTime {
  id: string;
  by: string;
  milliseconds: number;
}

/** How far a result may be from ours, as a share of its largest number; what differs more is not timed. */
const TOLERANCE = 1e-3;
/** How long a start may take and how much it may hold on a software adapter, which is slow and uses the host's memory. */
const SOFTWARE_LIMITS = { seconds: 4, bytes: 1.5 * 2 ** 30 };
const HARDWARE_LIMITS = { seconds: 20, bytes: 12 * 2 ** 30 };
/** Share of the peak that a case is expected to reach, to estimate how long it will take. */
const EXPECTED = 0.25;

export async function* runSuite(
  source: GPU,
  cases: readonly Case[],
  peers: readonly PeerSource[],
  { only, quick, variants = [], signal, facts = FACTS }: SuiteOptions,
): AsyncGenerator<BenchEvent, void> {
  const first = await Gpu.request(source, { variants });
  requireVariants(first);
  const { adapter } = first;
  const peak = await measurePeak(first);
  first.dispose();
  const told = peers.map(({ name, version }) => ({ name, version }));
  yield { type: 'adapter', adapter, peak, peers: told };

  const isWanted = ({ id, ...each }: { id: string; quick: boolean }) =>
    (only.length === 0 || only.some((part) => id.includes(part))) && (each.quick || !quick);
  // First, because compile times are measured with the first step after loading.
  for (const { id, measure } of facts.filter(isWanted)) {
    signal?.throwIfAborted();
    yield { type: 'fact', id, values: await measure(source, variants) };
  }
  const wanted = cases.filter(isWanted);
  const batches = together(wanted);
  let done = 0;
  for (const batch of batches) {
    const fitting: Case[] = [];
    for (const each of batch) {
      const reason = tooLarge(each, adapter, peak);
      if (reason) yield { type: 'left out', id: each.id, reason };
      else fitting.push(each);
    }
    for (const { id } of fitting) yield { type: 'start', id, done: done++, total: wanted.length };
    for (const result of await runTogether({ source, variants, peers, quick, signal }, fitting)) {
      yield { type: 'result', result };
    }
  }
}

/** The message of an error about the machine or the request; undefined for any other error. */
export function refusal(error: unknown): string | undefined {
  return error instanceof NoAdapterError || error instanceof GpuValidationError ? error.message : undefined;
}

/** Cases of one curve run in turn with each other; the others one by one. */
function together(cases: readonly Case[]): Case[][] {
  const batches: Case[][] = [];
  for (const each of cases) {
    const last = batches.at(-1);
    if (each.curve && last?.[0]?.curve === each.curve) last.push(each);
    else batches.push([each]);
  }
  return batches;
}

function tooLarge({ work, memory = 0 }: Case, { software }: AdapterReport, peak: Peak): string | undefined {
  const limits = software ? SOFTWARE_LIMITS : HARDWARE_LIMITS;
  const { flop = 0, bytes = 0 } = work;
  const seconds = Math.max(flop / peak.gflops, bytes / peak.gbytes) / 1e9 / EXPECTED;
  if (memory > limits.bytes) return `it may hold ${(memory / 2 ** 30).toFixed(1)} GiB`;
  if (seconds > limits.seconds) return `one start would take some ${seconds.toFixed(0)} s here`;
  return undefined;
}

/** A prepared case: its entrants, or why one is missing. */
interface Field {
  case: Case;
  entrants: Entrant[];
  failures: Record<string, string>;
  dispose(): void;
}

interface Ground extends Required<Pick<SuiteOptions, 'quick' | 'variants'>> {
  source: GPU;
  peers: readonly PeerSource[];
  signal: AbortSignal | undefined;
}

async function runTogether(ground: Ground, cases: readonly Case[]): Promise<Result[]> {
  const { quick, signal } = ground;
  const pace = quick ? QUICK_PACE : PACE;
  const fields: Field[] = [];
  try {
    for (const each of cases) fields.push(await setUp(ground, each));
    const courses: { field: Field; course: Course }[] = [];
    for (const field of fields) {
      for (const entrant of field.entrants) {
        signal?.throwIfAborted();
        const course = await attempt(() => warmUp(entrant, pace));
        if (typeof course === 'string') field.failures[entrant.name] = course;
        else courses.push({ field, course });
      }
    }
    const differences = new Map<Field, Record<string, number>>();
    for (const field of fields) differences.set(field, await compare(field));
    await race(
      courses.flatMap(({ field, course }) => (course.name in field.failures ? [] : [course])),
      { ...pace, budget: pace.budget * fields.length },
      signal,
    );
    return fields.map((field): Result => {
      const own = courses.filter((each) => each.field === field);
      const timed = own.filter(({ course }) => course.times.length > 0);
      const by = Object.fromEntries(timed.map(({ course }) => [course.name, measured(course)]));
      const { id, group, size, work } = field.case;
      return {
        id,
        group,
        size,
        work,
        by: { ...by, ...field.failures },
        differences: differences.get(field)!,
      };
    });
  } finally {
    for (const field of fields) field.dispose();
  }
}

/**
 * On a GPU the fastest kernels are measured once per class of shapes, as when a run is planned, and remembered while this
 * is loaded.
 */
function tuning(): Tuning {
  return {
    versions: 'bench',
    store: {
      read: async () => known,
      write: async (bytes) => {
        known = bytes;
      },
    },
  };
}
let known: Uint8Array | undefined;

/** The kernel variants of a case: it is first run on a device that only counts, which shows its shapes. */
async function tune(gpu: Gpu, each: Case): Promise<void> {
  if (gpu.adapter.software) return;
  const run = await each.make(gpu.countingCopy());
  await run.start();
  run.dispose();
  await gpu.tuner?.tune(gpu);
}

async function setUp({ source, variants, peers }: Ground, each: Case): Promise<Field> {
  const gpu = await Gpu.request(source, { tuning: tuning(), variants });
  await tune(gpu, each);
  const opened: { dispose(): void }[] = [];
  const entrants: Entrant[] = [];
  const failures: Record<string, string> = {};
  const enter = async (name: string, on: { device: GPUDevice }, make: () => Promise<Run>) => {
    const run = await attempt(make);
    if (typeof run === 'string') failures[name] = run;
    else {
      opened.push(run);
      // Some peers have a device only once they have work.
      entrants.push({ name, run, device: await on.device });
    }
  };
  await enter(OURS, gpu, () => each.make(gpu));
  const job = peers.length > 0 ? await each.job?.() : undefined;
  for (const { name, open } of job ? peers : []) {
    const peer = await open();
    opened.push(peer);
    if (job && peer.make[job.kind]) await enter(name, peer, () => makeFor(peer, job));
  }
  const dispose = () => {
    for (const each of opened) each.dispose();
    gpu.dispose();
  };
  return { case: each, entrants, failures, dispose };
}

function makeFor<Kind extends Job['kind']>(peer: Peer, job: Extract<Job, { kind: Kind }>): Promise<Run> {
  return (peer.make[job.kind] as (given: Job) => Promise<Run>)(job);
}

/** Result or failure of a contestant, in one line. */
async function attempt<T extends object>(task: () => Promise<T>): Promise<T | string> {
  try {
    return await task();
  } catch (error) {
    return (error instanceof Error ? error.message : String(error)).split('\n', 1)[0];
  }
}

/** How far each peer's result is from ours, as a share of our largest number. */
async function compare({ entrants, failures }: Field): Promise<Record<string, number>> {
  const differences: Record<string, number> = {};
  const ours = entrants.find(({ name }) => name === OURS);
  const expected = entrants.length > 1 ? await ours?.run.result?.() : undefined;
  if (!expected) return differences;
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  for (const { name, run } of entrants) {
    if (name === OURS || failures[name] !== undefined || !run.result) continue;
    const found = await attempt(run.result);
    if (typeof found === 'string') {
      failures[name] = found;
      continue;
    }
    const difference = found.reduce((most, x, i) => Math.max(most, Math.abs(x - expected[i])), 0) / largest;
    differences[name] = difference;
    if (!(difference <= TOLERANCE)) failures[name] = `its result is off by ${difference.toExponential(0)}`;
  }
  return differences;
}
