/** Flags: TRL's spellings work, what TRL means differently is refused with the reason, and messages name what was typed. */
import { readdir } from 'node:fs/promises';
import { expect } from 'chai';
import { type Outcome, Workshop } from './workshop.ts';

describe('cli/flags', () => {
  let workshop: Workshop;
  before(async () => {
    workshop = await Workshop.open();
  });
  after(() => workshop.close());

  const plan = (...more: string[]) =>
    workshop.run([
      'plan',
      '--model',
      workshop.path('model'),
      '--data',
      workshop.path('pairs.jsonl'),
      ...more,
    ]);
  const dpo = (...more: string[]) => workshop.run([...workshop.dpo({}), ...more]);

  it("accepts TRL's spellings of the same options", async () => {
    const common = ['--lora-r', '16', '--max-length', '32', '--epochs', '1', '--loss', 'ipo'];
    const ours = await plan(...common, '--batch-size', '4', '--gradient-checkpointing', '--lora-alpha', '8');
    expect(ours.code, ours.stderr).to.equal(0);
    const { stdout } = await workshop.run([
      ...['plan', '--model_name_or_path', workshop.path('model'), '--data', workshop.path('pairs.jsonl')],
      ...[
        '--per_device_train_batch_size',
        '4',
        '--lora_r=16',
        '--gradient_checkpointing',
        'True',
        '--max_length',
        '32',
      ],
      ...['--learning_rate', '1e-4', '--num_train_epochs', '1', '--loss_type', 'ipo', '--lora_alpha', '8'],
    ]);
    expect(stdout).to.equal(ours.stdout);
    const off = await plan(...common, '--batch-size', '4', '--gradient_checkpointing', 'false');
    expect(off.json.plannedBytes).to.be.above(ours.json.plannedBytes as number);
  });

  it('rejects two spellings at once', async () => {
    const both = await plan('--learning_rate', '1', '--lr', '2');
    expect(both.code).to.equal(2);
    expect(both.error.message).to.include('--learning_rate and --lr are the same option');
    expect((await plan('--gradient-checkpointing', '--gradient_checkpointing', 'true')).code).to.equal(2);
  });

  it('rejects one option with two values, whatever its kind, and says what to do', async () => {
    const twice = async (flag: string, one: string, other: string) => {
      const { code, error } = await dpo(flag, one, flag, other);
      expect(code, flag).to.equal(2);
      expect(error.message).to.include(`${flag} is given twice, as "${one}" and "${other}": `);
      return error.message;
    };
    expect(await twice('--loss', 'ipo', 'hinge')).to.include('give all names to one of them');
    expect(await twice('--loss-weights', '1', '2')).to.include('give all numbers to one of them');
    for (const [flag, one, other] of [
      ['--weight-decay', '0.1', '0.2'],
      ['--eval-data', 'a.jsonl', 'b.jsonl'],
      ['--config', 'a.json', 'b.json'],
      ['--memory-cap', '1GiB', '2GiB'],
      ['--tune', 'on', 'off'],
    ] as const)
      await twice(flag, one, other);
  });

  it('accepts the same value twice, switches twice, and several texts', async () => {
    const same = await plan('--lora-r', '4', '--lora-r', '4', '--json', '--batch-size', '4');
    expect(same.code, same.stderr).to.equal(0);
    const { error } = await workshop.run(['generate', '--model', 'none', '--prompt', 'a', '--prompt', 'b']);
    expect(error.message).to.not.include('twice');
  });

  it("says what to do instead of TRL's options that are not supported", async () => {
    for (const [args, ...parts] of [
      [['--bf16'], '--bf16 is not an option here', 'float32', '--dtype'],
      [['--report_to', 'wandb'], '--report_to'],
      [['--precompute_ref_batch_size', '4'], '--eval-batch-size'],
      [['--dataset_name', 'trl-lib/x'], 'data set on the Hub', '--data FILE'],
      [['--eval_strategy=steps'], '--eval-steps above 0'],
    ] as const) {
      const { code, error } = await dpo(...args);
      expect(code).to.equal(2);
      for (const part of parts) expect(error.message).to.include(part);
    }
    expect(await readdir(workshop.folder)).to.not.include('out');
    // Commands that train nothing treat these names like any others.
    const generate = await workshop.run(['generate', '--model', 'm', '--prompt', 'p', '--bf16']);
    expect(generate.error.message).to.include("unknown option '--bf16'");
  });

  it('suggests the intended name', async () => {
    expect((await dpo('--learning-rat', '1')).error.message).to.include('Did you mean --learning-rate?');
    expect((await dpo('--loss', 'ipoo')).error.message).to.include('Did you mean ipo?');
    const curve = await dpo('--lr-scheduler-type', 'cosin');
    expect(curve.error.message).to.include(
      '--lr-scheduler-type is "cosin". Did you mean cosine? Supported: linear',
    );
    const file = await workshop.write('typo.json', JSON.stringify({ learningRat: 1e-4 }));
    expect((await dpo('--config', file)).error.message).to.include('Did you mean learningRate?');
  });

  it('shows flags on the command line, and setting names for a file', async () => {
    const message = ({ error }: Outcome) => error.message;
    expect(message(await dpo('--label-smoothing', '0.7'))).to.include('settings: --label-smoothing is 0.7');
    expect(message(await dpo('--loss', 'robust', '--label-smoothing', '0.5'))).to.include(
      'loss robust: --label-smoothing is 0.5, but must be from 0 to 0.4999999',
    );
    const together = ['--gradient-checkpointing', '--saved-activations', 'float16'];
    expect(message(await dpo(...together))).to.include(
      '--gradient-checkpointing saves no activations, but --saved-activations asks for them in float16',
    );
    const file = await workshop.write('low.json', JSON.stringify({ label_smoothing: 0.7 }));
    expect(message(await dpo('--config', file))).to.include('settings: labelSmoothing is 0.7');
    expect(message(await dpo('--config', file, '--label-smoothing', '0.8'))).to.include(
      '--label-smoothing is 0.8',
    );
    const stages = await workshop.write(
      'stages.json',
      JSON.stringify([{ name: 'first', data: workshop.path('pairs.jsonl'), labelSmoothing: 0.7 }]),
    );
    const args = ['--model', workshop.path('model'), '--stages', stages, '--out', workshop.path('out')];
    expect(message(await workshop.run(['sacpo', ...args]))).to.include(
      'stage "first", settings: labelSmoothing is 0.7',
    );
  });

  it('finds no commands, formats, variants or methods by names of inherited properties', async () => {
    const model = workshop.path('model');
    for (const name of ['constructor', '__proto__', 'toString', 'hasOwnProperty']) {
      const stages = await workshop.write('odd.json', JSON.stringify([{ method: name, data: 'x.jsonl' }]));
      await workshop.write('odd/run.json', JSON.stringify({ method: name, settings: {} }));
      const odd: [string[], string][] = [
        [[name], 'unknown command'],
        [['export', '--format', name, '--adapter', 'a', '--out', workshop.path('out')], 'peft, merged'],
        [
          ['export', '--format', 'trl', '--adapter', workshop.path('odd'), '--out', workshop.path('out')],
          'run.json',
        ],
        [['generate', '--model', model, '--prompt', 'the sky', '--variant', name], name],
        [['generate', '--model', model, '--prompt', 'the sky', '--dtype', name], '--dtype is'],
        [['sacpo', '--model', model, '--stages', stages, '--out', workshop.path('out')], '"method" is'],
        [workshop.dpo({ '--loss': name }), 'unknown loss'],
        [workshop.dpo({ '--f-divergence': name }), 'Supported: reverse_kl'],
      ];
      for (const [args, part] of odd) {
        const { code, error } = await workshop.run(args);
        expect(code, `${args}`).to.be.oneOf([1, 2]);
        expect(error.message, `${args}`).to.include(part).and.not.include('an error of webalign itself');
      }
    }
  });

  it('shows defaults and ranges, each group once, and only the flags that are ours', async () => {
    const { stdout, stderr } = await workshop.run(['dpo', '--help']);
    const help = `${stdout}${stderr}`.replace(/\s+/g, ' ');
    expect(help).to.include(
      '--learning-rate <n> peak learning rate (from 0; default: 0.00001, with --full 0.000001)',
    );
    expect(help).to.include(
      '--beta <n> how strongly the policy is pulled to the reference (above 0; default: 0.1)',
    );
    expect(help).to.include('(linear, cosine, constant, constant_with_warmup; default: linear)');
    expect(help).to.include('--no-shuffle-dataset use the examples in file order');
    expect(help).to.not.match(/--learning_rate|--num-train-epochs|--bf16|default: null/);
    const headings = [...`${stdout}${stderr}`.matchAll(/^(\w+):$/gm)].map(([, heading]) => heading);
    expect(headings).to.deep.equal([
      'Files',
      'Loss',
      'Training',
      'LoRA',
      'Run',
      'Output',
      'Options',
      'Example',
    ]);
  });
});
