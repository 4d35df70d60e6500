/**
 * Makes new inputs from old ones: bits, bytes and whole numbers of binary files, members of JSON, pieces cut out,
 * duplicated, and moved between files. A JSON header after its length, as in safetensors, is changed as JSON and gets its
 * new length.
 */
import type { Random } from '../../src/data/random.ts';
import { type Folder, textBytes, textOf } from './folder.ts';
import { mutateJson } from './mutate-json.ts';

/** Files stay small, which is enough to make deep or wide ones. Some are made large by a piece that is repeated many times. */
const MOST_BYTES = 2 ** 15;
const MOST_UNFOLDED = 2 ** 20;
const LENGTH_BYTES = 8;

/** Whole numbers at the limits of their types, and counts beyond any memory. */
const INTEGERS = [
  ...[0n, 1n, 2n, 7n, 8n, 255n, 256n, 65535n, 65536n, -1n, -2n],
  ...[
    2n ** 31n - 1n,
    2n ** 31n,
    2n ** 32n - 1n,
    2n ** 32n,
    2n ** 53n - 1n,
    2n ** 53n,
    2n ** 63n - 1n,
    2n ** 63n,
  ],
  ...[2n ** 20n, 2n ** 26n, 2n ** 30n],
];

/** A changed copy of `folder`; `other` is another input to take pieces from. */
export function mutate(folder: Folder, other: Folder, words: readonly string[], random: Random): Folder {
  const changed = { ...folder };
  const names = Object.keys(changed);
  for (let left = 1 + random.below(4) ** 2 / 2; left > 0; left--) {
    const name = names[random.below(names.length)];
    if (names.length > 1 && random.below(200) === 0) {
      delete changed[name];
      continue;
    }
    const bytes = changed[name] ?? folder[name];
    const donor = other[name] ?? Object.values(other)[0] ?? bytes;
    changed[name] = mutateFile(bytes, donor, words, random).slice(0, MOST_BYTES);
    if (random.below(400) === 0) changed[name] = unfolded(changed[name], random);
  }
  return changed;
}

function unfolded(bytes: Uint8Array, random: Random): Uint8Array<ArrayBuffer> {
  const at = random.below(bytes.length + 1);
  const piece = bytes.subarray(at, at + 1 + random.below(64));
  const times = Math.floor(MOST_UNFOLDED / (1 + piece.length)) >> random.below(12);
  const repeated = new Uint8Array(piece.length * times);
  for (let i = 0; i < times; i++) repeated.set(piece, i * piece.length);
  return joined(bytes.subarray(0, at), repeated, bytes.subarray(at)).slice(0, MOST_UNFOLDED);
}

function mutateFile(
  bytes: Uint8Array<ArrayBuffer>,
  donor: Uint8Array<ArrayBuffer>,
  words: readonly string[],
  random: Random,
): Uint8Array<ArrayBuffer> {
  const header = headerEnd(bytes);
  if (header !== undefined && random.below(3) > 0) {
    const json = (file: Uint8Array, end: number) => textOf(file.subarray(LENGTH_BYTES, end)) ?? '{}';
    const changed = textBytes(
      mutateJson(json(bytes, header), random, json(donor, headerEnd(donor) ?? LENGTH_BYTES), words),
    );
    const length = textBytes('\0'.repeat(LENGTH_BYTES));
    new DataView(length.buffer).setBigUint64(0, BigInt(changed.length), true);
    return joined(length, changed, bytes.subarray(header));
  }
  const looksLikeJson = bytes[0] === 0x7b || bytes[0] === 0x5b;
  if (looksLikeJson && random.below(5) > 0) {
    const text = textOf(bytes);
    if (text !== undefined) return textBytes(mutateJson(text, random, textOf(donor) ?? '', words));
  }
  return mutateBytes(bytes, donor, words, random);
}

function mutateBytes(
  bytes: Uint8Array<ArrayBuffer>,
  donor: Uint8Array<ArrayBuffer>,
  words: readonly string[],
  random: Random,
): Uint8Array<ArrayBuffer> {
  const { length } = bytes;
  if (length === 0) return donor.slice();
  // Headers come first and matter most: half of all changes are among the first bytes.
  const reach = random.below(2) === 0 ? Math.min(length, 256) : length;
  const at = random.below(reach);
  const end = Math.min(length, at + 1 + random.below(1 << random.below(10)));
  const own = bytes.slice();
  const view = new DataView(own.buffer, own.byteOffset, own.byteLength);
  const integer = INTEGERS[random.below(INTEGERS.length)];
  const from = random.below(Math.max(1, donor.length));
  const piece = donor.subarray(from, from + 1 + random.below(64));

  const changes: (() => Uint8Array<ArrayBuffer>)[] = [
    () => {
      own[at] ^= 1 << random.below(8);
      return own;
    },
    () => {
      own[at] = random.below(256);
      return own;
    },
    () => {
      own[at] += random.below(2) === 0 ? 1 : 255;
      return own;
    },
    () => {
      if (at + 8 <= length) view.setBigInt64(at, BigInt.asIntN(64, integer), true);
      return own;
    },
    () => {
      if (at + 4 <= length) view.setInt32(at, Number(BigInt.asIntN(32, integer)), true);
      return own;
    },
    () => own.slice(0, at),
    () => joined(own.subarray(0, at), own.subarray(end)),
    () => joined(own.subarray(0, end), own.subarray(at)),
    () => joined(own.subarray(0, at), piece, own.subarray(at)),
    () => joined(own.subarray(0, at), piece, own.subarray(end)),
    () => joined(own.subarray(0, at), donor.subarray(from)),
    () => joined(own, textBytes('\0'.repeat(1 + random.below(64)))),
    () => {
      const word = words.length > 0 ? words[random.below(words.length)] : String(integer);
      return joined(own.subarray(0, at), textBytes(word), own.subarray(random.below(2) === 0 ? at : end));
    },
  ];
  return changes[random.below(changes.length)]();
}

/** Where the JSON after its own length ends; undefined in other files. */
function headerEnd(bytes: Uint8Array): number | undefined {
  if (bytes.length <= LENGTH_BYTES || bytes[LENGTH_BYTES] !== 0x7b) return undefined;
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  const end = LENGTH_BYTES + Number(length);
  return end <= bytes.length ? end : undefined;
}

function joined(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
