/**
 * Measurements of variants with a clock that the test sets: which variant wins, for whom the result is stored, and what
 * happens with a damaged store, with wrong results and with results that cannot be stored. Nothing is really timed here.
 */
import { expect } from 'chai';
import type { Gpu } from '../../src/gpu/device.ts';
import { MemoryCapError } from '../../src/gpu/errors.ts';
import { PROFILES } from '../../src/gpu/profile.ts';
import { Tuner, type TuningStore } from '../../src/gpu/tuner.ts';
import { type Operation, tokenClass, type Variant, Variants } from '../../src/gpu/variants.ts';
import { testGpu } from '../support/gpu.ts';

const ADAPTER = { vendor: 'acme', architecture: 'x1', device: '7', description: 'Acme X1' } as GPUAdapterInfo;
const VERSIONS = 'Dawn 1, webalign 1';

type Shape = { n: number };
interface Timed extends Variant<Shape> {
  milliseconds: number;
  /** What it computes. */
  value: number;
}

/** A store in memory that counts its calls. */
function memoryStore(text?: string): TuningStore & { text: string | undefined; writes: number } {
  return {
    text,
    writes: 0,
    async read() {
      return this.text === undefined ? undefined : new TextEncoder().encode(this.text);
    },
    async write(bytes) {
      this.text = new TextDecoder().decode(bytes);
      this.writes++;
    },
  };
}

interface Given {
  store?: TuningStore;
  adapter?: GPUAdapterInfo;
  versions?: string;
  asked?: string[];
  /** Requests measurements even though the adapter is a software one. */
  software?: boolean;
  rows?: Partial<Timed>[];
}

const ROWS: Partial<Timed>[] = [
  { name: 'plain', milliseconds: 10 },
  { name: 'tiled', milliseconds: 4 },
  { name: 'narrow', milliseconds: 1, serves: ({ n }) => n <= 8 },
  { name: 'coarse', milliseconds: 0.1, reduced: true },
];

/** A device with a tuner, an operation on it, and runs of that operation in a plan. */
async function setUp({ store = memoryStore(), software = true, asked, rows = ROWS, ...given }: Given = {}) {
  const real = await testGpu();
  let clock = 0;
  let runs = 0;
  const { adapter = ADAPTER, versions = VERSIONS } = given;
  const tuner = new Tuner({ store, versions, software }, adapter, () => clock);
  const variants = new Variants(asked, await tuner.recall());
  const operation: Operation<Shape, Timed> = {
    name: 'sum',
    variants: rows.map((row) => ({ name: '', milliseconds: 1, value: 1, serves: () => true, ...row })),
    classOf: ({ n }) => tokenClass(n),
    trial(gpu) {
      const result = gpu.pool.allocate(16, 'result of a trial');
      return {
        run({ milliseconds, value }) {
          clock += milliseconds;
          if (!gpu.counting) runs++;
          gpu.recorder.write(result, new Float32Array(4).fill(value));
        },
        result,
        dispose: () => gpu.pool.release(result),
      };
    },
  };
  const gpu: Gpu = Object.create(real, {
    variants: { value: variants },
    adapterProfile: { value: PROFILES.software },
  });
  return {
    gpu,
    variants,
    runs: () => runs,
    chosen: (n: number) => variants.choose(gpu, operation, { n }).name,
    async plan(...sizes: number[]) {
      const counting = gpu.countingCopy();
      for (const n of sizes) variants.choose(counting, operation, { n });
      return tuner.tune(gpu);
    },
  };
}

