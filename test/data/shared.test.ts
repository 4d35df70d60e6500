/** The readers against a real model and real preference data in `../shared`, skipped by name where that is missing. */
import { expect } from 'chai';
import { readLabelledRows } from '../../src/data/labelled-dataset.ts';
import { readPreferenceRows } from '../../src/data/preference-dataset.ts';
import { readTextRows } from '../../src/data/text-dataset.ts';
import { tokenizeCompletions, tokenizePairs } from '../../src/data/tokenize-completions.ts';
import { tokenizeTexts } from '../../src/data/tokenize-texts.ts';
import { Tokenizer } from '../../src/data/tokenizer.ts';
import { memorySource } from '../../src/io/byte-source.ts';
import { parseConfigText } from '../../src/io/config.ts';
import { filesOf, memoryFiles } from '../../src/io/files.ts';
import { openWeights } from '../../src/io/weights.ts';
import pairs from '../fixtures/trl-pairs.json' with { type: 'json' };
import { sharedFile } from '../support/files.ts';

const folder = (name: string, below = '') =>
  filesOf(name, async (path) => {
    const bytes = await sharedFile(`${below}${path}`);
    return bytes && memorySource(bytes, `${name}/${path}`);
  });
const shared = folder('../shared');
const model = folder('../shared/models/stories260K', 'models/stories260K/');

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
      const config = parseConfigText(await model.readText('config.json'), 'config.json', { llama: {} });
      expect(config).to.include({ hiddenSize: 64, headDim: 8, vocabSize: 512, tieWordEmbeddings: true });
      const weights = await openWeights(model);
      expect(weights.get('model.embed_tokens.weight')!.shape).to.deep.equal([
        config.vocabSize,
        config.hiddenSize,
      ]);
      expect(weights.has(`model.layers.${config.numHiddenLayers - 1}.mlp.down_proj.weight`)).to.equal(true);
    },
  );

  itWith('models/stories260K/reference-logprobs.json', 'tokenizes the reference texts', async () => {
    const tokenizer = await Tokenizer.fromFiles(model);
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

  itWith('data/hh-rlhf-harmless.jsonl', 'tokenizes pairs that decode to the text again', async () => {
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

  /** The shared model's tokenizer with the chat template of the fixtures. */
  async function chatTokenizer(): Promise<Tokenizer> {
    const config = JSON.parse(await model.readText('tokenizer_config.json'));
    const { chat_template } = pairs.tokenizerConfig;
    const files = {
      'tokenizer.json': await model.readText('tokenizer.json'),
      'tokenizer_config.json': JSON.stringify({ ...config, chat_template }),
    };
    return Tokenizer.fromFiles(memoryFiles(files, 'shared'));
  }

  itWith('data/helpful-labels.jsonl', 'reads and tokenizes labeled conversations', async () => {
    const rows = readLabelledRows(await shared.readText('data/helpful-labels.jsonl'), 'labels');
    expect(rows).to.have.length(300);
    expect(rows.filter(({ label }) => label).length).to.be.within(1, 299);
    const tokenizer = await chatTokenizer();
    const some = rows.slice(0, 20);
    const { examples } = tokenizeCompletions(
      some.map(({ prompt, completion }) => ({ prompt, completions: { completion } })),
      tokenizer,
    );
    examples.forEach(({ prompt, completions: [completion] }, i) => {
      const messages = [...some[i].prompt, ...some[i].completion] as Parameters<
        typeof tokenizer.encodeChat
      >[0];
      expect([...prompt, ...completion]).to.deep.equal(tokenizer.encodeChat(messages));
      expect(completion.length).to.be.above(1);
    });
  });

  itWith('data/instructions.jsonl', 'reads and tokenizes instructions', async () => {
    const rows = readTextRows(await shared.readText('data/instructions.jsonl'), 'instructions');
    expect(rows).to.have.length(999);
    const tokenizer = await chatTokenizer();
    const { examples, notices } = tokenizeTexts(rows.slice(0, 20), tokenizer, { maxLength: 64 });
    expect(notices.join()).to.include('longer than max_length 64');
    examples.forEach(({ prompt, completions: [completion] }, i) => {
      const ids = tokenizer.encodeChat(rows[i].completion as Parameters<typeof tokenizer.encodeChat>[0]);
      expect([...prompt, ...completion]).to.deep.equal(ids.slice(0, 64));
    });
  });
});
