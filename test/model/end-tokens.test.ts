/**
 * Which tokens end a text: those of generation_config.json take precedence over those of config.json, as in transformers;
 * and which values are refused.
 */
import { expect } from 'chai';
import { Tokenizer } from '../../src/data/tokenizer.ts';
import { memoryFiles } from '../../src/io/files.ts';
import { CausalLM } from '../../src/model/causal-lm.ts';
import { describeModel } from '../../src/model/description.ts';
import { generate } from '../../src/model/generation.ts';
import { expectRefused } from '../io/refused.ts';
import { tinyLlama } from '../reference/fixtures.ts';
import { sharedFile } from '../support/files.ts';
import { testGpu } from '../support/gpu.ts';
import { filesOf, greedy } from './tiny.ts';

const encode = (text: string) => new TextEncoder().encode(text);
const withText = (text: string) => filesOf(tinyLlama, { 'generation_config.json': encode(text) });
const withConfig = (config: object) => withText(JSON.stringify(config));
const endsOf = async (files: Parameters<typeof describeModel>[0]) =>
  (await describeModel(files)).config.eosTokenIds;

describe('end tokens', () => {
  it('are those of generation_config.json, if it has any', async () => {
    // The configuration of the fixture has 2.
    expect(await endsOf(filesOf(tinyLlama))).to.deep.equal([2]);
    expect(await endsOf(withConfig({ eos_token_id: 7 }))).to.deep.equal([7]);
    expect(await endsOf(withConfig({ eos_token_id: [7, 2, 96], top_k: 5 }))).to.deep.equal([7, 2, 96]);
    expect(await endsOf(withConfig({ eos_token_id: [] }))).to.deep.equal([]);
  });

  // transformers 5.23: config.json with 5 and generation_config.json without the field make no criterion of an end token.
  it('are none if generation_config.json has none, and a notice says so', async () => {
    for (const config of [{ eos_token_id: null }, { bos_token_id: 1, temperature: 0.6 }]) {
      const found = (await describeModel(withConfig(config))).config;
      expect(found.eosTokenIds).to.deep.equal([]);
      expect(found.notices?.join())
        .to.include('no "eos_token_id"')
        .and.to.include('add it, or remove the file');
    }
  });

  it('are those of generation_config.json where config.json has none', async () => {
    const config = JSON.parse(await filesOf(tinyLlama).readText('config.json'));
    delete config.eos_token_id;
    const bare = (generation?: object) =>
      filesOf(tinyLlama, {
        'config.json': encode(JSON.stringify(config)),
        ...(generation && { 'generation_config.json': encode(JSON.stringify(generation)) }),
      });
    expect(await endsOf(bare({ eos_token_id: 6 }))).to.deep.equal([6]);
    for (const files of [bare({}), bare()]) {
      const found = (await describeModel(files)).config;
      expect([found.eosTokenIds, found.notices]).to.deep.equal([[], undefined]);
    }
  });

  it('must be in the vocabulary; the description reports others', async () => {
    const { config } = await describeModel(withConfig({ eos_token_id: [2, 97] }));
    expect(config.eosTokenIds).to.deep.equal([2]);
    expect(config.notices?.join()).to.include('generation_config.json, "eos_token_id": 97 is not in');
  });

  it('are the only values read from it', async () => {
    const config = {
      eos_token_id: 7,
      bos_token_id: 9,
      pad_token_id: 'x',
      do_sample: false,
      temperature: 'hot',
    };
    const [plain, given] = [filesOf(tinyLlama), withConfig(config)];
    expect((await describeModel(given)).config).to.deep.equal({
      ...(await describeModel(plain)).config,
      eosTokenIds: [7],
    });
  });

  for (const [what, text, ...parts] of [
    ['a negative token', '{"eos_token_id": -1}', '"eos_token_id"', '-1'],
    ['half a token', '{"eos_token_id": [1.5]}', '"eos_token_id"', '1.5'],
    ['a token as text', '{"eos_token_id": "</s>"}', '"eos_token_id"', '</s>'],
    ['a list in a list', '{"eos_token_id": [[2]]}', '"eos_token_id"', '[[2]]'],
    ['true', '{"eos_token_id": true}', '"eos_token_id"', 'true'],
    ['a list for a file', '[2]', 'a list'],
    ['half a file', '{"eos_token_id": 2', 'line 1'],
  ] as const) {
    it(`refuse ${what} by file and field`, () =>
      expectRefused(() => describeModel(withText(text)), 'fixture/generation_config.json', ...parts));
  }

  it('end a text, which reports the one used', async () => {
    const gpu = await testGpu();
    const plain = await CausalLM.load(gpu, filesOf(tinyLlama));
    const prompt = [5, 17, 42];
    const [tokens] = await greedy(gpu, plain, [prompt], 12);
    plain.dispose();
    // The token at position 5, and one that is never generated.
    const end = tokens[5];
    const first = tokens.indexOf(end);
    const other = Array.from({ length: 97 }, (_, id) => id).find((id) => !tokens?.includes(id))!;
    const model = await CausalLM.load(gpu, withConfig({ eos_token_id: [other, end] }));
    const options = { maxNewTokens: 12, temperature: 0 };
    expect(await generate(model, [prompt], options)).to.deep.equal([
      { ids: tokens?.slice(0, first), finished: 'eos', endId: end },
    ]);
    model.dispose();
  });

  it("end transformers' text of a model whose two files differ", async function () {
    const names = [
      'config.json',
      'generation_config.json',
      'model.safetensors',
      'tokenizer.json',
      'tokenizer_config.json',
    ];
    const found = await Promise.all(
      names.map((name) => sharedFile(`cases/generation-config-eos/model/${name}`)),
    );
    if (found.some((file) => file === undefined)) this.skip();
    const files = memoryFiles(
      Object.fromEntries(names.map((name, i) => [name, found[i] as Uint8Array])),
      'case',
    );
    const [tokenizer, model] = [
      await Tokenizer.fromFiles(files),
      await CausalLM.load(await testGpu(), files),
    ];
    const options = { maxNewTokens: 8, temperature: 0 };
    expect(await generate(model, [tokenizer.encode('the cat')], options)).to.deep.equal([
      { ids: [133, 47], finished: 'eos', endId: 271 },
    ]);
    model.dispose();
  });
});
