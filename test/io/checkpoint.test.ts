import { expect } from 'chai';
import { Random } from '../../src/data/random.ts';
import {
  type Checkpoint,
  decodeCheckpoint,
  encodeCheckpoint,
  memoryCheckpointStore,
} from '../../src/io/checkpoint.ts';
import { memoryReferenceCache, storedReferenceCache } from '../../src/io/reference-cache.ts';
import { writeSafetensors } from '../../src/io/safetensors.ts';
import { expectRefused, failureOf } from './refused.ts';

const checkpoint: Checkpoint = {
  configHash: 'abc',
  state: { step: 3, random: [1, 2, 3, 4294967295], loss: 0.1 + 0.2, note: 'é', done: false },
  tensors: new Map([
    ['weights', Float32Array.of(1, -0, Number.NaN, Number.POSITIVE_INFINITY, 1e-45)],
    ['none', new Float32Array(0)],
  ]),
};

describe('io/checkpoint', () => {
  it('restores state and tensors bit for bit', async () => {
    const read = await decodeCheckpoint(await encodeCheckpoint(checkpoint), 'c');
    expect(read.configHash).to.equal('abc');
    expect(read.state).to.deep.equal(checkpoint.state);
    expect([...read.tensors.keys()]).to.have.members(['weights', 'none']);
    const bits = (values: Float32Array) => Array.from(new Uint32Array(values.slice().buffer));
    expect(bits(read.tensors.get('weights')!)).to.deep.equal(bits(checkpoint.tensors.get('weights')!));
  });

  it('gives the same bytes for the same content', async () => {
    const reversed = { ...checkpoint, tensors: new Map([...checkpoint.tensors].reverse()) };
    expect(await encodeCheckpoint(reversed)).to.deep.equal(await encodeCheckpoint(checkpoint));
  });

  it('rejects a copy with any byte changed, and a truncated one', async () => {
    const bytes = await encodeCheckpoint(checkpoint);
    const random = new Random(5);
    for (let at = 0; at < bytes.length; at++) {
      const damaged = bytes.slice();
      damaged[at] ^= 1 << random.below(8);
      await expectRefused(() => decodeCheckpoint(damaged, 'c'), 'c');
      await expectRefused(() => decodeCheckpoint(bytes.slice(0, at), 'c'), 'c');
    }
  });

  it('distinguishes a file of another kind or version from a damaged one', async () => {
    await expectRefused(() => decodeCheckpoint(writeSafetensors(new Map()), 'c'), 'not a checkpoint');
    const metadata = { format: 'webalign-checkpoint', version: '9', configHash: '', state: '{}', sha256: '' };
    await expectRefused(() => decodeCheckpoint(writeSafetensors(new Map(), metadata), 'c'), 'version "9"');
  });

  it('rejects a state that JSON would change', async () => {
    const error = await failureOf(() => encodeCheckpoint({ ...checkpoint, state: { loss: Number.NaN } }));
    expect(error).to.be.instanceOf(TypeError);
  });

  it('keeps its own copy in memory', async () => {
    const store = memoryCheckpointStore();
    expect(await store.read()).to.equal(undefined);
    const bytes = Uint8Array.of(1, 2);
    await store.write(bytes);
    bytes[0] = 9;
    const read = await store.read();
    read![1] = 9;
    expect(Array.from((await store.read())!)).to.deep.equal([1, 2]);
  });
});

describe('io/reference-cache', () => {
  it('stores values in memory by key', async () => {
    const cache = memoryReferenceCache();
    await cache.put('k', Float32Array.of(1.5));
    expect(await cache.get('k')).to.deep.equal(Float32Array.of(1.5));
    expect(await cache.get('other')).to.equal(undefined);
  });

  it('returns nothing for a damaged value or one of another key', async () => {
    const store = memoryCheckpointStore();
    const cache = storedReferenceCache(() => store);
    await cache.put('k', Float32Array.of(1.5, -2));
    expect(await cache.get('k')).to.deep.equal(Float32Array.of(1.5, -2));
    expect(await cache.get('other')).to.equal(undefined);
    const bytes = (await store.read())!;
    bytes[bytes.length - 1] ^= 1;
    await store.write(bytes);
    expect(await cache.get('k')).to.equal(undefined);
  });
});
