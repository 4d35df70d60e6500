/** The fuzzer on readers with deliberate bugs: each kind of finding is found, distinguished and reduced. */
import { expect } from 'chai';
import { Random } from '../../src/data/random.ts';
import { InputError } from '../../src/io/errors.ts';
import { countAllocations } from './allocations.ts';
import { type Folder, jsonBytes, keep, textBytes, textOf, unkeep } from './folder.ts';
import { type Finding, judge, type Meter, signature } from './judge.ts';
import { minimise } from './minimise.ts';
import { mutate } from './mutate.ts';
import { jsonSpans } from './mutate-json.ts';
import { FOLDER, type Target } from './targets.ts';

/** A meter that always shows the same. */
const still: Meter = { allocated: () => 0, memory: () => 0, seconds: () => 0 };
const broken = (run: Target['run']): Target => ({ seeds: [], run });
const refuses = (where: string, what: string) =>
  broken(() => {
    throw new InputError(where, what, 'Change it');
  });

const folder: Folder = {
  'a.json': jsonBytes({ rows: [1, 2, 3], name: 'x' }),
  'b.bin': Uint8Array.of(1, 0, 255),
};

describe('fuzz', () => {
  describe('judge', () => {
    const FINDINGS: Record<string, [Target, Finding['kind'] | undefined]> = {
      'accepts a file that is read': [broken(() => 1), undefined],
      'accepts an error that names a file': [refuses(`${FOLDER}/a.json`, 'is odd'), undefined],
      'finds an unexpected error': [broken(() => JSON.parse('{')), 'thrown'],
      'finds a broken promise': [broken(() => Promise.reject(new Error('unsound: 3 of 2'))), 'thrown'],
      'finds an error that names no file': [refuses(FOLDER, 'is odd'), 'unnamed'],
      'finds a message that is too long': [refuses(`${FOLDER}/a.json`, 'x'.repeat(1000)), 'long'],
      'finds control characters of a terminal': [
        refuses(`${FOLDER}/a.json`, 'red \u001b[31m'),
        'unprintable',
      ],
      'finds memory out of proportion to the file': [
        broken(() => new Float32Array(2 ** 25).length),
        'memory',
      ],
    };
    for (const [name, [target, kind]] of Object.entries(FINDINGS)) {
      it(name, async () => {
        const allocations = countAllocations();
        try {
          const { finding } = await judge(target, folder, { ...still, allocated: allocations.bytes });
          expect(finding?.kind).to.equal(kind);
        } finally {
          allocations.stop();
        }
      });
    }

    it('finds excessive work and memory for a small file', async () => {
      const taking = (jump: Partial<Meter>) => {
        let meter = still;
        const target = broken(() => {
          meter = { ...still, ...jump };
        });
        const now: Meter = {
          allocated: () => meter.allocated(),
          memory: () => meter.memory(),
          seconds: () => meter.seconds(),
        };
        return judge(target, folder, now);
      };
      expect((await taking({ seconds: () => 4.9, memory: () => 500 * 2 ** 20 })).finding).to.equal(undefined);
      expect((await taking({ seconds: () => 5.1 })).finding).to.deep.include({
        kind: 'time',
        detail: '5.1 s',
      });
      expect((await taking({ memory: () => 513 * 2 ** 20 })).finding).to.include({ kind: 'memory' });
    });

    it('distinguishes findings by origin rather than by message', async () => {
      const found = async (text: string) => {
        const { finding } = await judge(
          broken(() => JSON.parse(text)),
          folder,
          still,
        );
        return signature(finding!);
      };
      expect(await found('{')).to.equal(await found('[1 2]'));
      const other = await judge(
        broken(() => decodeURI('%')),
        folder,
        still,
      );
      expect(signature(other.finding!)).to.not.equal(await found('{'));
    });
  });

  it('stores text files as text, and others as bytes', () => {
    const kept = keep({ ...folder, 'c.txt': textBytes('\ufeffé') });
    expect(kept['b.bin']).to.deep.equal({ base64: 'AQD/' });
    expect(unkeep(JSON.parse(JSON.stringify(kept)))).to.deep.equal({
      ...folder,
      'c.txt': textBytes('\ufeffé'),
    });
    expect(
      textOf(
        unkeep({
          x: [
            ['[', 3],
            ['0', 1],
            [']', 3],
          ],
        }).x,
      ),
    ).to.equal('[[[0]]]');
  });

  it('sees the parts of JSON', () => {
    const text = '{"a": [1, "b"], "c": -2.5e3}';
    const { values, names, members } = jsonSpans(text);
    const shown = (spans: { start: number; end: number }[]) =>
      spans.map(({ start, end }) => text.slice(start, end));
    expect(shown(names)).to.deep.equal(['"a"', '"c"']);
    expect(shown(values)).to.deep.equal(['1', '"b"', '[1, "b"]', '-2.5e3', text]);
    expect(shown(members)).to.deep.equal(['1', '"b"', '"a": [1, "b"]', '"c": -2.5e3']);
  });

  it('makes the same inputs from the same seed, and does not change their source', () => {
    const before = keep(folder);
    const run = () => {
      const random = new Random(3);
      return Array.from({ length: 200 }, () => keep(mutate(folder, folder, ['word'], random)));
    };
    const made = run();
    expect(run()).to.deep.equal(made);
    expect(keep(folder)).to.deep.equal(before);
    expect(new Set(made.map((each) => JSON.stringify(each))).size).to.be.above(150);
  });

  it('finds the one input that breaks a reader, and minimizes it', async () => {
    const isBad = (each: Folder) => /"__proto__":/.test(textOf(each['a.json'] ?? new Uint8Array()) ?? '');
    const random = new Random(5);
    let found: Folder | undefined;
    for (let i = 0; i < 20_000 && !found; i++) {
      const made = mutate(folder, folder, [], random);
      if (isBad(made)) found = made;
    }
    const smallest = await minimise(found!, async (each) => isBad(each));
    expect(keep(smallest)).to.deep.equal({ 'a.json': '"__proto__":' });
  });
});
