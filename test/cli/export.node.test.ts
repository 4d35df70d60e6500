/**
 * `webalign export`: each form is written completely and can be used, and what cannot be exported is reported before
 * anything is written.
 */
import { readdir, readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { rewardsScript } from '../../src/cli/trl-rewards.ts';
import { type Adapter, readAdapter } from '../../src/io/peft.ts';
import { folderFiles } from '../../src/node/folder.ts';
import { relativeL2 } from '../reference/compare.ts';
import { tinyLlama, tinyLlamaTied } from '../reference/fixtures.ts';
import { readFixture } from '../support/files.ts';
import { lines, pairs, Workshop } from './workshop.ts';

describe('cli: export', () => {
  let workshop: Workshop;
  let model: string;
  let adapter: string;
  before(async () => {
    workshop = await Workshop.open();
    model = workshop.path('model');
    adapter = workshop.path('adapter');
    for (const name of ['adapter_config.json', 'adapter_model.safetensors']) {
      await workshop.write(`adapter/${name}`, await readFixture(`tiny-llama/adapter/${name}`));
    }
  });
  after(() => workshop.close());

  const exported = (format: string, out: string, ...more: string[]) =>
    workshop.run(['export', '--format', format, '--adapter', adapter, '--out', workshop.path(out), ...more]);

  it('peft: a single adapter unchanged, several combined', async () => {
    const one = await exported('peft', 'one');
    expect(one.code, one.stderr).to.equal(0);
    const [written, given] = await Promise.all(
      [workshop.path('one'), adapter].map((folder) => readAdapter(folderFiles(folder))),
    );
    expect(written?.config).to.include({ r: 4, loraAlpha: 8 });
    expect(relativeL2(bOf(written), bOf(given))).to.equal(0);
    const two = await exported('peft', 'two', '--adapter', adapter, '--q', '0.5');
    expect(two.json).to.deep.include({ format: 'peft', q: 0.5 });
    expect((await readAdapter(folderFiles(workshop.path('two')))).config.r).to.equal(8);
  });

  it('merged: a folder that every command accepts as a model', async () => {
    const { code, json, stderr } = await exported('merged', 'whole', '--model', model);
    expect(code, stderr).to.equal(0);
    const files = ['tokenizer.json', 'tokenizer_config.json', 'model.safetensors', 'config.json'];
    expect(json).to.deep.include({ format: 'merged', files });
    expect((await readdir(workshop.path('whole'))).sort()).to.deep.equal(files.sort());

    const { sequences, lora } = tinyLlama.reference;
    const input = await workshop.write('ids.jsonl', lines(sequences.map((ids) => ({ ids }))));
    const scored = await workshop.run(['logprobs', '--model', workshop.path('whole'), '--input', input]);
    const results = scored.json.results as { logprobs: number[] }[];
    expect(
      relativeL2(
        results.flatMap(({ logprobs }) => logprobs),
        lora.logprobs.flat(),
      ),
    ).to.be.below(1e-5);
  });

  it('gguf: one file', async () => {
    const { code, json, stderr } = await exported('gguf', 'llama', '--model', model);
    expect(code, stderr).to.equal(0);
    expect(json).to.deep.include({ format: 'gguf', files: ['adapter.gguf'] });
    expect(await readdir(workshop.path('llama'))).to.deep.equal(['adapter.gguf']);
    const again = await exported('gguf', 'llama', '--model', model);
    expect(again.error.message).to.include('adapter.gguf').and.include('--overwrite');
  });

  it('trl: the rows, settings and first adapter of a run, under a script', async () => {
    const run = workshop.path('run');
    const settings = { '--out': run, '--max-steps': '1', '--loss': 'ipo', '--warmup-ratio': '0.1' };
    const trained = await workshop.run(workshop.dpo({ ...settings, '--f-divergence': 'js', '--seed': '7' }));
    expect(trained.code, trained.stderr).to.equal(0);
    const out = workshop.path('trl');
    const { code, stderr } = await workshop.run([
      'export',
      '--format',
      'trl',
      '--adapter',
      run,
      '--out',
      out,
    ]);
    expect(code, stderr).to.equal(0);

    const text = async (name: string) => readFile(`${out}/${name}`, 'utf8');
    const { model: path, args } = JSON.parse(await text('settings.json'));
    expect(path).to.equal(model);
    expect(args).to.include({ beta: 0.1, loss_type: 'ipo', f_divergence_type: 'js_divergence' });
    expect(args).to.include({ warmup_steps: 0.1, per_device_train_batch_size: 4, adam_beta1: 0.9, seed: 7 });
    expect(args).to.include({ train_sampling_strategy: 'random', max_steps: 1, bf16: false });
    expect(args).to.not.have.any.keys(
      'warmup_ratio',
      'eval_steps',
      'ld_alpha',
      'ipo_token_mean',
      'filter_eps',
    );

    const rows = (await text('train.jsonl'))
      .trimEnd()
      .split('\n')
      .concat((await text('eval.jsonl')).trim().split('\n'));
    const known = pairs(12).map((pair) => JSON.stringify(pair));
    expect(rows).to.have.length(12).and.have.members(known);

    const start = await readAdapter(folderFiles(`${out}/start`));
    expect(start.config).to.include({ r: 16, loraAlpha: 32 });
    expect(bOf(start).every((value) => value === 0)).to.equal(true);
    const [after, ours] = await Promise.all(
      [`${out}/trained`, run].map((folder) => readAdapter(folderFiles(folder))),
    );
    expect(bOf(after)).to.deep.equal(bOf(ours));
    // In the first step A has no gradient, since B is zero.
    const module = 'model.layers.0.self_attn.q_proj';
    expect(start.weights.get(module)!.a).to.deep.equal(ours.weights.get(module)!.a);
    const script = await text('train.py');
    expect(script).to.include('from trl import DPOConfig, DPOTrainer').and.include('"start"');
  });

  it('trl: a reward model with its initial head, unless TRL would score another token', async () => {
    const run = workshop.path('reward');
    const data = await workshop.write('margins.jsonl', lines([{ ...pairs(1)[0], margin: 1 }, ...pairs(5)]));
    const args = ['--model', model, '--data', data, '--out', run, '--eval-split', '0', '--max-steps', '1'];
    const made = await workshop.run(['reward-model', ...args, '--scored-token', 'last_non_pad']);
    expect(made.code, made.stderr).to.equal(0);
    const exportTo = (to: string) =>
      workshop.run(['export', '--format', 'trl', '--adapter', run, '--out', workshop.path(to)]);
    const { code, stderr } = await exportTo('trl-reward');
    expect(code, stderr).to.equal(0);
    const out = workshop.path('trl-reward');
    const text = async (name: string) => readFile(`${out}/${name}`, 'utf8');
    expect(await text('train.py'))
      .to.include('from trl import RewardConfig, RewardTrainer')
      .and.include('AutoModelForSequenceClassification.from_pretrained')
      .and.include('num_labels=1');
    expect((await text('train.jsonl')).match(/"margin":[01]/g)).to.have.length(6);
    const [start, trained] = await Promise.all(
      ['start', 'trained'].map((name) => readAdapter(folderFiles(`${out}/${name}`))),
    );
    const [first, last] = [start.head!, trained.head!];
    expect(Math.hypot(...first)).to.be.above(0);
    expect(relativeL2(last, first)).to.be.above(0).and.below(0.1);

    const record = await readFile(`${run}/run.json`, 'utf8');
    await workshop.write('reward/run.json', record.replace('"last_non_pad"', '"last"'));
    const refused = await exportTo('never');
    expect(refused.code).to.equal(1);
    expect(refused.error.message).to.include('another token').and.include('scoredToken last_non_pad');
  });

  it('trl: prompts, settings and rewards to be written for online DPO, unless TRL cannot label so', async () => {
    const run = workshop.path('online');
    const prompts = ['once', 'the', 'a'].map((prompt, i) => ({ prompt, length: i }));
    const data = await workshop.write('prompts.jsonl', lines(prompts));
    const args = ['--model', model, '--data', data, '--out', run, '--eval-split', '1', '--max-steps', '1'];
    const rewards = ['--reward', 'sentiment'];
    const size = ['--batch-size', '2', '--max-completion-length', '3', '--num-generations-eval', '2'];
    const made = await workshop.run(['online-dpo', ...args, ...size, ...rewards]);
    expect(made.code, made.stderr).to.equal(0);
    const exportTo = (to: string) =>
      workshop.run(['export', '--format', 'trl', '--adapter', run, '--out', workshop.path(to)]);
    const { code, stderr } = await exportTo('trl-online');
    expect(code, stderr).to.equal(0);
    const out = workshop.path('trl-online');
    expect(await readdir(out)).to.not.include('eval.jsonl');
    const text = async (name: string) => readFile(`${out}/${name}`, 'utf8');
    const { args: written } = JSON.parse(await text('settings.json'));
    expect(written).to.deep.include({ max_new_tokens: 3, max_length: 64, loss_type: 'sigmoid' });
    expect(written).to.not.have.any.keys(
      'max_completion_length',
      'num_generations_eval',
      'steps_per_generation',
      'num_iterations',
    );
    const rows = (await text('train.jsonl')).trimEnd().split('\n');
    expect(rows).to.have.length(2);
    for (const row of rows) expect(prompts.map((each) => JSON.stringify(each))).to.include(row);
    expect(await text('train.py'))
      .to.include('from trl.experimental.online_dpo import OnlineDPOConfig, OnlineDPOTrainer')
      .and.include('reward_funcs=REWARDS')
      .and.not.include('evaluation');
    expect(await text('rewards.py'))
      .to.include('def reward_sentiment(prompts, completions, **columns):')
      .and.include('REWARDS = [reward_sentiment]');
    expect(rewardsScript(['a-b.mjs', 'x/a_b'])).to.include('REWARDS = [reward_a_b, reward_a_b_2]');

    const record = await readFile(`${run}/run.json`, 'utf8');
    for (const [name, value] of [
      ['labels', '"sampled"'],
      ['numIterations', '2'],
      ['lossType', '"hinge"'],
    ] as const) {
      const changed = record.replace(new RegExp(`("${name}": )[^,\n]*`), `$1${value}`);
      await workshop.write('online/run.json', changed);
      const refused = await exportTo('never');
      expect(refused.code, name).to.equal(1);
      expect(refused.error.message).to.include("TRL's online DPO has no").and.include(name);
    }
  });

  it('explains what is wrong and what to do, and writes nothing', async () => {
    const other = await workshop.model('other', {}, tinyLlamaTied);
    const half = await workshop.model('half', { 'model.safetensors': undefined });
    const refused: [string, string[], ...string[]][] = [
      ['onnx', [], '"onnx"', 'peft, merged, merged-gguf, gguf, trl'],
      ['merged', [], 'needs --model'],
      ['gguf', [], 'needs --model'],
      ['merged', ['--model', other], adapter, 'q_proj is (32, 32)', 'tiny-llama'],
      ['gguf', ['--model', other], adapter, 'v_proj is (16, 32)', 'more'],
      ['merged', ['--model', half], 'half/model.safetensors'],
      ['merged', ['--model', workshop.path('none')], 'none: there is no such folder', 'owner/name'],
      ['peft', ['--q', '2'], 'q'],
      ['trl', [], 'adapter/run.json', 'finished run of sft, dpo'],
      ['trl', ['--adapter', adapter], 'takes one --adapter'],
    ];
    for (const [format, more, ...parts] of refused) {
      const { code, error } = await exported(format, 'never', ...more);
      expect(code, error.message).to.be.oneOf([1, 2]);
      for (const part of parts) expect(error.message).to.include(part);
    }
    expect(await readdir(workshop.folder)).to.not.include('never');
    const over = await exported('merged', 'model', '--model', model, '--overwrite');
    expect(over.error.message).to.include('--out is the folder of --model');
  });
});

function bOf({ weights }: Adapter): number[] {
  return [...weights.values()].flatMap(({ b }) => [...b]);
}
