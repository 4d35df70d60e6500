/**
 * Ids of texts and their decoded texts, by tokenizers with the steps that are common (normalizers, pre-tokenizers, models,
 * templates and decoders), compared with the tokenizers library. `python test/interop/try_tokenizers.py` does the same with
 * 30,000 texts.
 */
import { expect } from 'chai';
import { Tokenizer } from '../../src/data/tokenizer.ts';
import { memoryFiles } from '../../src/io/files.ts';
import fixture from '../fixtures/tokenizers.json' with { type: 'json' };
import { expectRefused } from '../io/refused.ts';

type Result = [ids: number[], decoded: string, withoutSpecial?: string];

const open = (kind: string, tokenizer: unknown) =>
  Tokenizer.fromFiles(memoryFiles({ 'tokenizer.json': JSON.stringify(tokenizer) }, kind));

describe('data/tokenizer: kinds', () => {
  for (const [kind, { tokenizer, results }] of Object.entries(fixture.kinds)) {
    it(`reads ${fixture.texts.length} texts like the library with the steps of ${kind}`, async () => {
      const made = await open(kind, tokenizer);
      const [encoded, decoded]: [string[], string[]] = [[], []];
      for (const [i, [ids, text, plain = text]] of (results as Result[]).entries()) {
        const given = fixture.texts[i];
        if (made.encode(given).join() !== ids.join()) encoded.push(given);
        const isSame = made.decode(ids, { skipSpecialTokens: false }) === text && made.decode(ids) === plain;
        if (!isSame) decoded.push(given);
      }
      expect(encoded, JSON.stringify(encoded)).to.have.length(0);
      expect(decoded, JSON.stringify(decoded)).to.have.length(0);
    });
  }

  it('only normalizes characters of Unicode 9', async () => {
    const tiny = fixture.kinds['GPT-2'].tokenizer;
    // A mark of Unicode 14 separates the characters around it, and a newer letter is not composed.
    for (const text of ['q\u0307\u1ac1\u0323', '\u{11935}\u{11930}', '\u{1df6}\u0334', '\u32ff']) {
      const [plain, ...normal] = await Promise.all(
        [null, { type: 'NFC' }, { type: 'Sequence', normalizers: [{ type: 'NFKC' }] }].map((normalizer) =>
          open('tiny', { ...tiny, normalizer }),
        ),
      );
      for (const each of normal) expect(each.encode(text)).to.deep.equal(plain?.encode(text));
    }
  });

  for (const [about, { tokenizer, results }] of Object.entries(fixture.small)) {
    it(`splits like the library: ${about}`, async () => {
      const made = await open(about, tokenizer);
      for (const [text, ids] of results as [string, number[]][])
        expect(made.encode(text), text).to.deep.equal(ids);
    });
  }

  it('refuses BPE that marks parts of words and falls back on bytes', () => {
    const { tokenizer } = fixture.kinds.subwords;
    const made = { ...tokenizer, model: { ...tokenizer.model, byte_fallback: true } };
    return expectRefused(() => open('subwords', made), 'subwords/tokenizer.json', '"##"');
  });

  describe('of a malicious file', () => {
    const tiny = fixture.kinds['GPT-2'].tokenizer;
    const replace = { type: 'Replace', pattern: { String: 'a' }, content: 'aa' };
    const cases: Record<string, [change: object, message: string]> = {
      'whose steps double a text': [
        { normalizer: { type: 'Sequence', normalizers: Array(30).fill(replace) } },
        '256 times as long',
      ],
      'whose template repeats the text': [
        {
          post_processor: {
            type: 'TemplateProcessing',
            single: Array(1e5).fill({ Sequence: { id: 'A', type_id: 0 } }),
            pair: [],
            special_tokens: {},
          },
        },
        'around a text',
      ],
      'with an added token without end': [
        { added_tokens: [{ id: 1, content: 'a'.repeat(1e6), special: true }] },
        'at most 16384 characters',
      ],
    };
    for (const [name, [change, message]] of Object.entries(cases)) {
      it(name, () =>
        expectRefused(() => open('tiny', { ...tiny, ...change }), 'tiny/tokenizer.json', message),
      );
    }
  });
});
