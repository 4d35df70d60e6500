/**
 * Host memory returns to its earlier level after any repeated operation. It measures what JavaScript keeps alive; for
 * devices, which also have native memory and threads, it measures a separate process.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { ALIGN_LORA, ALIGN_TRAINING } from '../../src/cli/align-task.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { joined } from '../../src/gpu/join.ts';
import { kernels } from '../../src/gpu/kernel.ts';
import type { Shader } from '../../src/gpu/shader.ts';
import { memoryCheckpointStore } from '../../src/io/checkpoint.ts';
import { CausalLM } from '../../src/model/causal-lm.ts';
import { generate } from '../../src/model/generation.ts';
import { folderFiles } from '../../src/node/folder.ts';
import { ParameterStore } from '../../src/tensor/parameters.ts';
import { DPOTrainer } from '../../src/train/dpo-trainer.ts';
import { loadFixture, randomPairs } from '../model/tiny.ts';
import { freshGpu } from '../support/gpu.ts';
import { collectGarbage, growthOver, HostGrowth, hostBytes } from '../support/host-memory.ts';
import { affine, shaderOf } from '../support/shader.ts';
import { isItsTurn } from '../support/slice.mjs';

const MIB = 2 ** 20;
const MOST_GROWTH = 8 * MIB;
/** A step adds 1 KiB to the log, and the first hundred create most bind groups: 1.2 MiB in total. */
const MOST_GROWTH_OF_STEPS = 3 * MIB;
/** Resident memory also contains what the allocator has not returned yet. */
const MOST_RESIDENT_GROWTH = 32 * MIB;

const EMBEDDED = 'demos/align/model';
const VOCABULARY = 1024;
const loadEmbedded = (gpu: Gpu, trainable = false) =>
  CausalLM.load(gpu, folderFiles(EMBEDDED), { trainable });

const LONG_TESTS = 5;
let longTests = 0;

/** A long test: of these one runs each day. */
function inTurn(title: string, test: () => Promise<void>): void {
  const place = longTests++;
  it(title, async function () {
    if (!isItsTurn(place, LONG_TESTS)) this.skip();
    await test();
  });
}

describe('host memory', () => {
  let gpu: Gpu;
  before(async () => {
    gpu = await freshGpu();
  });
  after(() => gpu.dispose());

  inTurn('is constant over 200 reads of 8 MiB', async () => {
    const view = gpu.pool.allocate(8 * MIB, 'what is read');
    const growth = await growthOver(10, async () => {
      for (let i = 0; i < 20; i++) await gpu.read(view);
    });
    gpu.pool.release(view);
    expect(growth).to.be.at.most(MOST_GROWTH);
  });

  inTurn('is constant over 20 checkpoints of the embedded task', async () => {
    const model = await loadEmbedded(gpu);
    const args = { ...ALIGN_TRAINING, perDeviceTrainBatchSize: 4, maxSteps: 20, saveSteps: 1 };
    const trainDataset = randomPairs(24, 5, VOCABULARY);
    const checkpoint = memoryCheckpointStore();
    const trainer = new DPOTrainer({ model, args, trainDataset, peftConfig: ALIGN_LORA, checkpoint });
    const growth = new HostGrowth();
    for await (const { type } of trainer.train()) if (type === 'checkpoint') await growth.measure();
    trainer.dispose();
    model.dispose();
    expect(growth.measurements).to.equal(20);
    expect(growth.most).to.be.at.most(MOST_GROWTH);
  });

  inTurn('is constant over 300 training steps, with evaluations', async () => {
    const model = await loadFixture(gpu);
    const args = { perDeviceTrainBatchSize: 2, maxSteps: 300, evalSteps: 30 };
    const [trainDataset, evalDataset] = [randomPairs(20, 5), randomPairs(4, 6)];
    const trainer = new DPOTrainer({ model, args, trainDataset, evalDataset });
    const growth = new HostGrowth();
    for await (const { type } of trainer.train()) if (type === 'evaluate') await growth.measure();
    trainer.dispose();
    model.dispose();
    expect(growth.measurements).to.equal(10);
    expect(growth.most).to.be.at.most(MOST_GROWTH_OF_STEPS);
  });

  inTurn('is constant over 50 generations', async () => {
    const model = await loadFixture(gpu);
    const growth = await growthOver(10, async (round) => {
      for (let i = 0; i < 5; i++) {
        const prompts = [[1, 2, 3 + round], [4]];
        await generate(model, prompts, { maxNewTokens: 6 + i, seed: i, eosTokenIds: [] });
      }
    });
    model.dispose();
    expect(growth).to.be.at.most(MOST_GROWTH);
  });

  inTurn('is constant over 20 models that are loaded and disposed', async () => {
    const growth = await growthOver(20, async (round) => {
      const model = await loadEmbedded(gpu, round % 2 === 0);
      model.dispose();
    });
    expect(growth).to.be.at.most(MOST_GROWTH);
  });

  it('is small for counting devices, which are collected', async () => {
    const before = await hostBytes();
    const copies = Array.from({ length: 200 }, () => gpu.countingCopy());
    expect((await hostBytes()) - before).to.be.at.most(MIB);
    const held = copies.splice(0).map((copy) => new WeakRef(copy));
    await collectGarbage();
    expect(held.filter((copy) => copy.deref())).to.be.empty;
  });

  it('holds no copy of trained parameters', async () => {
    const before = await hostBytes();
    const store = new ParameterStore(gpu, [
      { name: 'weight', shape: [4096, 1024], values: new Float32Array(4 * MIB) },
    ]);
    const held = (await hostBytes()) - before;
    store.dispose();
    expect(held).to.be.at.most(MIB);
  });

  it('does not keep unused shaders alive', async () => {
    const [ofUser, formula] = await ownShaders(gpu);
    await collectGarbage();
    expect([ofUser.deref(), formula.deref()]).to.deep.equal([undefined, undefined]);
  });

  it('does not keep the checkpoint of a resumed run', async () => {
    const model = await loadEmbedded(gpu, true);
    const checkpoint = memoryCheckpointStore();
    const args = { perDeviceTrainBatchSize: 2, maxSteps: 4 };
    const trainDataset = randomPairs(8, 5, VOCABULARY);
    const trainer = () => new DPOTrainer({ model, args, trainDataset, peftConfig: null, checkpoint });
    const stop = new AbortController();
    const first = trainer();
    for await (const { type } of first.train({ signal: stop.signal })) if (type === 'start') stop.abort();
    first.dispose();

    const second = trainer();
    const before = await hostBytes();
    const held: number[] = [];
    for await (const event of second.train()) {
      if (event.type === 'start') expect(event.resumedFrom).to.equal(0);
      if (event.type === 'step') held.push((await hostBytes()) - before);
    }
    second.dispose();
    model.dispose();
    // The checkpoint has 8.6 MiB.
    expect(Math.max(...held)).to.be.at.most(4 * MIB);
  });
});

