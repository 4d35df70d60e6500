/**
 * What every checkpoint store promises: nothing at first, the last complete write afterwards, copies rather than views; a
 * stopped run resumes from it with identical bytes, and a damaged checkpoint is refused.
 */
import { expect } from 'chai';
import { DPOTrainer, type Gpu, writeAdapter } from 'webalign';
import { type CheckpointStore, InputError } from 'webalign/files';
import { readRunState } from 'webalign/trainers';
import { storyteller } from './place.ts';

/** Bytes that differ from position to position and from write to write. */
const bytesOf = (length: number, seed: number) =>
  Uint8Array.from({ length }, (_, i) => (i * 31 + seed * 17 + (i >> 8)) % 256);

/** Three steps of DPO on two pairs, stopped after one of them on request; returns the adapter's bytes. */
async function trained(
  gpu: Gpu,
  checkpoint: CheckpointStore | undefined,
  stopAfter?: number,
): Promise<Uint8Array> {
  const { model, tokenizer } = await storyteller(gpu);
  const pair = { prompt: 'One day', chosen: ' the sun was warm.', rejected: ' it was cold.' };
  const trainer = new DPOTrainer({
    model,
    processingClass: tokenizer,
    args: { maxSteps: 3, perDeviceTrainBatchSize: 1, saveSteps: 1, learningRate: 1e-2, seed: 4 },
    peftConfig: { r: 2, targetModules: ['q_proj'] },
    trainDataset: [pair, { ...pair, prompt: 'Once' }].map((row, i) => ({ ...row, where: `row ${i + 1}` })),
    ...(checkpoint && { checkpoint }),
  });
  const stop = new AbortController();
  for await (const event of trainer.train({ signal: stop.signal }))
    if (event.type === 'step' && event.step === stopAfter) stop.abort();
  const { 'adapter_model.safetensors': bytes } = writeAdapter(await trainer.adapter!.toAdapter());
  trainer.dispose();
  model.dispose();
  return bytes;
}

/** Declares the tests of a store. `make` returns one of that name: the same store for the same name. */
export function keepsItsPromises(make: (name: string) => CheckpointStore, gpu: () => Gpu): void {
  it('is empty at first', async () => {
    expect(await make('nothing').read()).to.equal(undefined);
  });

  it('returns the last complete write, also from a newly opened store, for any size', async () => {
    const store = make('last');
    for (const [seed, length] of [10, 100_000, 0, 3].entries()) {
      await store.write(bytesOf(length, seed));
      expect(await store.read()).to.deep.equal(bytesOf(length, seed));
      expect(await make('last').read()).to.deep.equal(bytesOf(length, seed));
    }
  });

  it('stores copies: only the bytes of a view, unaffected by later changes', async () => {
    const store = make('copies');
    const all = bytesOf(1000, 1);
    const view = all.subarray(100, 200);
    const expected = view.slice();
    await store.write(view);
    all.fill(0);
    const [first, second] = [await store.read(), await store.read()];
    expect(first).to.deep.equal(expected);
    expect(first!.buffer.byteLength).to.equal(100);
    first!.fill(7);
    expect(second).to.deep.equal(expected);
    expect(await store.read()).to.deep.equal(expected);
  });

  it('is the old or the new value during a write, and finally the last of many', async () => {
    const store = make('during');
    await store.write(bytesOf(300_000, 0));
    const whole = [0, 1, 2, 3].map((seed) => String(bytesOf(300_000, seed)));
    let last = Promise.resolve();
    for (const seed of [1, 2, 3]) {
      last = last.then(() => store.write(bytesOf(300_000, seed)));
      expect(whole).to.include(String(await store.read()));
    }
    await last;
    expect(String(await store.read())).to.equal(whole[3]);
  });

  it('is never missing during a write', async () => {
    const store = make('always');
    await store.write(bytesOf(3000, 0));
    let writing = true;
    const written = (async () => {
      for (let seed = 1; seed <= 40; seed++) await store.write(bytesOf(3000, seed % 4));
    })().finally(() => {
      writing = false;
    });
    while (writing) expect((await store.read())?.length).to.equal(3000);
    await written;
  });

  it('resumes a run bit for bit, and rejects a damaged checkpoint', async function () {
    this.timeout(240_000);
    const uninterrupted = await trained(gpu(), undefined);
    const store = make('run');
    await trained(gpu(), store, 1);
    expect((await readRunState(make('run')))?.step).to.equal(1);
    expect(await trained(gpu(), make('run'))).to.deep.equal(uninterrupted);
    const bytes = (await store.read())!;
    for (const at of [3, Math.floor(bytes.length / 2), bytes.length - 1]) {
      const damaged = bytes.slice();
      damaged[at] ^= 4;
      await store.write(damaged);
      const error = await trained(gpu(), make('run')).catch((reason) => reason);
      expect(error, `byte ${at}`).to.be.instanceOf(InputError);
    }
    await store.write(bytes.slice(0, -1));
    expect(await readRunState(make('run')).catch((reason) => reason)).to.be.instanceOf(InputError);
  });
}
