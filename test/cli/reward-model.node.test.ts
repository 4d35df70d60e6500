/**
 * `webalign reward-model` and `score`: what is written and printed, scores of every form of row, and a reward model as a
 * reward.
 */
import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { lines, pairs, Workshop } from './workshop.ts';

const PROMPTS = ['the sky', 'the end', 'a same thing', 'blue blue'].map((prompt) => ({ prompt }));

describe('cli: reward-model and score', function () {
  this.timeout(120_000);
  let workshop: Workshop;
  before(async () => {
    workshop = await Workshop.open();
    await workshop.write('margins.jsonl', lines(pairs(12).map((row, i) => ({ ...row, margin: i % 2 }))));
    await workshop.write('prompts.jsonl', lines(PROMPTS));
  });
  after(() => workshop.close());

  const train = (out: string, more: Record<string, string> = {}) => {
    const flags = {
      '--model': workshop.path('model'),
      '--data': workshop.path('margins.jsonl'),
      '--out': workshop.path(out),
      '--batch-size': '4',
      '--learning-rate': '1e-2',
      '--max-steps': '4',
      '--eval-split': '3',
      '--lora-r': '4',
      ...more,
    };
    return workshop.run([
      'reward-model',
      ...Object.entries(flags).flatMap(([flag, value]) => (value ? [flag, value] : [flag])),
    ]);
  };
  const score = async (
    rows: readonly unknown[],
    more: readonly string[] = ['--adapter', workshop.path('reward')],
  ) => {
    const input = await workshop.write('texts.jsonl', lines(rows));
    return workshop.run(['score', '--model', workshop.path('model'), '--input', input, ...more]);
  };
  const scoresOf = (json: Record<string, unknown>) =>
    (json.results as { score: number; ids: number[] }[]).map(({ score: value }) => value);

  it('trains, writes a SEQ_CLS adapter, and reports its accuracy', async () => {
    const { code, json, stderr } = await train('reward', { '--center-rewards-coefficient': '0.01' });
    expect(code, stderr).to.equal(0);
    expect(json).to.include({ steps: 4, pairs: 9 });
    expect(json.eval).to.have.all.keys('loss', 'accuracy', 'margin');
    expect(stderr).to.include('accuracy');
    const config = JSON.parse(await readFile(workshop.path('reward/adapter_config.json'), 'utf8'));
    expect(config).to.deep.include({ task_type: 'SEQ_CLS', modules_to_save: ['classifier', 'score'] });
    const record = JSON.parse(await readFile(workshop.path('reward/run.json'), 'utf8'));
    expect(record.method).to.equal('reward-model');
    expect(record.settings).to.include({
      centerRewardsCoefficient: 0.01,
      learningRate: 0.01,
      maxLength: 1024,
      scoredToken: 'auto',
    });
  });

  it('scores a text equally alone, in parts, as ids and with others in a batch', async () => {
    const { code, json, stderr } = await score([
      { text: 'the sky is blue' },
      { prompt: 'the sky', completion: ' is blue' },
      { prompt: 'the sky', completion: ' is red.' },
    ]);
    expect(code, stderr).to.equal(0);
    const [whole, parts, other] = scoresOf(json) as [number, number, number];
    expect(parts).to.be.closeTo(whole, 1e-5);
    expect(other).not.to.be.closeTo(whole, 1e-5);
    const { ids } = (json.results as { ids: number[] }[])[0];
    const [again] = scoresOf((await score([{ ids }])).json);
    expect(again).to.be.closeTo(whole, 1e-5);
    // Without the end token another token is scored.
    const [short] = scoresOf((await score([{ ids: ids.slice(0, -1) }])).json);
    const skipped = await score(
      [{ ids }],
      ['--adapter', workshop.path('reward'), '--scored-token', 'last_non_pad'],
    );
    expect(scoresOf(skipped.json)[0]).to.be.closeTo(short, 1e-5);
  });

  it('uses the pad token of its training', async () => {
    const { code, stderr } = await train('skipping', { '--scored-token': 'last_non_pad' });
    expect(code, stderr).to.equal(0);
    const found = await score([{ text: 'the sky' }], ['--adapter', workshop.path('skipping')]);
    expect(found.json.padTokenId).to.be.a('number');
  });

  it('resumes an adapter, and is the reward of rloo on one base', async () => {
    const on = await train('further', {
      '--init-adapter': workshop.path('reward'),
      '--lora-r': '',
      '--max-steps': '1',
    }).catch(String);
    expect(on).to.be.an('object');
    const { code, json, stderr } = await workshop.run([
      'rloo',
      '--model',
      workshop.path('model'),
      '--data',
      workshop.path('prompts.jsonl'),
      '--out',
      workshop.path('policy'),
      '--reward',
      workshop.path('reward'),
      '--num-generations',
      '2',
      '--batch-size',
      '4',
      '--max-completion-length',
      '4',
      '--max-steps',
      '1',
      '--eval-split',
      '1',
      '--num-generations-eval',
      '2',
      '--lora-r',
      '4',
    ]);
    expect(code, stderr).to.equal(0);
    expect(json.eval).to.include.keys('reward', 'objective');
  });

  it('rejects invalid input, with the reason', async () => {
    const refused = async (result: Promise<{ code: number | null; stderr: string }>, ...words: string[]) => {
      const { code, stderr } = await result;
      expect(code).to.be.above(0);
      for (const word of words) expect(stderr).to.include(word);
    };
    await refused(score([{ text: 'the sky' }], []), 'score.weight', 'not a reward model');
    await refused(score([{ prompt: 'the sky' }]), 'nothing to score');
    await refused(score([{ ids: [97] }]), '97 is not a token id');
    await refused(workshop.run(['score', '--model', workshop.path('model')]), '--input');
    await refused(train('full', { '--full': '', '--lora-r': '4' }), 'adapter');
    const bad = await workshop.write('bad.jsonl', lines([{ ...pairs(1)[0], margin: 'much' }]));
    await refused(train('bad', { '--data': bad }), 'line 1', 'margin');
    await refused(
      workshop.run([
        'generate',
        '--model',
        workshop.path('model'),
        '--adapter',
        workshop.path('reward'),
        '--prompt',
        'the sky',
        '--max-tokens',
        '4',
      ]),
      'reward model',
    );
  });
});
