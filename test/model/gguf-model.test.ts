/** A whole model as a GGUF file: what is read back from it, from a folder and from another GGUF file, and what is refused. */
import { expect } from 'chai';
import { Tokenizer } from '../../src/data/tokenizer.ts';
import { memorySource } from '../../src/io/byte-source.ts';
import { type Files, memoryFiles } from '../../src/io/files.ts';
import { toFloat16Bytes, toFloat32 } from '../../src/io/float.ts';
import { ggufFiles } from '../../src/io/gguf/files.ts';
import { GgufMetadata } from '../../src/io/gguf/metadata.ts';
import { openGguf } from '../../src/io/gguf/reader.ts';
import { ggufTokenizer } from '../../src/io/gguf/tokenizer.ts';
import { type GgufTensor, writeGguf } from '../../src/io/gguf/writer.ts';
import { type Adapter, readAdapter } from '../../src/io/peft.ts';
import { quantise } from '../../src/io/quantised.ts';
import { parseSafetensors } from '../../src/io/safetensors.ts';
import { describeModel } from '../../src/model/description.ts';
import { ggufModel } from '../../src/model/gguf-model.ts';
import { mergedModelFiles } from '../../src/model/merged-model.ts';
import { openModelWeights } from '../../src/model/stored-weights.ts';
import gemma3 from '../fixtures/architectures/gemma3.json' with { type: 'json' };
import { expectRefused } from '../io/refused.ts';
import { relativeL2 } from '../reference/compare.ts';
import { decodeBytes, tinyLlama, tinyLlamaAdapter } from '../reference/fixtures.ts';
import { BYTE_TOKENIZER, ggufMetadata } from '../support/gguf.ts';

const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const open = (bytes: Uint8Array<ArrayBuffer>) => ggufFiles(memorySource(bytes, 'm.gguf'));
const [model, weights] = ['config.json', 'model.safetensors'].map((name) => tinyLlama.files.get(name)!);
const tokenizer = ggufTokenizer(new GgufMetadata(ggufMetadata(BYTE_TOKENIZER), 'm.gguf'))!;

/** The fixture model with a tokenizer that has merges. */
function folder(more: Record<string, Uint8Array> = {}): Files {
  const files = {
    'config.json': model,
    'model.safetensors': weights,
    'tokenizer.json': json(tokenizer.tokenizer),
    'tokenizer_config.json': json(tokenizer.config),
  };
  return memoryFiles({ ...files, ...more }, 'folder');
}

/** A model's weights by the decoder's names. */
async function valuesOf(files: Files): Promise<Map<string, { dtype: string; values: Float32Array }>> {
  const found = new Map<string, { dtype: string; values: Float32Array }>();
  for (const [name, tensor] of (await openModelWeights(files, await describeModel(files))).stored) {
    found.set(name, { dtype: tensor.dtype, values: toFloat32({ ...tensor, data: await tensor.read() }) });
  }
  return found;
}

