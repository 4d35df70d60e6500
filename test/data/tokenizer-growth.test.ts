/** Steps of a tokenizer that expand a text: refused when the file is read, or as soon as they expand it. */
import { expect } from 'chai';
import { Tokenizer } from '../../src/data/tokenizer.ts';
import { memoryFiles } from '../../src/io/files.ts';
import { expectRefused } from '../io/refused.ts';

const plain = {
  added_tokens: [],
  normalizer: null,
  pre_tokenizer: null,
  post_processor: null,
  decoder: null,
  model: { type: 'BPE', vocab: { a: 0, b: 1, x: 2 }, merges: [] },
};
const read = (changed: object) =>
  Tokenizer.fromFiles(memoryFiles({ 'tokenizer.json': JSON.stringify({ ...plain, ...changed }) }, 'm'));
const times = <T>(count: number, step: T): T[] => new Array<T>(count).fill(step);
const normalizers = (count: number, step: object) => ({
  normalizer: { type: 'Sequence', normalizers: times(count, step) },
});
const replace = (pattern: object, content: string) => ({ type: 'Replace', pattern, content });
const template = (single: unknown[], tokens: string[] = []) => ({
  post_processor: {
    type: 'TemplateProcessing',
    single,
    pair: [],
    special_tokens: { x: { id: 'x', ids: [2], tokens } },
  },
});
const text = { Sequence: { id: 'A', type_id: 0 } };

describe('data/tokenizer-growth', () => {
  const REFUSED: Record<string, [changed: object, ...says: string[]]> = {
    'thirty steps that double a text': [normalizers(30, replace({ String: 'a' }, 'aa')), '256 times'],
    'steps that are nested too deeply': [
      {
        normalizer: { type: 'Sequence', normalizers: times(5, normalizers(60, { type: 'NFC' }).normalizer) },
      },
      '306 nested steps',
    ],
    'a template with many copies of the text': [template(times(100, text)), '100 copies'],
    'a special token that stands for many': [
      template(times(100, { SpecialToken: { id: 'x' } }), times(9, 'x')),
      '900 parts',
    ],
    'a sequence of templates': [
      { post_processor: { type: 'Sequence', processors: times(5, template(times(4, text)).post_processor) } },
      '256 times',
    ],
  };
  for (const [name, [changed, ...says]] of Object.entries(REFUSED)) {
    it(`refuses ${name}`, () => expectRefused(() => read(changed), 'm/tokenizer.json', ...says));
  }

  const STOPPED: Record<string, object> = {
    'patterns that match between all letters': normalizers(30, replace({ Regex: 'z*' }, 'x')),
    'repeated conversion of bytes to letters': {
      pre_tokenizer: {
        type: 'Sequence',
        pretokenizers: times(60, { type: 'ByteLevel', use_regex: false, add_prefix_space: false }),
      },
    },
    'a long replacement of spaces': {
      pre_tokenizer: {
        type: 'Sequence',
        pretokenizers: times(9, {
          type: 'Metaspace',
          replacement: ' '.repeat(99),
          prepend_scheme: 'never',
          split: false,
        }),
      },
    },
  };
  for (const [name, changed] of Object.entries(STOPPED)) {
    it(`stops ${name}`, async () => {
      const tokenizer = await read(changed);
      await expectRefused(() => tokenizer.encode('é b'.repeat(99)), 'm/tokenizer.json', 'cannot encode');
    });
  }

  it('stops steps that lengthen a text together, each only slightly', async () => {
    // Seven doublings are allowed: a short text stays small, a long one grows by more than a factor of 32.
    const tokenizer = await read(normalizers(7, replace({ String: 'a' }, 'aa')));
    await expectRefused(
      () => tokenizer.encode('a'.repeat(9000)),
      'm/tokenizer.json',
      'more than 32 times as long',
    );
    expect(tokenizer.encode('ab')).to.have.length(129);
  });

  it('accepts harmless steps', async () => {
    const tokenizer = await read(normalizers(8, replace({ Regex: 'x+' }, 'ab')));
    expect(tokenizer.encode('xxa')).to.deep.equal([0, 1, 0]);
    expect((await read(template([text, { SpecialToken: { id: 'x' } }, text]))).encode('b')).to.deep.equal([
      1, 2, 1,
    ]);
  });
});
