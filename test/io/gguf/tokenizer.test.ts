/** Tokenizers from GGUF's metadata: the ids are those of llama.cpp, and some are refused. */
import { expect } from 'chai';
import { Tokenizer } from '../../../src/data/tokenizer.ts';
import { memoryFiles } from '../../../src/io/files.ts';
import { GgufMetadata } from '../../../src/io/gguf/metadata.ts';
import { PRE_TOKENIZERS } from '../../../src/io/gguf/pre-tokenizers.ts';
import { ggufTokenizer } from '../../../src/io/gguf/tokenizer.ts';
import type { GgufValue } from '../../../src/io/gguf/writer.ts';
import fixture from '../../fixtures/gguf.json' with { type: 'json' };
import { BYTE_TOKENIZER, ggufMetadata, ggufNumbers, PIECE_TOKENIZER } from '../../support/gguf.ts';
import { expectRefused } from '../refused.ts';

type Plain = Parameters<typeof ggufMetadata>[0];

const metadataOf = (values: Plain) => new GgufMetadata(ggufMetadata(values), 'm.gguf');

function load(values: Plain): Promise<Tokenizer> {
  const found = ggufTokenizer(metadataOf(values));
  const { tokenizer, config } = found!;
  const files = {
    'tokenizer.json': JSON.stringify(tokenizer),
    'tokenizer_config.json': JSON.stringify(config),
  };
  return Tokenizer.fromFiles(memoryFiles(files, 'm.gguf'));
}

/** The metadata of a tokenizer of the fixture. */
function metadataOfFixture({
  model,
  tokens,
  types,
  merges,
  scores,
  ids,
}: (typeof fixture.tokenizers)[number]) {
  const values: Record<string, string | number | readonly string[] | GgufValue> = {
    'tokenizer.ggml.model': model,
    'tokenizer.ggml.tokens': tokens,
    'tokenizer.ggml.token_type': ggufNumbers('int32', types),
  };
  if (merges) values['tokenizer.ggml.merges'] = merges;
  if (scores) values['tokenizer.ggml.scores'] = ggufNumbers('float32', scores);
  for (const [key, id] of Object.entries(ids)) values[`tokenizer.ggml.${key}`] = id as number;
  return values;
}

