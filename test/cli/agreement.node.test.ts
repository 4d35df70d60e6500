/**
 * What is an error for one command is an error for all that read the same input: `logprobs`, `generate` and `dpo` on the
 * same texts, and the functions behind them on the same token ids.
 */
import { expect } from 'chai';
import { InputError } from '../../src/io/errors.ts';
import { generate } from '../../src/model/generation.ts';
import { DPOTrainer } from '../../src/train/dpo-trainer.ts';
import { sequenceLogprobs } from '../../src/train/measures/sequence-logprobs.ts';
import trl from '../fixtures/trl-pairs.json' with { type: 'json' };
import { loadFixture } from '../model/tiny.ts';
import { testGpu } from '../support/gpu.ts';
import { lines, Workshop } from './workshop.ts';

const LONG = 'the sky is blue '.repeat(40);
const withoutBos = { 'tokenizer.json': JSON.stringify({ ...trl.tokenizer, post_processor: null }) };
const withoutTokens = { 'tokenizer.json': undefined };

describe('cli: commands agree on what is an error', () => {
  let workshop: Workshop;
  before(async () => {
    workshop = await Workshop.open();
  });
  after(() => workshop.close());

  /** A text as each command gets it, and what each says about it. */
  const CASES: [
    what: string,
    text: string,
    files: Record<string, string | undefined>,
    says: Record<string, string>,
  ][] = [
    [
      'a text without a token',
      '',
      withoutBos,
      { logprobs: 'has no tokens', generate: 'has no tokens', dpo: 'no token' },
    ],
    [
      'a text beyond the context',
      LONG,
      {},
      { logprobs: 'at most 64', generate: '64 positions', dpo: '--max-length 64' },
    ],
    [
      'a model without a tokenizer',
      'the sky',
      withoutTokens,
      { logprobs: 'tokenizer.json', generate: 'tokenizer.json', dpo: 'tokenizer.json' },
    ],
  ];

  for (const [index, [what, text, files, says]] of CASES.entries()) {
    it(what, async () => {
      const model = await workshop.model(`model-${index}`, files);
      const input = await workshop.write('texts.jsonl', lines([{ text }]));
      const data = await workshop.write(
        'rows.jsonl',
        lines([{ prompt: text, chosen: ' is blue', rejected: ' is red.' }]),
      );
      const commands: Record<string, string[]> = {
        logprobs: ['logprobs', '--model', model, '--input', input],
        generate: ['generate', '--model', model, '--prompt', text, '--max-tokens', '2'],
        dpo: workshop.dpo({ '--model': model, '--data': data }),
      };
      for (const [name, args] of Object.entries(commands)) {
        const { code, error, stderr } = await workshop.run(args);
        expect(code, `${name}: ${stderr}`).to.equal(1);
        expect(error.message, name).to.include(says[name]);
      }
    });
  }

  it('a text that begins with BOS twice is accepted with a notice', async () => {
    const input = await workshop.write('bos.jsonl', lines([{ text: 'the sky' }, { text: '<s>the sky' }]));
    const model = workshop.path('model');
    const scored = await workshop.run(['logprobs', '--model', model, '--input', input]);
    expect(scored.stderr).to.include('Text 2: begins with BOS twice');
    const written = await workshop.run([
      'generate',
      '--model',
      model,
      '--prompt',
      '<s>the sky',
      '--max-tokens',
      '1',
    ]);
    expect(written.stderr).to.include('Prompt 1: begins with BOS twice');
    expect([scored.code, written.code]).to.deep.equal([0, 0]);
  });
});

describe('functions agree on what is an error', () => {
  const ids = (count: number) => Array.from({ length: count }, () => 5);
  const GOOD = [7];
  /** The fixture has 97 tokens and 64 positions. */
  const CASES: [what: string, prompt: number[], completion: number[], fine?: string][] = [
    ['an example that fits exactly', ids(60), ids(4), 'fine'],
    ['one token more than positions', ids(60), ids(5)],
    ['no prompt', [], GOOD],
    ['a token outside the vocabulary', [97], GOOD],
    ['a negative token', [-1], GOOD],
    ['half a token', [1.5], GOOD],
  ];
  for (const [what, prompt, completion, fine] of CASES) {
    it(what, async () => {
      const model = await loadFixture(await testGpu());
      const rejected = completion.map((id) => id + 1);
      const attempts: Record<string, () => Promise<unknown>> = {
        sequenceLogprobs: () => sequenceLogprobs(model, [{ prompt, completion }]),
        generate: () => generate(model, [prompt], { maxNewTokens: completion.length }),
        DPOTrainer: async () =>
          new DPOTrainer({
            model,
            trainDataset: [{ prompt, chosen: completion, rejected }],
            peftConfig: { r: 4 },
          }).dispose(),
      };
      for (const [name, attempt] of Object.entries(attempts)) {
        const outcome = await attempt().then(
          () => 'fine',
          (error: unknown) => (error instanceof InputError ? undefined : error),
        );
        expect(outcome, name).to.equal(fine);
      }
      model.dispose();
    });
  }
});
