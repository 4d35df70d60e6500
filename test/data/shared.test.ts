/** The readers against a real model and real preference data in `../shared`, skipped by name where that is missing. */
import { expect } from 'chai';
import { readPreferenceRows } from '../../src/data/preference-dataset.ts';
import { tokenizePairs } from '../../src/data/tokenize-completions.ts';
import { requireVocabulary, Tokenizer } from '../../src/data/tokenizer.ts';
import { parseConfigText } from '../../src/io/config.ts';
import { filesOf } from '../../src/io/files.ts';
import { readWeights } from '../../src/io/weights.ts';
import { sharedFile } from '../support/files.ts';

const shared = filesOf('../shared', sharedFile);
const model = filesOf('../shared/models/stories260K', (path) => sharedFile(`models/stories260K/${path}`));

/** A test that needs `../shared/path`. */
function itWith(path: string, name: string, body: () => Promise<void>): void {
  it(`${name} (${path})`, async function () {
    if (!(await shared.exists(path))) this.skip();
    await body();
  });
}

describe('data: shared model and data', () => {
  itWith(
    'models/stories260K/config.json',
    'reads configuration and weights that belong together',
    async () => {
      const config = parseConfigText(await model.readText('config.json'), 'config.json', ['llama']);
      expect(config).to.include({ hiddenSize: 64, headDim: 8, vocabSize: 512, tieWordEmbeddings: true });
      const weights = await readWeights(model);
      expect(weights.get('model.embed_tokens.weight')!.shape).to.deep.equal([
        config.vocabSize,
        config.hiddenSize,
      ]);
      expect(weights.has(`model.layers.${config.numHiddenLayers - 1}.mlp.down_proj.weight`)).to.equal(true);
    },
  );

  itWith('models/stories260K/reference-logprobs.json', 'tokenises the reference texts', async () => {
    const tokenizer = await Tokenizer.fromFiles(model);
    requireVocabulary(tokenizer, 512);
    const { cases } = JSON.parse(await model.readText('reference-logprobs.json')) as {
      cases: { text: string; ids: number[] }[];
    };
    for (const { text, ids } of cases) {
      expect(tokenizer.encode(text)).to.deep.equal(ids);
      expect(tokenizer.decode(ids)).to.equal(text);
    }
  });

  for (const [file, count, form] of [
    ['helpful-pairs.jsonl', 300, 'object'],
    ['hh-rlhf-harmless.jsonl', 1700, 'string'],
    ['pku-saferlhf-safer.jsonl', 3719, 'string'],
  ] as const) {
    itWith(`data/${file}`, 'reads every row', async () => {
      const rows = readPreferenceRows(await shared.readText(`data/${file}`), file);
      expect(rows).to.have.length(count);
      const odd = rows.filter(
        ({ prompt, chosen, rejected }) =>
          prompt.length === 0 || [prompt, chosen, rejected].some((part) => typeof part !== form),
      );
      expect(odd).to.deep.equal([]);
    });
  }

  itWith('data/hh-rlhf-harmless.jsonl', 'tokenises pairs that decode to the text again', async () => {
    const tokenizer = await Tokenizer.fromFiles(model);
    const rows = readPreferenceRows(await shared.readText('data/hh-rlhf-harmless.jsonl'), 'hh').slice(0, 50);
    const { pairs } = tokenizePairs(rows, tokenizer);
    rows.forEach((row, index) => {
      const { prompt, chosen, rejected } = pairs[index];
      expect(tokenizer.decode([...prompt, ...chosen])).to.equal(`${row.prompt}${row.chosen}`);
      expect(tokenizer.decode([...prompt, ...rejected])).to.equal(`${row.prompt}${row.rejected}`);
      expect(chosen.at(-1)).to.equal(tokenizer.eosId);
    });
  });
});
