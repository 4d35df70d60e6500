/** Damaged GGUF files: for any damage, the reader, the configuration and the tokenizer throw an `InputError`. */
import { expect } from 'chai';
import { Tokenizer } from '../../../src/data/tokenizer.ts';
import { byteSource } from '../../../src/io/byte-source.ts';
import { InputError } from '../../../src/io/errors.ts';
import { ggufFiles } from '../../../src/io/gguf/files.ts';
import { describeModel } from '../../../src/model/description.ts';
import { openModelWeights } from '../../../src/model/stored-weights.ts';
import { BYTE_TOKENIZER, PIECE_TOKENIZER, tinyGguf } from '../../support/gguf.ts';
import { mutants } from './mutants.ts';

/** Everything that is done with a file before the device gets it; returns whether the file is valid. */
async function survives(file: Uint8Array<ArrayBuffer>): Promise<boolean> {
  const source = byteSource('mutant.gguf', file.length, async (offset, length) =>
    file.slice(offset, offset + length),
  );
  try {
    const files = await ggufFiles(source);
    const description = await describeModel(files);
    const { stored } = await openModelWeights(files, description);
    for (const tensor of stored.values()) await tensor.read();
    const tokenizer = await Tokenizer.fromFiles(files);
    tokenizer.decode(tokenizer.encode('ab abc'));
    return true;
  } catch (error) {
    if (error instanceof InputError) return false;
    throw error;
  }
}

describe('io/gguf: damaged files', () => {
  for (const [name, tokenizer] of Object.entries({ BYTE_TOKENIZER, PIECE_TOKENIZER })) {
    const file = tinyGguf(tokenizer);

    it(`${name}: cut short at every byte`, async () => {
      expect(await survives(file)).to.equal(true);
      for (let length = 0; length < file.length; length++) {
        // The bytes cut off at the end are padding.
        if (file.length - length > 31)
          expect(await survives(file.slice(0, length)), String(length)).to.equal(false);
      }
    });

    it(`${name}: bits flipped, numbers replaced, pieces moved`, async () => {
      let sound = 0;
      for (const mutant of mutants(file, 1500, 77)) if (await survives(mutant)) sound++;
      // Changed bits of weights are valid; that some files are valid shows that not everything is refused.
      expect(sound).to.be.within(50, 1000);
    });
  }
});
