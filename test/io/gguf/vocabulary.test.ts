/**
 * Tokenizers written as GGUF's metadata and read back: every text of the fixture gets the same ids, and everything that
 * llama.cpp needs is written.
 */
import { expect } from 'chai';
import { Tokenizer } from '../../../src/data/tokenizer.ts';
import { memoryFiles } from '../../../src/io/files.ts';
import { GgufMetadata } from '../../../src/io/gguf/metadata.ts';
import { type GgufTokenizer, ggufTokenizer } from '../../../src/io/gguf/tokenizer.ts';
import { vocabularyMetadata } from '../../../src/io/gguf/vocabulary.ts';
import type { JsonObject } from '../../../src/io/json.ts';
import fixture from '../../fixtures/gguf.json' with { type: 'json' };
import { ggufMetadata, ggufNumbers } from '../../support/gguf.ts';

function load({ tokenizer, config }: GgufTokenizer): Promise<Tokenizer> {
  const files = {
    'tokenizer.json': JSON.stringify(tokenizer),
    'tokenizer_config.json': JSON.stringify(config),
  };
  return Tokenizer.fromFiles(memoryFiles(files, 'm.gguf'));
}

/** To metadata and back, in a model with three more embeddings than tokens. */
async function around(given: GgufTokenizer): Promise<[GgufMetadata, GgufTokenizer]> {
  const before = await load(given);
  const { bosId, addsEos, special, chatTemplate, vocabSize } = before;
  const addsBos = bosId !== undefined && before.encode('a')[0] === bosId;
  const settings = { size: vocabSize + 3, special, addsBos, addsEos, chatTemplate };
  const metadata = new GgufMetadata(
    vocabularyMetadata(given.tokenizer, 'tokenizer.json', settings),
    'm.gguf',
  );
  return [metadata, ggufTokenizer(metadata)!];
}

describe('io/gguf-vocabulary', () => {
  for (const { model, tokens, types, merges, scores, ids, cases } of fixture.tokenizers) {
    for (const [settings] of cases as [Record<string, string | boolean>, unknown][]) {
      it(`${model} ${JSON.stringify(settings)}: the same ids for every text`, async () => {
        const given = ggufTokenizer(
          new GgufMetadata(
            ggufMetadata({
              'tokenizer.ggml.model': model,
              'tokenizer.ggml.tokens': tokens,
              'tokenizer.ggml.token_type': ggufNumbers('int32', types),
              'tokenizer.ggml.scores': ggufNumbers('float32', scores ?? []),
              ...(merges && { 'tokenizer.ggml.merges': merges }),
              ...Object.fromEntries(
                Object.entries(ids).map(([key, id]) => [`tokenizer.ggml.${key}`, id as number]),
              ),
              ...Object.fromEntries(
                Object.entries(settings).map(([key, value]) => [`tokenizer.ggml.${key}`, value]),
              ),
              'tokenizer.chat_template': '{{ messages }}',
            }),
            'm.gguf',
          ),
        )!;
        const [metadata, back] = await around(given);
        const [before, after] = [await load(given), await load(back)];
        for (const text of fixture.texts) expect(after.encode(text), text).to.deep.equal(before.encode(text));
        expect(after.vocabSize).to.equal(tokens.length + 3);
        expect(after.special).to.deep.equal(before.special);
        expect(after.chatTemplate).to.equal('{{ messages }}');
        expect(Array.from(metadata.numbers('tokenizer.ggml.token_type')!)).to.deep.equal([...types, 5, 5, 5]);
        expect(metadata.strings('tokenizer.ggml.tokens')!.slice(-3, -2)).to.deep.equal([
          `[PAD${tokens.length}]`,
        ]);
      });
    }
  }

  it('recognizes SentencePiece in its other notation', async () => {
    const pieces = fixture.tokenizers[1];
    const model = {
      type: 'BPE',
      byte_fallback: true,
      unk_token: '<unk>',
      vocab: { '<unk>': 0, '▁': 1, a: 2 },
      merges: [],
    };
    for (const [cut, prefix] of [
      [{ type: 'Metaspace', replacement: '▁', prepend_scheme: 'first', split: false }, true],
      [{ type: 'Metaspace', replacement: '▁', prepend_scheme: 'never', split: false }, false],
      [{ type: 'Metaspace', replacement: '▁', add_prefix_space: false }, false],
    ] as [JsonObject, boolean][]) {
      const settings = {
        size: 3,
        special: { unk_token: '<unk>' },
        addsBos: false,
        addsEos: false,
        chatTemplate: undefined,
      };
      const metadata = vocabularyMetadata(
        { model, normalizer: null, pre_tokenizer: cut },
        'tokenizer.json',
        settings,
      );
      expect(metadata.get('tokenizer.ggml.add_space_prefix')?.value).to.equal(Number(prefix));
      expect(metadata.get('tokenizer.ggml.model')?.value).to.equal(pieces.model);
    }
  });
});
