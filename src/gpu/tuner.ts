/**
 * Measures the kernel variants that a run will use, once per device, and remembers the fastest, so that later runs use the
 * same kernels. Runs between runs, never within a step. Measures whole submissions by wall-clock time: browsers round
 * timestamps to a tenth of a millisecond, and the launches of a variant are part of its cost.
 */
import { own } from '../base/lookup.ts';
import type { Gpu } from './device.ts';
import { MemoryCapError } from './errors.ts';
import type { OpenChoice, Trial } from './variants.ts';

/** Persistent storage for measurements: all of them as one text. */
export interface TuningStore {
  read(): Promise<Uint8Array | undefined>;
  write(bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  /** Runs work that reads and then writes while no other process does; may be omitted if there are no others. */
  alone?<T>(work: () => Promise<T>): Promise<T>;
}

export interface Tuning {
  store: TuningStore;
  /** Versions of the browser or Dawn, and of this package; measurements are invalid if they change. */
  versions: string;
  /** Also measure on a software adapter; by default, its known best variants are used. */
  software?: boolean;
}

export interface TuningReport {
  /** Number of measured shape classes. */
  shapes: number;
  seconds: number;
  /** Number of shape classes that each variant won. */
  choices: Record<string, number>;
  /** Problems, one sentence each. */
  notices: string[];
}

/** Target duration of a sample, in milliseconds: many times the cost of a submission. */
const SAMPLE_MS = 4;
/** Minimum duration of a single run, given the resolution of clocks and submissions. */
const SUBMISSION_MS = 0.1;
const ROUNDS = 5;
/** A variant that is slower than the best by these factors, in a single run or in the samples so far, is not measured further. */
const TOO_SLOW = { once: 4, sampled: 2 };
/** Another variant replaces the first one only if its time is below this fraction: smaller differences are noise. */
const GAIN = 0.95;
/** Bytes at the end of a result that are compared between variants. */
const COMPARED_BYTES = 2 ** 22;
/** Maximum difference between variants, relative to the largest number: sums are rounded in different orders. */
const AGREEMENT = 1e-4;
/** Maximum number of devices in a store; the one with the oldest measurement is removed first. */
const MOST_DEVICES = 16;

/** Choices by device and shape class. */
type Kept = Record<string, Record<string, string>>;

type AdapterIdentity = Readonly<Record<'vendor' | 'architecture' | 'device' | 'description', string>>;

/** The key in a store for measurements on an adapter with these versions. */
export function deviceKey(
  { vendor, architecture, device, description }: AdapterIdentity,
  { versions }: Pick<Tuning, 'versions'>,
): string {
  return [vendor, architecture, device, description, versions].join(' | ');
}

export class Tuner {
  private readonly notices: string[] = [];
  private readonly device: string;

  constructor(
    private readonly tuning: Tuning,
    adapter: AdapterIdentity,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.device = deviceKey(adapter, tuning);
  }

  /** The stored choices of this device. */
  async recall(): Promise<Map<string, string>> {
    return new Map(Object.entries(own(await this.kept(), this.device) ?? {}));
  }

  /**
   * Measures every open choice and stores the results. Undefined if there is nothing to measure or report. Throws the
   * device's errors.
   */
  async tune(gpu: Gpu): Promise<TuningReport | undefined> {
    const { variants } = gpu;
    const open = gpu.adapterProfile.tunesByDefault || this.tuning.software ? variants.openChoices : [];
    const start = this.now();
    const choices: Record<string, number> = {};
    let shapes = 0;
    if (open.length > 0) await compileAll(gpu, open);
    for (const choice of open) {
      const name = await this.fastest(gpu, choice);
      if (name === undefined) continue;
      variants.remember(choice.key, name);
      choices[name] = (choices[name] ?? 0) + 1;
      shapes++;
    }
    if (shapes > 0) await this.keep(variants.memory);
    const notices = this.notices.splice(0);
    if (shapes === 0 && notices.length === 0) return undefined;
    return { shapes, seconds: (this.now() - start) / 1000, choices, notices };
  }

  /** The name of the fastest variant; undefined if there is not enough memory to measure. */
  private async fastest(gpu: Gpu, choice: OpenChoice): Promise<string | undefined> {
    let trial: Trial<number> | undefined;
    try {
      trial = choice.trial(gpu);
      const times = await this.measure(gpu, trial, await this.agreeing(gpu, trial, choice));
      const [first = Number.POSITIVE_INFINITY] = [...times.values()];
      const [best, time] = [...times].reduce((a, b) => (b[1] < a[1] ? b : a));
      return choice.names[time < GAIN * first ? best : 0];
    } catch (error) {
      if (error instanceof MemoryCapError) return undefined;
      throw error;
    } finally {
      trial?.dispose();
      gpu.pool.trim();
    }
  }

