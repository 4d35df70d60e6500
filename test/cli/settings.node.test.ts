/** The option table: every setting of the trainer is there, and a file says the same as flags do. */
import { expect } from 'chai';
import { KINDS, namesInFile, OPTIONS, type OptionName } from '../../src/cli/options.ts';
import { mergeSettings, settingsFrom } from '../../src/cli/settings.ts';
import { DPO_DEFAULTS, LORA_DEFAULTS } from '../../src/train/config.ts';
import { expectRefused } from '../io/refused.ts';
import { Workshop } from './workshop.ts';

const NAMES = Object.keys(OPTIONS) as OptionName[];

describe('cli/settings', () => {
  it('has an option for every setting of the trainer and of LoRA', () => {
    for (const name of [...Object.keys(DPO_DEFAULTS), ...Object.keys(LORA_DEFAULTS)]) {
      expect(OPTIONS, name).to.have.property(name);
    }
  });

  it('gives no flag and no name twice', () => {
    const flags = Object.values(OPTIONS).flatMap((row) => [row.flag, ...('alias' in row ? [row.alias] : [])]);
    expect(new Set(flags).size).to.equal(flags.length);
    const names = NAMES.flatMap(namesInFile);
    expect(new Set(names).size).to.equal(names.length);
  });

  it('takes the names of a file in camelCase, those of the flags and those of TRL', () => {
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
    await expectRefused(from({ r: 1, loraR: 2 } as never), 'twice');
  });

  it('lets flags win over the file, and the file over the defaults', async () => {
    const workshop = await Workshop.open();
    try {
      const config = await workshop.write('run.json', JSON.stringify({ beta: 0.3, seed: 3 }));
      const merged = await mergeSettings({ config, beta: 0.5 }, NAMES, { beta: 0.1, seed: 1, maxSteps: 9 });
      expect(merged).to.deep.equal({ config, beta: 0.5, seed: 3, maxSteps: 9 });
      const broken = await workshop.write('broken.json', '{\n"beta" 1}');
      await expectRefused(() => mergeSettings({ config: broken }, NAMES, {}), 'broken.json, line 2');
      await expectRefused(
        () => mergeSettings({ config: workshop.path('none.json') }, NAMES, {}),
        'none.json',
        'no such file',
      );
    } finally {
      await workshop.close();
    }
  });

  it('reads bytes as people write them', () => {
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
