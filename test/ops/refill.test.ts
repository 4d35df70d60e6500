/**
 * Rows of finished sequences go to waiting ones in order: by an end token, by the longest length, not before their prompts are in
 * the cache, and whatever the number of threads.
 */
import { expect } from 'chai';
import type { Gpu } from '../../src/gpu/device.ts';
import { refill } from '../../src/ops/refill.ts';
import { INVALID_TOKEN, type Place, packPlaces } from '../../src/ops/sample.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { random } from '../reference/compare.ts';
import { testGpu } from '../support/gpu.ts';
import { guards } from '../support/guard.ts';
import { placesOf } from '../support/places.ts';

const EOS = [5, 9];
const STEP = 7;
const LONGEST = 4;

interface Given {
  rows: number;
  next: number;
  ready: number;
  copies: number;
}

function expected(places: Place[], last: readonly number[], given: Given, prompts: number[][]) {
  let { next } = given;
  const after = places.map((place, row) => {
    const hasEnded = place.start < STEP && [...EOS, INVALID_TOKEN].includes(last[row]);
    if (!(hasEnded || STEP - place.start >= LONGEST) || next >= given.ready) return place;
    const [prompt, promptEnd, first] = prompts[Math.floor(next / given.copies)] as [number, number, number];
    return { ...place, prompt, promptEnd, first, start: STEP, sequence: next++ };
  });
  return { after, next };
}

describe('refill', () => {
  for (const threads of [1, 4, 64]) {
    for (const given of [
      { rows: 1, next: 1, ready: 3, copies: 1 },
      { rows: 37, next: 40, ready: 200, copies: 8 },
      { rows: 37, next: 40, ready: 45, copies: 3 },
      { rows: 200, next: 200, ready: 200, copies: 2 },
      { rows: 130, next: 300, ready: 120, copies: 2 },
    ]) {
      it(`${given.rows} rows, ${given.ready} of which ${given.next} have had a row, ${threads} threads`, async () => {
        const { gpu: guarded, check } = guards(await testGpu());
        const gpu: Gpu = Object.create(guarded, { rowThreads: { value: threads } });
        const { int } = random(given.rows + given.ready);
        const slots = given.rows + 3;
        const places: Place[] = Array.from({ length: given.rows }, (_, row) => ({
          ...{ prompt: int(50), promptEnd: 60, own: 100 + row, ownEnd: 101 + row },
          ...{ start: STEP - int(LONGEST + 2), slot: slots - 1 - row, sequence: row, first: int(9) },
        }));
        const last = places.map(() => [1, 5, 9, INVALID_TOKEN, 2][int(5)]);
        const ring = 5;
        const words = new Uint32Array(ring * slots);
        for (const [row, { slot }] of places.entries()) words[((STEP - 1) % ring) * slots + slot] = last[row];
        const prompts = Array.from({ length: 120 }, (_, i) => [i, i + 3, 7 * i]);
        const live = {
          places: placesOf(gpu, places),
          tokens: Tensor.from(gpu, words, [ring, slots]),
          eos: Tensor.from(gpu, Uint32Array.from(EOS), [EOS.length]),
        };
        const next = Tensor.from(gpu, Uint32Array.of(given.next), [1]);
        const table = Tensor.from(gpu, Uint32Array.from(prompts.flat()), [prompts.length, 3]);
        const waiting = { prompts: table, next, copies: given.copies };
        refill(gpu, live, waiting, { step: STEP, ready: given.ready, longest: LONGEST });
        const [found, foundNext] = [await gpu.read(live.places), await gpu.read(next)];
        await check();
        const truth = expected(places, last, given, prompts);
        expect([...new Uint32Array(found)]).to.deep.equal([...packPlaces(truth.after)]);
        expect([...new Uint32Array(foundNext)]).to.deep.equal([truth.next]);
      });
    }
  }
});
