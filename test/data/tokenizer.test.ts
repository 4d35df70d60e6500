import { expect } from 'chai';
import { requireEmbedded, requireTokenIds, Tokenizer } from '../../src/data/tokenizer.ts';
import { memoryFiles } from '../../src/io/files.ts';
import trl from '../fixtures/trl-pairs.json' with { type: 'json' };
import { expectRefused } from '../io/refused.ts';

const json = JSON.stringify(trl.tokenizer);
const read = (files: Record<string, unknown>) =>
  Tokenizer.fromFiles(
    memoryFiles(
      Object.fromEntries(
        Object.entries(files).map(([name, value]) => [
          name,
          typeof value === 'string' ? value : JSON.stringify(value),
        ]),
      ),
      'tiny',
    ),
  );
const messages = [{ role: 'user', content: ' hi ' }];

describe('data/tokenizer', () => {
  it('knows its special tokens and the size of its vocabulary', async () => {
    const tokenizer = await read({ 'tokenizer.json': json, 'tokenizer_config.json': trl.tokenizerConfig });
    expect(tokenizer).to.include({
      bosId: 1,
      eosId: 2,
      bosToken: '<s>',
      eosToken: '</s>',
      vocabSize: 80,
      addsEos: false,
    });
  });

  it('reads special tokens given as objects, and from special_tokens_map.json', async () => {
    const config = { eos_token: { content: '</s>', lstrip: false } };
    const tokenizer = await read({
      'tokenizer.json': json,
      'tokenizer_config.json': config,
      'special_tokens_map.json': { bos_token: '<s>' },
    });
    expect(tokenizer).to.include({ bosId: 1, eosId: 2 });
    expect((await read({ 'tokenizer.json': json })).eosId).to.equal(undefined);
  });

  it('encodes with and without special tokens, and decodes', async () => {
    const tokenizer = await read({ 'tokenizer.json': json });
    expect(tokenizer.encode('the sky')).to.deep.equal([1, 67, 72]);
    expect(tokenizer.encode('the sky', { addSpecialTokens: false })).to.deep.equal([67, 72]);
    expect(tokenizer.decode([1, 67, 72, 2])).to.equal('the sky');
    expect(tokenizer.decode(Uint32Array.of(67, 2), { skipSpecialTokens: false })).to.equal('the</s>');
    expect(tokenizer.decode([])).to.equal('');
    expect(tokenizer.token(67)).to.equal('▁the');
    expect(tokenizer.encode('')).to.deep.equal([1]);
  });

  it('removes spaces before punctuation if the file says so, for BPE only if required', async () => {
    const plain = await read({ 'tokenizer.json': json });
    const ids = plain.encode('the sky .', { addSpecialTokens: false });
    expect(plain.decode(ids)).to.equal('the sky .');
    const cleaning = { clean_up_tokenization_spaces: true };
    const asked = await read({ 'tokenizer.json': json, 'tokenizer_config.json': cleaning });
    expect(asked.decode(ids)).to.equal('the sky .');
    const insisting = {
      ...cleaning,
      clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output: true,
    };
    const forced = await read({ 'tokenizer.json': json, 'tokenizer_config.json': insisting });
    expect(forced.decode(ids)).to.equal('the sky.');
    const words = {
      ...trl.tokenizer,
      model: { type: 'WordLevel', vocab: { a: 0, '.': 1, '<u>': 2 }, unk_token: '<u>' },
    };
    const ofWords = await read({
      'tokenizer.json': { ...words, added_tokens: [], normalizer: null, post_processor: null, decoder: null },
      'tokenizer_config.json': cleaning,
    });
    expect(ofWords.decode([0, 1])).to.equal('a.');
  });

  it('takes the chat template from the file, the configuration, or its list', async () => {
    const templates: Record<string, unknown>[] = [
      {
        'chat_template.jinja': trl.tokenizerConfig.chat_template,
        'tokenizer_config.json': { ...trl.tokenizerConfig, chat_template: 'x' },
      },
      { 'tokenizer_config.json': trl.tokenizerConfig },
      {
        'tokenizer_config.json': {
          ...trl.tokenizerConfig,
          chat_template: [
            { name: 'tools', template: 'x' },
            { name: 'default', template: trl.tokenizerConfig.chat_template },
          ],
        },
      },
    ];
    for (const files of templates) {
      const tokenizer = await read({ 'tokenizer.json': json, ...files });
      expect(tokenizer.hasChatTemplate).to.equal(true);
      expect(tokenizer.applyChatTemplate(messages)).to.equal('<s><|user|>hi</s>');
      expect(tokenizer.applyChatTemplate(messages, { addGenerationPrompt: true })).to.equal(
        '<s><|user|>hi</s><|assistant|>',
      );
      expect(tokenizer.encodeChat(messages).slice(0, 2)).to.deep.equal([1, 3]);
    }
  });

  it('reports errors that a template raises', async () => {
    const chat_template = "{{ raise_exception('roles must alternate') }}";
    const tokenizer = await read({ 'tokenizer.json': json, 'tokenizer_config.json': { chat_template } });
    await expectRefused(() => tokenizer.applyChatTemplate(messages), 'tiny', 'roles must alternate');
  });

  it('reads text if the chat template cannot be read, which it names for messages', async () => {
    const chat_template = '{% block a %}{% endblock %}';
    const files = { 'tokenizer.json': json, 'tokenizer_config.json': { chat_template } };
    const [plain, tokenizer] = [await read({ 'tokenizer.json': json }), await read(files)];
    expect(tokenizer.encode('hi')).to.deep.equal(plain.encode('hi'));
    const what =
      'tiny/tokenizer_config.json: the chat template cannot be read: Unknown statement type: block';
    await expectRefused(() => tokenizer.applyChatTemplate(messages), what);
  });

  it('names the missing or invalid file', async () => {
    await expectRefused(() => read({}), 'tiny/tokenizer.json', 'there is no file');
    for (const file of ['vocab.json', 'tokenizer.model'])
      await expectRefused(
        () => read({ [file]: '{}' }),
        'tiny/tokenizer.json',
        `is in ${file}`,
        'AutoTokenizer',
      );
    await expectRefused(() => read({ 'tokenizer.json': '{"a": 1' }), 'tiny/tokenizer.json', 'line 1');
    await expectRefused(
      () => read({ 'tokenizer.json': '{"a": 1}' }),
      'tiny/tokenizer.json',
      'not a valid tokenizer',
    );
    await expectRefused(
      () => read({ 'tokenizer.json': json, 'tokenizer_config.json': '[]' }),
      'tokenizer_config.json',
    );
    const odd = { ...trl.tokenizer, model: { ...trl.tokenizer.model, type: 'Magic', vocab: null } };
    await expectRefused(() => read({ 'tokenizer.json': odd }), 'tiny/tokenizer.json');
  });

  it('may have tokens that the model lacks, as long as no text uses them', async () => {
    const tokenizer = await read({ 'tokenizer.json': json });
    requireEmbedded(tokenizer, [0, 71], 72, 'x.jsonl, line 1');
    await expectRefused(
      () => requireEmbedded(tokenizer, tokenizer.encode('the sky'), 72, 'x.jsonl, line 1'),
      'x.jsonl, line 1',
      'token 72',
      'embeddings for 72',
    );
    requireTokenIds([0, 79], 80, 'x.jsonl, line 1');
    for (const id of [80, -1, 1.5, '3', null, undefined]) {
      await expectRefused(
        () => requireTokenIds([0, id], 80, 'x.jsonl, line 1'),
        'x.jsonl, line 1',
        'token id',
        'to 79',
      );
    }
  });
});
