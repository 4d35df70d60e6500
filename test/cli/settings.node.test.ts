/** The options: each is declared as a setting, every name has one meaning, and a file and flags give the same. */
import { expect } from 'chai';
import { KINDS } from '../../src/cli/kinds.ts';
import { OPTIONS, type OptionName, SETTINGS } from '../../src/cli/options.ts';
import { mergeSettings, settingsFrom } from '../../src/cli/settings.ts';
import { TRL_NAMES } from '../../src/train/settings/trl-names.ts';
import { expectRefused } from '../io/refused.ts';
import { Workshop } from './workshop.ts';

const NAMES = Object.keys(OPTIONS) as OptionName[];

describe('cli/settings', () => {
  it('has an option for every declared setting', () => {
    expect(NAMES).to.include.members(Object.keys(SETTINGS));
    expect(OPTIONS.numTrainEpochs).to.include({ flag: '--epochs', kind: 'number', group: 'training' });
    expect(OPTIONS.perDeviceTrainBatchSize.flag).to.equal('--batch-size');
    expect(OPTIONS.adamBeta1.flag).to.equal('--adam-beta1');
    expect(OPTIONS.shuffleDataset).to.include({ flag: '--no-shuffle-dataset', kind: 'switch' });
    expect(OPTIONS.completionOnlyLoss.kind).to.equal('boolean');
    expect(OPTIONS.r.flag).to.equal('--lora-r');
  });

  it('gives every option its own flag and name, none with another meaning in TRL', () => {
    const flags = NAMES.map((name) => OPTIONS[name].flag);
    expect(new Set(flags).size).to.equal(flags.length);
    const names = NAMES.flatMap((name) => [...new Set([name, ...OPTIONS[name].names])]);
    expect(names.filter((name, i) => names.indexOf(name) !== i)).to.deep.equal([]);
    expect(names).to.not.include.members(Object.keys(TRL_NAMES));
    expect(names.filter((name) => name in TRL_NAMES)).to.deep.equal([]);
  });

  it('accepts names in a file in camelCase, as flags and as in TRL', () => {
    const given = {
      epochs: 2,
      perDeviceTrainBatchSize: 4,
      loraR: 8,
      targetModules: ['q_proj'],
      shuffleDataset: false,
    };
    expect(settingsFrom(given, 'run.json', NAMES)).to.deep.equal({
      numTrainEpochs: 2,
      perDeviceTrainBatchSize: 4,
      r: 8,
      targetModules: ['q_proj'],
      shuffleDataset: false,
    });
  });

  it('takes the names of TRL in a file', () => {
    const given = {
      learning_rate: 1e-4,
      lora_r: 4,
      per_device_train_batch_size: 2,
      loss_type: ['ipo'],
      output_dir: 'x',
    };
    expect(settingsFrom(given, 'run.json', NAMES)).to.deep.equal({
      learningRate: 1e-4,
      r: 4,
      perDeviceTrainBatchSize: 2,
      lossType: ['ipo'],
      out: 'x',
    });
  });

  it('refuses unknown names with the known ones, wrong kinds, and a setting under two names', async () => {
    const from = (json: Record<string, never>) => () =>
      settingsFrom(json, 'run.json', ['beta', 'r', 'resume']);
    await expectRefused(
      from({ gamma: 1, delta: 2 } as never),
      'run.json',
      '"gamma", "delta"',
      'beta, r, resume',
    );
    await expectRefused(from({ beta: '0.1' } as never), 'run.json, "beta"', 'a number');
    await expectRefused(from({ resume: 1 } as never), 'true or false');
    await expectRefused(from({ r: 1, loraR: 2 } as never), 'r is given twice, as "r" and "loraR"');
    await expectRefused(from({ r: 1, lora_r: 2 } as never), 'twice');
    await expectRefused(from({ betta: 1 } as never), 'Did you mean beta? Supported settings:');
    const withReasons = () => settingsFrom({ bf16: true, report_to: 'none' }, 'run.json', NAMES, TRL_NAMES);
    await expectRefused(
      withReasons,
      '"bf16", "report_to"',
      'bf16: training computes in float32; dtype',
      'report_to:',
    );
    await expectRefused(from(JSON.parse('{"__proto__": 1, "constructor": 2}')), '"__proto__", "constructor"');
  });

  it('lets flags override the file, and the file the defaults', async () => {
    const workshop = await Workshop.open();
    try {
      const config = await workshop.write('run.json', JSON.stringify({ beta: 0.3, seed: 3 }));
      const defaults = { beta: 0.1, seed: 1, maxSteps: 9 };
      const { settings, fromFile } = await mergeSettings({ config, beta: 0.5 }, { options: NAMES, defaults });
      expect(settings).to.deep.equal({ config, beta: 0.5, seed: 3, maxSteps: 9 });
      expect([...fromFile]).to.deep.equal(['seed']);
      const broken = await workshop.write('broken.json', '{\n"beta" 1}');
      await expectRefused(
        () => mergeSettings({ config: broken }, { options: NAMES, defaults: {} }),
        'broken.json, line 2',
      );
      await expectRefused(
        () => mergeSettings({ config: workshop.path('none.json') }, { options: NAMES, defaults: {} }),
        'none.json',
        'file not found',
      );
    } finally {
      await workshop.close();
    }
  });

  it('reads human-readable byte sizes', () => {
    const { read } = KINDS.bytes;
    expect(['2GiB', '512 MiB', '1.5g', '1000', '3KB'].map(read)).to.deep.equal([
      2 ** 31,
      2 ** 29,
      1.5e9,
      1000,
      3000,
    ]);
    expect(['', '0', 'much', '-1', '1e9', 'GiB'].map(read)).to.deep.equal(Array(6).fill(undefined));
  });
});
