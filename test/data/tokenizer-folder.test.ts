/** Which file of a model's folder is used if several say the same thing, as in transformers 5.24. */
import { expect } from 'chai';
import { Tokenizer } from '../../src/data/tokenizer.ts';
import { type Files, filesOf, memoryFiles } from '../../src/io/files.ts';
import trl from '../fixtures/trl-pairs.json' with { type: 'json' };
import { expectRefused } from '../io/refused.ts';

const user = [{ role: 'user', content: 'hi' }];
const TOOLS = [{ type: 'function' }];

function folder(more: Record<string, unknown>): Files {
  const files = { 'tokenizer.json': trl.tokenizer, ...more };
  const texts = Object.entries(files).map(([name, value]) => [
    name,
    typeof value === 'string' ? value : JSON.stringify(value),
  ]);
  return memoryFiles(Object.fromEntries(texts), 'tiny');
}
const open = (more: Record<string, unknown>) => Tokenizer.fromFiles(folder(more));

describe('data/tokenizer: folder', () => {
  describe('chat templates', () => {
    const config = (chat_template: unknown) => ({ 'tokenizer_config.json': { chat_template } });
    const named = { default: 'D', tool_use: 'T', rag: 'R' };
    const list = Object.entries(named).map(([name, template]) => ({ name, template }));

    it('from files take precedence over those of the configuration', async () => {
      const both = { ...config('old'), 'chat_template.jinja': 'new' };
      expect((await open(both)).applyChatTemplate(user)).to.equal('new');
      const below = { ...config('old'), 'additional_chat_templates/rag.jinja': 'R' };
      await expectRefused(
        async () => (await open(below)).applyChatTemplate(user),
        'none is the default: rag',
      );
    });

    it('keep a byte order mark, which JSON may not have', async () => {
      const mark = '\ufeff';
      const files = {
        'chat_template.jinja': `${mark}new`,
        'additional_chat_templates/rag.jinja': `${mark}R`,
      };
      const tokenizer = await open(files);
      expect(tokenizer.applyChatTemplate(user)).to.equal(`${mark}new`);
      const rag = { chatTemplateKwargs: { chat_template: 'rag' } };
      expect(tokenizer.applyChatTemplate(user, rag)).to.equal(`${mark}R`);
      for (const name of ['tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json'])
        await expectRefused(() => open({ [name]: `${mark}{}` }), name, 'byte order mark');
    });

    it('are selected by name and by whether there are tools', async () => {
      const inFolder = {
        'chat_template.jinja': 'D',
        'additional_chat_templates/tool_use.jinja': 'T',
        'additional_chat_templates/rag.jinja': 'R',
      };
      for (const files of [config(list), config(named), inFolder]) {
        const tokenizer = await open(files);
        const apply = (options: object) => tokenizer.applyChatTemplate(user, options);
        expect(apply({})).to.equal('D');
        expect(apply({ tools: TOOLS })).to.equal('T');
        expect(apply({ tools: null })).to.equal('D');
        expect(apply({ chatTemplateKwargs: { tools: TOOLS } })).to.equal('T');
        expect(apply({ chatTemplateKwargs: { chat_template: 'rag' } })).to.equal('R');
        expect(apply({ chatTemplateKwargs: { chat_template: '{{ 1 + 1 }}' } })).to.equal('2');
      }
    });

    it('are listed in the error if there is no default', async () => {
      const tokenizer = await open(config({ tool_use: 'T', rag: 'R' }));
      expect(tokenizer.hasChatTemplate).to.equal(true);
      expect(tokenizer.applyChatTemplate(user, { tools: TOOLS })).to.equal('T');
      const what = 'there are several templates, but none is the default: rag, tool_use';
      await expectRefused(() => tokenizer.applyChatTemplate(user), 'tiny', what, 'chat_template_kwargs');
      await expectRefused(() => open(config([{ name: 'rag' }])), 'tokenizer_config.json', '"chat_template"');
    });

    it('are searched by their usual names if a folder cannot be listed', async () => {
      const names = ['additional_chat_templates/tool_use.jinja', 'additional_chat_templates/own.jinja'];
      const files = folder({ 'chat_template.jinja': 'D', [names[0]]: 'T', [names[1]]: 'O' });
      const find = async (path: string) => ((await files.exists(path)) ? files.open(path) : undefined);
      const tokenizer = await Tokenizer.fromFiles(filesOf('tiny', find));
      expect(tokenizer.applyChatTemplate(user)).to.equal('D');
      expect(tokenizer.applyChatTemplate(user, { tools: [{}] })).to.equal('T');
      expect(await files.list?.('additional_chat_templates')).to.have.members([
        'tool_use.jinja',
        'own.jinja',
      ]);
    });
  });

  describe('special tokens', () => {
    const special = '{{ bos_token }}{{ eos_token }}{{ turn_token }}{{ image_token }}';

    it('are those of the map if the configuration does not list added tokens', async () => {
      const map = { 'special_tokens_map.json': { bos_token: '</s>' } };
      const listing = { bos_token: '<s>', added_tokens_decoder: { 1: { content: '<s>', special: true } } };
      const read = async (config: object) => open({ ...map, 'tokenizer_config.json': config });
      expect((await read({ bos_token: '<s>' })).bosToken).to.equal('</s>');
      expect((await read(listing)).bosToken).to.equal('<s>');
    });

    it('may have model-specific names', async () => {
      const tokenizer = await open({
        'chat_template.jinja': special,
        'tokenizer_config.json': {
          bos_token: '<s>',
          turn_token: { __type: 'AddedToken', content: '<turn>', special: true },
          extra_special_tokens: { image_token: '<image>' },
        },
      });
      expect(tokenizer.applyChatTemplate(user)).to.equal('<s><turn><image>');
      // They are tokens with ids after those of tokenizer.json.
      const { vocabSize } = await open({});
      expect(tokenizer.encode('<turn><image>', { addSpecialTokens: false })).to.deep.equal([
        vocabSize,
        vocabSize + 1,
      ]);
      expect(tokenizer.decode([vocabSize])).to.equal('');
    });

    it('have such names in what transformers 5 writes too, unless there are others', async () => {
      const config = { bos_token: '<s>', model_specific_special_tokens: { turn_token: '<turn>' } };
      const read = async (more: object) =>
        (
          await open({ 'chat_template.jinja': special, 'tokenizer_config.json': { ...config, ...more } })
        ).applyChatTemplate(user);
      expect(await read({})).to.equal('<s><turn>');
      expect(await read({ image_token: '<image>' })).to.equal('<s><image>');
      expect(await read({ extra_special_tokens: { image_token: '<image>' } })).to.equal('<s><image>');
    });

    it('without a name are read from either list', async () => {
      const idsOf = async (config: object) =>
        (await open({ 'tokenizer_config.json': config })).encode('<a><b>', { addSpecialTokens: false });
      const { vocabSize } = await open({});
      expect(await idsOf({ additional_special_tokens: ['<a>', '<b>'] })).to.deep.equal([
        vocabSize,
        vocabSize + 1,
      ]);
      expect(await idsOf({ extra_special_tokens: ['<b>', '<a>'] })).to.deep.equal([vocabSize + 1, vocabSize]);
    });

    it('are split like text if the configuration says so', async () => {
      const ids = async (config: object) =>
        (await open({ 'tokenizer_config.json': config })).encode('a</s>', { addSpecialTokens: false });
      expect(await ids({})).to.include(2);
      expect(await ids({ split_special_tokens: true })).to.not.include(2);
    });
  });

  it('reads added tokens of the old file if there is no list of them', async () => {
    const { vocabSize } = await open({});
    const added = { 'added_tokens.json': { '<x>': vocabSize } };
    const encode = async (more: object) =>
      (await open({ ...added, ...more })).encode('<x>', { addSpecialTokens: false });
    expect(await encode({})).to.deep.equal([vocabSize]);
    const listing = { added_tokens_decoder: { 1: { content: '<s>', special: true } } };
    expect(await encode({ 'tokenizer_config.json': listing })).to.not.include(vocabSize);
  });

  it('rejects implausibly many tokens, and invalid ones', async () => {
    const many = Array.from({ length: 2 ** 14 + 1 }, (_, i) => `<${i}>`);
    await expectRefused(
      () => open({ 'tokenizer_config.json': { extra_special_tokens: many } }),
      '16385 tokens',
    );
    const odd = { added_tokens_decoder: { 1: 3 } };
    await expectRefused(() => open({ 'tokenizer_config.json': odd }), 'tokenizer_config.json');
  });
});