describe('io/gguf-tokenizer', () => {
  for (const tokenizer of fixture.tokenizers) {
    for (const [settings, expected] of tokenizer.cases as [Record<string, string | boolean>, number[][]][]) {
      it(`gives the ids of llama.cpp: ${tokenizer.model} ${JSON.stringify(settings)}`, async () => {
        const more = Object.entries(settings).map(([key, value]) => [`tokenizer.ggml.${key}`, value]);
        const found = await load({ ...metadataOfFixture(tokenizer), ...Object.fromEntries(more) });
        expect(found.vocabSize).to.equal(tokenizer.tokens.length);
        for (const [i, text] of fixture.texts.entries()) {
          expect(found.encode(text), JSON.stringify(text)).to.deep.equal(expected[i]);
          // After a token that is matched as a whole, SentencePiece's text begins with a space again.
          if (!text.includes('<')) expect(found.decode(found.encode(text))).to.equal(text);
        }
      });
    }
  }

  it('tests every pre-tokenizer against llama.cpp', () => {
    const [bytes] = fixture.tokenizers;
    const names = bytes.cases.map(([settings]) => (settings as { pre: string }).pre);
    expect(names.sort()).to.deep.equal(PRE_TOKENIZERS.map(({ names: [first] }) => first).sort());
  });

  it('splits unknown characters into bytes, and composes characters like Qwen', async () => {
    const [bytes] = fixture.tokenizers;
    const qwen = await load({ ...metadataOfFixture(bytes), 'tokenizer.ggml.pre': 'qwen2' });
    expect(qwen.encode('e\u0301')).to.deep.equal(qwen.encode('é'));
  });

  it('names end tokens, template and special tokens like a folder', async () => {
    const tokenizer = await load(BYTE_TOKENIZER);
    expect([tokenizer.bosToken, tokenizer.bosId]).to.deep.equal(['<s>', 0]);
    expect([tokenizer.eosToken, tokenizer.eosId]).to.deep.equal(['</s>', 1]);
    expect(tokenizer.encodeChat([{ role: 'user', content: '<s> abc' }])).to.deep.equal([0, 6, 7]);
    expect(tokenizer.decode([0, 6, 7, 1])).to.equal(' abc');
    expect(ggufTokenizer(metadataOf({}))).to.equal(undefined);
    expect(ggufTokenizer(metadataOf({ 'tokenizer.ggml.model': 'none' }))).to.equal(undefined);
  });

  it('derives merges from scores if the file has none', async () => {
    const tokenizer = await load(PIECE_TOKENIZER);
    expect(tokenizer.encode('ab ab')).to.deep.equal([1, 7, 7]);
    expect(tokenizer.encode('abz')).to.deep.equal([1, 7, 0]);
    const given = { ...PIECE_TOKENIZER, 'tokenizer.ggml.merges': ['a b'] };
    expect((await load(given)).encode('ab')).to.deep.equal([1, 3, 6]);
  });

  const refusals: [string, Plain, ...string[]][] = [
    [
      'another kind',
      { ...BYTE_TOKENIZER, 'tokenizer.ggml.model': 'bert' },
      'ggml.model',
      '"bert"',
      'gpt2, llama',
    ],
    [
      'another cut',
      { ...BYTE_TOKENIZER, 'tokenizer.ggml.pre': 'falcon' },
      'ggml.pre',
      '"falcon"',
      'smollm',
      'qwen2',
    ],
    ['no tokens', { 'tokenizer.ggml.model': 'gpt2' }, 'ggml.tokens', 'missing'],
    [
      'a token twice',
      { ...BYTE_TOKENIZER, 'tokenizer.ggml.tokens': ['a', 'a'] },
      'ggml.tokens',
      '"a"',
      'twice',
    ],
    [
      'no merges',
      { 'tokenizer.ggml.model': 'gpt2', 'tokenizer.ggml.tokens': ['a'] },
      'ggml.merges',
      'missing',
    ],
    ['half a merge', { ...BYTE_TOKENIZER, 'tokenizer.ggml.merges': ['a b', 'ab '] }, 'ggml.merges', '"ab "'],
    [
      'an id of no token',
      { ...BYTE_TOKENIZER, 'tokenizer.ggml.eos_token_id': 8 },
      'eos_token_id',
      'is 8',
      'below 8',
    ],
    [
      'a list too short',
      { ...BYTE_TOKENIZER, 'tokenizer.ggml.token_type': ggufNumbers('int32', [1]) },
      'token_type',
    ],
    [
      'scores too few',
      { ...PIECE_TOKENIZER, 'tokenizer.ggml.scores': ggufNumbers('float32', [1]) },
      'ggml.scores',
    ],
    [
      'BOS of its own accord',
      { ...BYTE_TOKENIZER, 'tokenizer.ggml.add_bos_token': 1 },
      'add_bos_token',
      'true or',
    ],
    [
      'a text to begin with that is none',
      { 'tokenizer.ggml.model': 'llama', 'tokenizer.ggml.tokens': ['a'], 'tokenizer.ggml.merges': [] },
      'bos_token_id',
      'is missing',
    ],
    [
      'a token without end',
      {
        'tokenizer.ggml.model': 'llama',
        'tokenizer.ggml.tokens': ['a'.repeat(5000)],
        'tokenizer.ggml.scores': ggufNumbers('float32', [1]),
      },
      'ggml.tokens',
      '1024',
    ],
  ];
  for (const [name, values, ...parts] of refusals) {
    it(`refuses ${name}`, () => expectRefused(() => ggufTokenizer(metadataOf(values)), 'm.gguf', ...parts));
  }
});