describe('model/gguf-model', () => {
  let adapter: Adapter;
  before(async () => {
    adapter = await readAdapter(memoryFiles(Object.fromEntries(tinyLlamaAdapter.files), 'adapter'));
  });

  it('is the merged model in half precision, norms in float32, with its configuration and tokenizer', async () => {
    const parts = [{ adapter, factor: 0.5 }];
    const merged = parseSafetensors(
      (await mergedModelFiles(folder(), parts))['model.safetensors'] as Uint8Array<ArrayBuffer>,
      'merged',
    );
    const files = await open(await ggufModel(folder(), parts));
    const found = await valuesOf(files);
    expect([...found.keys()].sort()).to.deep.equal([...merged.tensors.keys()].sort());
    for (const [name, tensor] of merged.tensors) {
      const { dtype, values } = found.get(name)!;
      expect(dtype, name).to.equal(tensor.shape.length > 1 ? 'F16' : 'F32');
      const half = toFloat32({ dtype: 'F16', data: toFloat16Bytes(toFloat32(tensor)), where: name });
      expect(values, name).to.deep.equal(tensor.shape.length > 1 ? half : toFloat32(tensor));
    }
    const [given, back] = await Promise.all([describeModel(folder()), describeModel(files)]);
    const { bosTokenId, eosTokenIds, torchDtype, ...numbers } = given.config;
    expect(back.config).to.deep.include(numbers);
    const [before, after] = [await Tokenizer.fromFiles(folder()), await Tokenizer.fromFiles(files)];
    expect(after.encode('ab abc')).to.deep.equal(before.encode('ab abc'));
    expect(after.special).to.deep.include(before.special);
    expect(after.chatTemplate).to.equal(before.chatTemplate);
    expect(after.vocabSize).to.equal(97);
  });

  it("includes further end tokens besides the tokenizer's own, up to llama.cpp's two", async () => {
    // The tokenizer's is 1.
    const ends = async (eos_token_id: number | number[]) =>
      (
        await describeModel(
          await open(await ggufModel(folder({ 'generation_config.json': json({ eos_token_id }) }), [])),
        )
      ).config.eosTokenIds;
    expect(await ends([3, 1])).to.deep.equal([1, 3]);
    expect(await ends([1, 5, 4])).to.deep.equal([1, 5, 4]);
    expect(await ends(1)).to.deep.equal([1]);
  });

  it('keeps only the applicable metadata of a source GGUF', async () => {
    const { metadata, tensors } = await openGguf(memorySource(await ggufModel(folder(), []), 'm.gguf'));
    const more = ggufMetadata({
      'general.name': 'mine',
      'general.alignment': 64,
      'general.quantization_version': 2,
      'general.file_type': 7,
      'tokenizer.ggml.extra': 'kept',
      'other.key': 1,
    });
    const source = new Map<string, GgufTensor>();
    for (const [name, { shape, dtype, read }] of tensors) {
      source.set(name, { shape, dtype: dtype as GgufTensor['dtype'], data: await read() });
    }
    const again = writeGguf(new Map([...metadata, ...more]), source);
    const { metadata: found } = await openGguf(
      memorySource(await ggufModel(await open(again), []), 'n.gguf'),
    );
    expect(found.get('general.name')?.value).to.equal('mine');
    expect(found.get('tokenizer.ggml.extra')?.value).to.equal('kept');
    expect(found.get('general.file_type')?.value).to.equal(1);
    expect(found.get('general.alignment')?.value).to.equal(64);
    for (const key of ['general.quantization_version', 'other.key'])
      expect(found.has(key), key).to.equal(false);
    const carried = [...metadata].filter(([key]) => key.startsWith('tokenizer.'));
    for (const [key, value] of carried) expect(found.get(key), key).to.deep.equal(value);
  });

  it('dequantizes blocks to merge into them: rounded once, in F16, with a notice', async () => {
    const { metadata, tensors } = await openGguf(memorySource(await ggufModel(folder(), []), 'm.gguf'));
    const source = new Map<string, GgufTensor>();
    for (const [name, { shape, dtype, read, where }] of tensors) {
      const data = await read();
      const blocks = shape.length > 1 && shape[1] % 32 === 0;
      const packed = blocks ? quantise('Q8_0', toFloat32({ dtype, data, where })) : data;
      source.set(name, { shape, dtype: blocks ? 'Q8_0' : (dtype as 'F16' | 'F32'), data: packed });
    }
    const quantised = await open(writeGguf(metadata, source));
    const notices: string[] = [];
    const files = await mergedModelFiles(quantised, [{ adapter, factor: 1 }], (line) => notices.push(line));
    expect(notices.join()).to.include('Q8_0').and.include('F16');
    const merged = parseSafetensors(files['model.safetensors'] as Uint8Array<ArrayBuffer>, 'merged').tensors;
    const plain = await valuesOf(quantised);
    const exact = await valuesOf(await open(await ggufModel(quantised, [{ adapter, factor: 1 }])));
    let changed = 0;
    for (const [name, tensor] of merged) {
      expect(tensor.dtype, name).to.equal(tensor.shape.length > 1 ? 'F16' : 'F32');
      const values = toFloat32(tensor);
      expect(values, name).to.deep.equal(exact.get(name)?.values);
      if (relativeL2(values, plain.get(name)!.values) > 1e-2) changed++;
    }
    expect(changed).to.equal(3 * 7);
    expect(Object.keys(files)).to.include.members(['tokenizer.json', 'tokenizer_config.json', 'config.json']);
    expect(notices).to.have.length(1);
    await mergedModelFiles(folder(), [{ adapter, factor: 1 }], (line) => notices.push(line));
    expect(notices, 'nothing to say of floats').to.have.length(1);
  });

  it('rejects settings that llama.cpp would compute differently', async () => {
    const refused = (files: Files, ...parts: string[]) => expectRefused(() => ggufModel(files, []), ...parts);
    const given = JSON.parse(new TextDecoder().decode(model)) as object;
    const other = (fields: object) => folder({ 'config.json': json({ ...given, ...fields }) });
    await refused(other({ hidden_act: 'gelu_new' }), 'folder/config.json', 'silu', 'gelu');
    const gemma = { 'config.json': json(gemma3.config), 'model.safetensors': decodeBytes(gemma3.weights) };
    await refused(folder(gemma), 'scales queries');
    // Layers 0 and 1 have windows and linear positions, layer 2 has neither.
    const gemmas = { ...gemma3.config, query_pre_attn_scalar: 12 };
    const { full_attention: scaled } = gemmas.rope_parameters;
    const both = { ...gemmas, rope_parameters: { full_attention: scaled, sliding_attention: scaled } };
    await refused(folder({ ...gemma, 'config.json': json(both) }), 'layers with windows');
  });

  it('rejects unsupported tokenizers', async () => {
    const refused = (part: object, ...parts: string[]) =>
      expectRefused(
        () => ggufModel(folder({ 'tokenizer.json': json({ ...tokenizer.tokenizer, ...part }) }), []),
        'folder/tokenizer.json',
        ...parts,
      );
    await refused({ model: { type: 'WordLevel', vocab: { a: 0 }, unk_token: 'a' } }, '"model"', 'BPE');
    const split = { type: 'Split', pattern: { Regex: 'x' }, behavior: 'Isolated', invert: false };
    await refused({ pre_tokenizer: split }, '"pre_tokenizer"', 'smollm');
    const far = { id: 97, content: '<far>', special: true, normalized: false, single_word: false };
    // A token without an embedding is left out, as llama.cpp does.
    const added_tokens = [{ ...far, lstrip: false, rstrip: false }];
    const beyond = folder({ 'tokenizer.json': json({ ...tokenizer.tokenizer, added_tokens }) });
    const { metadata } = await openGguf(memorySource(await ggufModel(beyond, []), 'm.gguf'));
    expect(new GgufMetadata(metadata, 'm.gguf').strings('tokenizer.ggml.tokens'))
      .to.have.length(97)
      .and.not.include('<far>');
  });
});
