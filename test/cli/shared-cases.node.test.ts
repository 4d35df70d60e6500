/**
 * Small inputs on which other programs fail, with the results of transformers, TRL, PEFT and pyarrow: `../shared/cases`.
 * Each is an example of a class that has its own tests; if the folder is missing, these are skipped by name.
 */
import { existsSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { parseRows } from '../../src/data/jsonl.ts';
import { PREFERENCES } from '../../src/data/preference-dataset.ts';
import { readDataset } from '../../src/data/read-dataset.ts';
import { TEXTS } from '../../src/data/text-dataset.ts';
import { tokenizePairs } from '../../src/data/tokenize-completions.ts';
import { tokenizeTexts } from '../../src/data/tokenize-texts.ts';
import { Tokenizer } from '../../src/data/tokenizer.ts';
import { fileSource, folderFiles } from '../../src/node/folder.ts';
import { expectRefused } from '../io/refused.ts';
import { Workshop } from './workshop.ts';

const CASES = '../shared/cases';

/** The same texts by the same model, apart from the adapters. */
const ADAPTED = [-5.79742, -4.23715, -5.29501];
const BEYOND = [-7.86785, -6.24439, -4.31702];

describe('cli: shared cases', () => {
  let workshop: Workshop;
  before(async () => {
    workshop = await Workshop.open();
  });
  after(() => workshop.close());

  function itWith(
    folder: string,
    body: (path: (file: string) => string) => Promise<void>,
    name = folder,
  ): void {
    it(`${name} (${CASES}/${folder})`, async function () {
      if (!existsSync(`${CASES}/${folder}`)) this.skip();
      await body((file) => `${CASES}/${folder}/${file}`);
    });
  }

  const at = (file: string) => `${CASES}/${file}`;
  const tokenizerOf = (folder: string) => Tokenizer.fromFiles(folderFiles(folder));
  const rowsOf = async (path: string) => parseRows(readFileSync(path, 'utf8'), path);
  const source = async (path: string) => (await fileSource(path))!;

  async function expectScores(expected: readonly number[], ...args: string[]): Promise<void> {
    const { code, json } = await workshop.run(['logprobs', '--input', at('text.jsonl'), ...args]);
    expect(code).to.equal(0);
    const [{ logprobs }] = json.results as [{ logprobs: number[] }];
    for (const [i, value] of expected.entries()) expect(logprobs[i]).to.be.closeTo(value, 1e-4);
  }

  async function expectIds(folder: string): Promise<void> {
    const tokenizer = await tokenizerOf(folder);
    const expected = JSON.parse(readFileSync(`${folder}/expected.json`, 'utf8')) as {
      text: string;
      ids: number[];
    }[];
    for (const { text, ids } of expected) expect(tokenizer.encode(text), text).to.deep.equal(ids);
  }

  itWith('token-beyond-embedding', (path) => expectScores(BEYOND, '--model', path('model')));
  for (const name of ['unused-target-module', 'default-in-adapter-keys']) {
    itWith(name, (path) => expectScores(ADAPTED, '--model', at('tiny'), '--adapter', path('adapter')));
  }
  itWith('nan-scores', async (path) => {
    const { code, error } = await workshop.run([
      'logprobs',
      '--model',
      path('model'),
      '--input',
      at('text.jsonl'),
    ]);
    expect(code).to.equal(1);
    expect(error.message).to.include('NaN');
  });

  itWith('generation-config-eos', async (path) => {
    const text = ['--prompt', 'the cat', '--temperature', '0', '--max-tokens', '8'];
    const { code, json } = await workshop.run(['generate', '--model', path('model'), ...text]);
    expect(code).to.equal(0);
    const [result] = json.results as [{ ids: number[]; finished: string; endId: number }];
    expect(result).to.deep.include({ ids: [133, 47], finished: 'eos', endId: 271 });
  });

  itWith('digits-and-white-space', (path) => expectIds(path('tokenizer')));
  itWith('single-word-token', (path) => expectIds(path('tokenizer')));
  itWith('split-merged-with-next', async (path) => {
    for (const kind of ['tokenizer-string', 'tokenizer-regex']) await expectIds(path(kind));
  });

  itWith('numbers-in-messages', async (path) => {
    const [{ value }] = await rowsOf(path('rows.jsonl'));
    const text = (await tokenizerOf(path('tokenizer'))).applyChatTemplate(value.messages as never);
    expect(text).to.include('{"order": 1234567890123456789, "share": 1.0, "eps": 1e-07}');
  });
  itWith('python-values-in-templates', async (path) => {
    const [{ value }] = await rowsOf(path('rows.jsonl'));
    const text = (await tokenizerOf(path('tokenizer'))).applyChatTemplate(value.messages as never);
    expect(text).to.equal("['a', 'b'] True None {'k': None} 👍 2");
  });
  itWith('templates-without-default', async (path) => {
    const tokenizer = await tokenizerOf(path('tokenizer'));
    const what = 'there are several templates, but none is the default: rag, tool_use';
    await expectRefused(() => tokenizer.applyChatTemplate([{ role: 'user', content: 'hi' }]), what);
  });
  itWith('extra-special-tokens', async (path) => {
    const tokenizer = await tokenizerOf(path('tokenizer'));
    expect(tokenizer.applyChatTemplate([{ role: 'user', content: 'hi' }])).to.equal('<turn>hi');
  });

  itWith('tools-column', async (path) => {
    const tokenizer = await tokenizerOf(path('model'));
    const { examples } = tokenizeTexts(
      await readDataset(await source(path('tools.jsonl')), TEXTS),
      tokenizer,
    );
    const lengths = examples.map(({ prompt, completions: [ids] }) => prompt.length + (ids?.length ?? 0));
    expect(lengths).to.deep.equal([175]);
    const [row] = await readDataset(await source(path('kwargs.jsonl')), PREFERENCES);
    const { prompt, chatTemplateKwargs } = row as typeof row & { prompt: [] };
    const asked = tokenizer.applyChatTemplate(prompt, { addGenerationPrompt: true, chatTemplateKwargs });
    expect(asked).to.equal('<user>rain?</s><assistant><think></think>');
    expect(tokenizePairs([row], tokenizer).notices.join()).to.include('the prompt is tokenized differently');
  });
  itWith('duckdb-parquet', async (path) => {
    const counts = ['pairs.parquet', 'messages.parquet'].map(
      async (file) => (await readDataset(await source(path(file)), PREFERENCES)).length,
    );
    expect(await Promise.all(counts)).to.deep.equal([100, 5]);
  });
  itWith('csv-text-like-json', async (path) => {
    const prompts = ['pairs.csv', 'pairs2.csv'].map(async (file) =>
      (await readDataset(await source(path(file)), PREFERENCES)).map(({ prompt }) => prompt),
    );
    expect(await Promise.all(prompts)).to.deep.equal([['[{"a": 1}] is what?'], ["[{'a': 1}] is what?"]]);
  });
  itWith('jsonl-nan', async (path) => {
    const lines: string[] = [];
    const rows = await readDataset(await source(path('pairs.jsonl')), PREFERENCES, (line) =>
      lines.push(line),
    );
    expect(rows).to.have.length.above(0);
    expect(lines.join()).to.include('a column is not read: "score"');
  });

  itWith(
    'tiny',
    async (path) => {
      const args = [
        'generate',
        '--model',
        path(''),
        '--prompt',
        '',
        '--max-tokens',
        '4',
        '--temperature',
        '0',
      ];
      const { code, json } = await workshop.run(args);
      expect(code).to.equal(0);
      expect(json.results).to.have.length(1);
    },
    'an empty prompt',
  );
});
