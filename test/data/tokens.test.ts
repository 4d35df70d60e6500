/** Token ids of 62 difficult texts and their decoded texts, by every kind of tokenizer, compared with the tokenizers library. */
import { expect } from 'chai';
import { Tokenizer } from '../../src/data/tokenizer.ts';
import { memoryFiles } from '../../src/io/files.ts';
import fixture from '../fixtures/tokens.json' with { type: 'json' };
import { sharedFile } from '../support/files.ts';

interface Expected {
  ids: number[][];
  decoded: string[];
}

/**
 * Where @huggingface/tokenizers itself differs: when it joins bytes, it drops a byte order mark at the beginning of the
 * text, and its WordPiece splits characters beyond 16 bits. No model that runs here uses WordPiece.
 */
const DIFFERENT: Readonly<Record<string, { ids?: RegExp; decoded?: RegExp }>> = {
  'BPE with bytes': { decoded: /\ufeff/ },
  stories260K: { decoded: /\ufeff/ },
  WordPiece: { ids: /^𐐷𠀀$/u },
};

function agree(tokenizer: Tokenizer, { ids, decoded }: Expected): void {
  for (const [i, text] of fixture.texts.entries()) {
    const name = `${i}: ${JSON.stringify(text)}`;
    const different = DIFFERENT[tokenizer.name] ?? {};
    if (!different.ids?.test(text)) expect(tokenizer.encode(text), name).to.deep.equal(ids[i]);
    if (different.decoded?.test(text)) continue;
    expect(tokenizer.decode(ids[i] ?? [], { skipSpecialTokens: false }), name).to.equal(decoded[i]);
  }
}

describe('data/tokenizer: tokens', () => {
  for (const [name, { tokenizer, ...expected }] of Object.entries(fixture.kinds)) {
    it(`are the same by ${name}`, async () => {
      const files = memoryFiles({ 'tokenizer.json': JSON.stringify(tokenizer) }, name);
      agree(await Tokenizer.fromFiles(files), expected);
    });
  }

  it("are the same by stories260K's (../shared/models/stories260K)", async function () {
    const json = await sharedFile('models/stories260K/tokenizer.json');
    if (!json) return this.skip();
    const files = memoryFiles({ 'tokenizer.json': json }, 'stories260K');
    agree(await Tokenizer.fromFiles(files), fixture.elsewhere['../shared/models/stories260K']);
  });
});
