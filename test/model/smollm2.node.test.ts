/**
 * A model that people use, in a form that people download: SmolLM2-135M-Instruct in Q4_1, compared with transformers with
 * the same numbers and with the published reference of the full-precision model. The file is fetched by
 * `test/interop/fetch_smollm2.py`, or named by WEBALIGN_SMOLLM2; without it the tests are skipped.
 */
import { expect } from 'chai';
import type { Message } from '../../src/data/chat-template.ts';
import { Tokenizer } from '../../src/data/tokenizer.ts';
import type { Files } from '../../src/io/files.ts';
import { ggufFiles } from '../../src/io/gguf/files.ts';
import { CausalLM } from '../../src/model/causal-lm.ts';
import { fileSource } from '../../src/node/folder.ts';
import fixture from '../fixtures/smollm2-gguf.json' with { type: 'json' };
import { relativeL2 } from '../reference/compare.ts';
import { decodeArray } from '../reference/fixtures.ts';
import { argmax } from '../reference/sampling.ts';
import { sharedFile } from '../support/files.ts';
import { testGpu } from '../support/gpu.ts';
import { lastLogits } from './tiny.ts';

const FILE = process.env.WEBALIGN_SMOLLM2 ?? 'test/interop/.cache/smollm2-135m-instruct-q4_1.gguf';

describe(`SmolLM2-135M-Instruct Q4_1 (${FILE})`, () => {
  let files: Files;
  before(async function () {
    const source = await fileSource(FILE);
    if (!source) return this.skip();
    files = await ggufFiles(source);
  });

  it('has the tokens of transformers and of the published reference', async () => {
    const tokenizer = await Tokenizer.fromFiles(files);
    for (const { text, ids } of fixture.prompts) expect(tokenizer.encode(text), text).to.deep.equal(ids);
    const messages = fixture.chat.messages as Message[];
    expect(tokenizer.applyChatTemplate(messages, { addGenerationPrompt: true })).to.equal(fixture.chat.text);
    expect(tokenizer.encodeChat(messages, { addGenerationPrompt: true })).to.deep.equal(fixture.chat.ids);
    expect([tokenizer.eosToken, tokenizer.vocabSize]).to.deep.equal(['<|im_end|>', 49152]);
    for (const { text, input_ids: ids } of await published())
      expect(tokenizer.encode(text)).to.deep.equal(ids);
  });

  it('has the logits of the same numbers in transformers', async () => {
    const gpu = await testGpu();
    const model = await CausalLM.load(gpu, files);
    const found = await lastLogits(
      gpu,
      model,
      fixture.prompts.map(({ ids }) => ids),
    );
    model.dispose();
    const inFull = await published();
    for (const [i, { text, top, logits }] of fixture.prompts.entries()) {
      const row = found[i];
      const kept = row.filter((_, id) => id % fixture.step === 0);
      // Float32 on both sides, 30 layers deep.
      expect(relativeL2(kept, decodeArray(logits)), text).to.be.below(1e-4);
      expect(argmax(row), text).to.equal(top[0]);
      const [first, second] = inFull[i]?.last_logits_top10_values ?? [];
      // A token that leads by less than the error of four bits may lose its rank, as the first does for "Hello".
      if (first !== undefined && second !== undefined && first - second > 0.5)
        expect(argmax(row), text).to.equal(inFull[i]?.last_logits_top10_indices[0]);
    }
  });
});

interface Published {
  text: string;
  input_ids: number[];
  last_logits_top10_indices: number[];
  last_logits_top10_values: number[];
}

/** The reference of the full-precision model, if it is beside the project. */
async function published(): Promise<Published[]> {
  const bytes = await sharedFile('models/smollm2-135m-instruct-reference.json');
  if (!bytes) return [];
  return (JSON.parse(new TextDecoder().decode(bytes)) as { prompts: Published[] }).prompts;
}
