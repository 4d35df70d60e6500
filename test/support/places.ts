/** Places of rows for the kernels of generation, of which a test names only what it is about. */
import type { Gpu } from '../../src/gpu/device.ts';
import { PLACE_COLUMNS, type Place, packPlaces } from '../../src/ops/sample.ts';
import { Tensor } from '../../src/tensor/tensor.ts';

/** (B, 8). Default: a prompt of one token, room for a thousand of its own, started in step 0, in the row's own slot. */
export function placesOf(gpu: Gpu, places: readonly Partial<Place>[]): Tensor {
  const all = places.map((place, row) => {
    const { own = 0, slot = row } = place;
    const usual = {
      prompt: 0,
      promptEnd: 1,
      own,
      ownEnd: own + 1000,
      start: 0,
      slot,
      sequence: slot,
      first: 0,
    };
    return { ...usual, ...place };
  });
  return Tensor.from(gpu, packPlaces(all), [all.length, PLACE_COLUMNS], 'places');
}