describe('measuring variants', () => {
  it('selects the fastest that supports each shape, and counts the choices', async () => {
    const { plan, chosen, variants } = await setUp();
    expect(chosen(4)).to.equal('plain');
    const report = await plan(4, 100, 150);
    expect(report).to.deep.include({ shapes: 2, choices: { narrow: 1, tiled: 1 }, notices: [] });
    expect([chosen(4), chosen(6), chosen(200)]).to.deep.equal(['narrow', 'narrow', 'tiled']);
    expect(Object.fromEntries(variants.inForce)).to.deep.equal({ 'sum few': 'narrow', 'sum some': 'tiled' });
    // An operation that no plan contains runs with the default variant.
    expect(chosen(5000)).to.equal('plain');
  });

  it('never selects a reduced-precision variant, unless requested', async () => {
    const { plan, chosen } = await setUp({ asked: ['coarse'] });
    expect(chosen(4)).to.equal('coarse');
    expect(await plan(4)).to.equal(undefined);
  });

  it('keeps the first variant if another is only slightly faster', async () => {
    const rows = [
      { name: 'plain', milliseconds: 10 },
      { name: 'tiled', milliseconds: 9.8 },
    ];
    const { plan, chosen } = await setUp({ rows });
    await plan(4);
    expect(chosen(4)).to.equal('plain');
  });

  it('stores results, and measures a class once', async () => {
    const store = memoryStore();
    const first = await setUp({ store });
    await first.plan(4);
    const before = first.runs();
    expect(await first.plan(4)).to.equal(undefined);
    expect(first.runs()).to.equal(before);
    expect(store.writes).to.equal(1);

    const second = await setUp({ store });
    expect(second.chosen(4)).to.equal('narrow');
    expect(await second.plan(4)).to.equal(undefined);
    expect(second.runs()).to.equal(0);
    // A new class is added to the known ones.
    await second.plan(100);
    const third = await setUp({ store });
    expect([third.chosen(4), third.chosen(100)]).to.deep.equal(['narrow', 'tiled']);
  });

  it('merges with concurrent measurements of another process', async () => {
    let inside = 0;
    const store = Object.assign(memoryStore(), {
      async alone<T>(work: () => Promise<T>): Promise<T> {
        inside++;
        return work().finally(() => inside--);
      },
    });
    const { write } = store;
    store.write = async (bytes) => {
      expect(inside).to.equal(1);
      await write.call(store, bytes);
    };
    const [first, second] = [await setUp({ store }), await setUp({ store })];
    await first.plan(4);
    await second.plan(100);
    const third = await setUp({ store });
    expect([third.chosen(4), third.chosen(100)]).to.deep.equal(['narrow', 'tiled']);
  });

  it('measures again on another adapter and with other versions, and keeps both results', async () => {
    const store = memoryStore();
    await (await setUp({ store })).plan(4);
    for (const other of [
      { adapter: { ...ADAPTER, description: 'Acme X2' } as GPUAdapterInfo },
      { versions: 'Dawn 2, webalign 1' },
    ]) {
      const { plan, chosen, runs } = await setUp({ store, ...other });
      expect(chosen(4)).to.equal('plain');
      await plan(4);
      expect(runs()).to.be.above(0);
    }
    expect((await setUp({ store })).chosen(4)).to.equal('narrow');
  });

  it('does not measure on a software adapter, unless requested', async () => {
    const { plan, runs, chosen } = await setUp({ software: false });
    expect(await plan(4)).to.equal(undefined);
    expect([runs(), chosen(4)]).to.deep.equal([0, 'plain']);
  });

  for (const text of ['{"half', '[]', '{"acme": 3}', '{"acme": {"sum few": 7}}']) {
    it(`ignores damaged results with a notice: ${text}`, async () => {
      const store = memoryStore(text);
      const { plan, chosen } = await setUp({ store });
      expect(chosen(4)).to.equal('plain');
      const report = await plan(4);
      expect(report?.notices[0]).to.match(/^The stored kernel measurements .* ignored/);
      expect(chosen(4)).to.equal('narrow');
      expect((await setUp({ store })).chosen(4)).to.equal('narrow');
    });
  }

  it('ignores a stored variant that does not exist', async () => {
    const store = memoryStore();
    await (await setUp({ store })).plan(4);
    store.text = store.text?.replace('narrow', 'gone');
    const { plan, chosen } = await setUp({ store });
    expect(chosen(4)).to.equal('plain');
    await plan(4);
    expect(chosen(4)).to.equal('narrow');
  });

  it('does not use a variant with wrong results on this adapter, with a notice', async () => {
    const rows = [
      { name: 'plain', milliseconds: 10 },
      { name: 'wrong', value: 1.01 },
      { name: 'NaN', value: Number.NaN },
    ];
    const { plan, chosen } = await setUp({ rows });
    const report = await plan(4);
    expect(report?.notices).to.have.length(2);
    expect(report?.notices[0]).to.include('wrong').and.include('sum few');
    expect(chosen(4)).to.equal('plain');
  });

  it('trains on if results cannot be stored, or there is no memory for a measurement', async () => {
    const store = memoryStore();
    store.write = () => Promise.reject(new Error('the disk is full'));
    const { plan, chosen } = await setUp({ store });
    const report = await plan(4);
    expect(report?.notices.join()).to.include('the disk is full');
    expect(chosen(4)).to.equal('narrow');

    const tight = await setUp();
    tight.gpu.pool.trim();
    const full = Object.create(tight.gpu.pool, {
      allocate: {
        value: () => {
          throw new MemoryCapError(2, 1, 'result of a trial');
        },
      },
    });
    Object.defineProperty(tight.gpu, 'pool', { value: full });
    expect(await tight.plan(4)).to.equal(undefined);
    expect(tight.chosen(4)).to.equal('plain');
  });
});
