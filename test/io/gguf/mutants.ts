/**
 * Damaged files, the same ones from the same seed: truncated, bits flipped, numbers replaced by huge ones, pieces moved.
 * For tests of readers that must refuse all of them with a message.
 */
import { Random } from '../../../src/data/random.ts';

/** Numbers for which lengths, counts and offsets overflow. */
const NUMBERS = [
  0n,
  1n,
  0x7fffffffn,
  0xffffffffn,
  1n << 32n,
  (1n << 53n) - 1n,
  1n << 53n,
  (1n << 63n) - 1n,
  (1n << 64n) - 1n,
];

/** `count` files made from `file`, none of them longer than it. */
export function* mutants(
  file: Uint8Array<ArrayBuffer>,
  count: number,
  seed: number,
): Generator<Uint8Array<ArrayBuffer>> {
  const random = new Random(seed);
  for (let i = 0; i < count; i++) {
    const mutant = file.slice();
    for (let left = 1 + random.below(3); left > 0; left--) damage(mutant, random);
    yield random.below(8) === 0 ? mutant.slice(0, random.below(mutant.length + 1)) : mutant;
  }
}

function damage(file: Uint8Array<ArrayBuffer>, random: Random): void {
  const view = new DataView(file.buffer);
  const at = random.below(file.length - 8);
  const number = NUMBERS[random.below(NUMBERS.length)];
  const kinds = [
    () => view.setUint8(at, view.getUint8(at) ^ (1 << random.below(8))),
    () => view.setUint8(at, random.below(256)),
    () => view.setUint32(at, random.below(16), true),
    () => view.setBigUint64(at, number, true),
    () => view.setUint32(at, Number(number & 0xffffffffn), true),
    () => file.copyWithin(at, random.below(file.length - 8), random.below(file.length)),
  ];
  kinds[random.below(kinds.length)]?.();
}