  /** The variants whose results agree with the first one's. */
  private async agreeing(gpu: Gpu, trial: Trial<number>, { key, names }: OpenChoice): Promise<number[]> {
    const { buffer, offset, size } = trial.result;
    const bytes = Math.min(size, COMPARED_BYTES);
    const resultOf = async (variant: number) => {
      gpu.recorder.clear(trial.result);
      trial.run(variant);
      return new Float32Array(await gpu.read({ buffer, offset: offset + size - bytes, size: bytes }));
    };
    const right = await resultOf(0);
    const most = AGREEMENT * right.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
    const agreeing = [0];
    for (let variant = 1; variant < names.length; variant++) {
      const found = await resultOf(variant);
      if (found.every((value, i) => Math.abs(value - right[i]) <= most)) agreeing.push(variant);
      else
        this.notices.push(`${names[variant]} computes "${key}" incorrectly on this adapter and is not used.`);
    }
    return agreeing;
  }

  /** The median time of each; every round measures one after the other, so that a slowdown of the device affects all. */
  private async measure(
    gpu: Gpu,
    trial: Trial<number>,
    variants: readonly number[],
  ): Promise<Map<number, number>> {
    const time = async (variant: number, repeats: number) => {
      const start = this.now();
      for (let i = 0; i < repeats; i++) trial.run(variant);
      await gpu.finish();
      return this.now() - start;
    };
    const [first] = variants;
    const once = new Map<number, number>();
    for (const variant of variants) once.set(variant, await time(variant, 1));
    const best = Math.max(SUBMISSION_MS, Math.min(...once.values()));
    const samples = new Map<number, number[]>();
    for (const [variant, took] of once) {
      if (variant === first || took <= TOO_SLOW.once * best) samples.set(variant, []);
    }
    if (samples.size === 1) return new Map([...once].filter(([variant]) => variant === first));

    const repeats = Math.ceil(SAMPLE_MS / best);
    for (let round = 0; round < ROUNDS; round++) {
      for (const [variant, times] of samples) times.push(await time(variant, repeats));
      const fastest = Math.min(...[...samples.values()].map(median));
      for (const [variant, times] of samples) {
        if (variant !== first && median(times) > TOO_SLOW.sampled * fastest) samples.delete(variant);
      }
    }
    return new Map([...samples].map(([variant, times]) => [variant, median(times)]));
  }

  private async kept(): Promise<Kept> {
    try {
      const bytes = await this.tuning.store.read();
      const kept: unknown = bytes ? JSON.parse(new TextDecoder().decode(bytes)) : {};
      if (isKept(kept)) return kept;
      this.notices.push('The stored kernel measurements are damaged and are ignored.');
    } catch (error) {
      this.notices.push(`The stored kernel measurements cannot be read and are ignored: ${error}`);
    }
    return {};
  }

  private keep(memory: ReadonlyMap<string, string>): Promise<void> {
    const { store } = this.tuning;
    const add = () => this.addTo(store, memory);
    return store.alone ? store.alone(add) : add();
  }

  private async addTo(store: TuningStore, memory: ReadonlyMap<string, string>): Promise<void> {
    // Another process may have measured other classes in the meantime.
    const { [this.device]: known, ...others } = await this.kept();
    const all = [...Object.entries(others), [this.device, { ...known, ...Object.fromEntries(memory) }]].slice(
      -MOST_DEVICES,
    );
    try {
      await store.write(new TextEncoder().encode(`${JSON.stringify(Object.fromEntries(all), null, 1)}\n`));
    } catch (error) {
      this.notices.push(`The kernel measurements cannot be stored, so the next run measures again: ${error}`);
    }
  }
}

/** Compiles the kernels of all variants of all choices, in parallel. */
async function compileAll(gpu: Gpu, open: readonly OpenChoice[]): Promise<void> {
  const counting = gpu.countingCopy();
  for (const choice of open) {
    const trial = choice.trial(counting);
    for (const at of choice.names.keys()) trial.run(at);
    trial.dispose();
  }
  await gpu.compile(counting.wantedPipelines);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

function isKept(value: unknown): value is Kept {
  const isObject = (v: unknown): v is object => typeof v === 'object' && v !== null && !Array.isArray(v);
  return (
    isObject(value) &&
    Object.values(value).every(
      (choices) => isObject(choices) && Object.values(choices).every((name) => typeof name === 'string'),
    )
  );
}