describe('a disposed device in Node', () => {
  let rounds: DeviceRound[] = [];
  before(async function () {
    this.timeout(600_000);
    rounds = await twentyDevices();
  });

  it('is collected, twenty of twenty', () => {
    expect(rounds.map(({ collected }) => collected)).to.deep.equal(rounds.map((_, i) => i + 1));
    expect(rounds).to.have.length(20);
  });

  it('frees its native memory', () => {
    const [, second, ...later] = rounds.map(({ resident }) => resident);
    expect(Math.max(...later) - second).to.be.at.most(MOST_RESIDENT_GROWTH);
  });

  it('ends its threads', function () {
    if (!existsSync('/proc/self/task')) this.skip();
    const [, second, ...later] = rounds.map(({ threads }) => threads);
    expect(later).to.deep.equal(later.map(() => second));
  });
});

/** Runs the test's own shader, and combines another with the source of a driver, as a formula is. */
async function ownShaders(gpu: Gpu): Promise<WeakRef<Shader>[]> {
  const [own, formula] = [{ ...affine, path: 'own.wgsl' }, shaderOf('// a formula', 'formula.wgsl')];
  const { fill } = kernels(own, { fill: { groups: (p) => p.count } });
  const y = gpu.pool.allocate(16, 'y');
  fill(gpu, { y }, { count: 4, a: 1, b: 0 });
  await gpu.finish();
  gpu.pool.release(y);
  expect(joined(affine, formula)).to.equal(joined(affine, formula));
  return [new WeakRef(own), new WeakRef(formula)];
}

/** The process after one more device was created and disposed of. */
interface DeviceRound {
  /** Devices that the garbage collector has freed. */
  collected: number;
  /** Bytes. */
  resident: number;
  /** 0 if the system does not report it. */
  threads: number;
}

/** Requests a device, generates on it and disposes of it, twenty times in a separate process. */
async function twentyDevices(): Promise<DeviceRound[]> {
  const [library, node] = ['dist/index.js', 'dist/node.js'].map((path) => pathToFileURL(resolve(path)).href);
  const program = `
    import { existsSync, readdirSync } from 'node:fs';
    import { setTimeout as wait } from 'node:timers/promises';
    import { CausalLM, generate } from '${library}';
    import { folderFiles, requestGpu } from '${node}';
    const TASKS = '/proc/self/task';
    let collected = 0;
    const registry = new FinalizationRegistry(() => collected++);
    async function comeAndGo() {
      const gpu = await requestGpu();
      registry.register(gpu);
      const model = await CausalLM.load(gpu, folderFiles('${EMBEDDED}'));
      await generate(model, [[1, 5]], { maxNewTokens: 4, seed: 1 });
      gpu.dispose();
    }
    const rounds = [];
    for (let round = 0; round < 20; round++) {
      await comeAndGo();
      for (let pass = 0; pass < 4; pass++) {
        await wait(5);
        gc();
      }
      const threads = existsSync(TASKS) ? readdirSync(TASKS).length : 0;
      rounds.push({ collected, resident: process.memoryUsage.rss(), threads });
    }
    console.log(JSON.stringify(rounds));`;
  // glibc would keep freed memory, more in one round and less in another.
  const allocator = {
    MALLOC_ARENA_MAX: '1',
    MALLOC_TRIM_THRESHOLD_: '131072',
    MALLOC_MMAP_THRESHOLD_: '131072',
  };
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--expose-gc', '--input-type=module', '--eval', program],
    { env: { ...process.env, ...allocator }, timeout: 600_000 },
  );
  return JSON.parse(stdout) as DeviceRound[];
}
