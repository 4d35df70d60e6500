/** Text of tokens as they arrive: the same as of all at once, in whole characters. */
import { expect } from 'chai';
import { TextStream } from '../../src/data/text-stream.ts';
import { Tokenizer } from '../../src/data/tokenizer.ts';
import { memoryFiles } from '../../src/io/files.ts';
import fixture from '../fixtures/tokenizers.json' with { type: 'json' };

const EMOJI = 'a 👩‍👩‍👧 b 𝔸 ½ 漢字 é';

/** The texts returned for ids that arrive `each` at a time. */
function pieces(tokenizer: Pick<Tokenizer, 'decode'>, ids: readonly number[], each: number): string[] {
  const stream = new TextStream(tokenizer);
  const told: string[] = [];
  for (let at = 0; at < ids.length; at += each) told.push(stream.push(ids.slice(at, at + each)));
  return [...told, stream.end()].filter((piece) => piece !== '');
}

describe('data/text-stream', () => {
  const { subwords: _, ...kinds } = fixture.kinds;
  for (const [name, kind] of Object.entries(kinds)) {
    it(`reassembles texts: ${name}`, async () => {
      const files = memoryFiles({ 'tokenizer.json': JSON.stringify(kind.tokenizer) }, name);
      const tokenizer = await Tokenizer.fromFiles(files);
      for (const text of [...fixture.texts, EMOJI]) {
        const ids = tokenizer.encode(text, { addSpecialTokens: false });
        for (const each of [1, 3]) {
          const told = pieces(tokenizer, ids, each);
          expect(told.join(''), `${text}, ${each} at a time`).to.equal(tokenizer.decode(ids));
          if (tokenizer.decode(ids).includes('\uFFFD')) continue;
          for (const piece of told) expect(piece, text).to.not.include('\uFFFD');
        }
      }
    });
  }

  it('returns incomplete characters at the end', () => {
    const bytes = {
      decode: (ids: Iterable<number>) => new TextDecoder().decode(Uint8Array.from(ids)),
    };
    const whole = [...new TextEncoder().encode('é!')];
    expect(pieces(bytes, whole, 1)).to.deep.equal(['é', '!']);
    expect(pieces(bytes, whole.slice(0, 1), 1)).to.deep.equal(['\uFFFD']);
    // An incomplete character is returned together with the character that follows it.
    expect(pieces(bytes, [0x61, 0xc3, 0x62], 1)).to.deep.equal(['a', '\uFFFDb']);
  });
});
