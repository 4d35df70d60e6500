/**
 * The trainers' settings: what a declaration must contain, which names a run accepts, which values it allows, and that the
 * hashes of existing runs stay the same.
 */
import { expect } from 'chai';
import { boolean, choice, number, whole } from '../../src/base/setting.ts';
import { InputError } from '../../src/io/errors.ts';
import { LOSSES, OPTIONS } from '../../src/losses/catalogue.ts';
import { FAMILIES, type FamilyName } from '../../src/losses/families.ts';
import type { Family } from '../../src/losses/family.ts';
import type { Loss } from '../../src/losses/loss.ts';
import { option } from '../../src/losses/options.ts';
import { sigmoid } from '../../src/losses/pair-losses.ts';
import {
  CPO_DEFAULTS,
  type CPOConfig,
  DPO_DEFAULTS,
  type DPOArgs,
  type DPOConfig,
  KTO_DEFAULTS,
  type KTOArgs,
  LORA_DEFAULTS,
  ORPO_DEFAULTS,
  resolveConfig,
  resolveLoraConfig,
  SFT_DEFAULTS,
  type SFTArgs,
  TRAINERS,
} from '../../src/train/config.ts';
import { DPOTrainer } from '../../src/train/dpo-trainer.ts';
import { trlArguments } from '../../src/train/settings/trl-arguments.ts';

const dpo = (args: object, peftConfig?: null) => resolveConfig<DPOConfig>(TRAINERS.dpo, args, peftConfig);
const capped: Loss = {
  ...sigmoid,
  name: 'capped',
  options: {
    beta: { default: 0.2 },
    cap: { default: 1, range: { from: 0, upTo: 9, reason: 'so says the test' } },
  },
};

describe('a declaration', () => {
  it('with a missing part does not compile', () => {
    const parts = { default: 1, range: {}, group: 'run', help: 'a setting', trl: null } as const;
    const without = <Part extends keyof typeof parts>(part: Part) => {
      const { [part]: _, ...others } = parts;
      return others;
    };
    // Declared and never used: the compiler is the test.
    const halves = () => [
      number(parts),
      // @ts-expect-error: without a default
      number(without('default')),
      // @ts-expect-error: without a range
      number(without('range')),
      // @ts-expect-error: without a heading
      number(without('group')),
      // @ts-expect-error: without help
      number(without('help')),
      // @ts-expect-error: without TRL's name
      number(without('trl')),
      // @ts-expect-error: without a range
      whole(without('range')),
      // @ts-expect-error: a default of another kind
      number({ ...parts, default: '1' }),
      // @ts-expect-error: a heading that does not exist
      number({ ...parts, group: 'other' }),
      boolean({ ...without('range'), default: false }),
      // @ts-expect-error: on by default, and nothing said about --no-…
      boolean({ ...without('range'), default: true }),
      boolean({ ...without('range'), default: true, off: 'not that' }),
      choice(['a', 'b'], { ...without('range'), default: 'a' }),
      // @ts-expect-error: a default that is not one of the choices
      choice(['a', 'b'], { ...without('range'), default: 'c' }),
      option({ default: 1, range: {}, help: 'an option', trl: null, trainers: ['dpo'], always: false }),
      // @ts-expect-error: no trainers
      option({ default: 1, range: {}, help: 'an option', trl: null, always: false }),
      // @ts-expect-error: a trainer that does not exist
      option({ default: 1, range: {}, help: 'an option', trl: null, trainers: ['none'], always: false }),
      // @ts-expect-error: of which runs
      option({ default: 1, range: {}, help: 'an option', trl: null, trainers: ['dpo'] }),
    ];
    expect(halves).to.be.a('function');
  });

  it('determines the types of configurations and arguments', () => {
    const typed = (config: DPOConfig, cpo: CPOConfig) => {
      const rate: number = config.learningRate;
      const schedule: 'linear' | 'cosine' | 'constant' | 'constant_with_warmup' = config.lrSchedulerType;
      const open: number | null = config.ldAlpha;
      const gamma: number = cpo.simpoGamma;
      // @ts-expect-error: not a setting of DPO
      const none: number = config.simpoGamma;
      return [rate, schedule, open, gamma, none];
    };
    const given: DPOArgs[] = [
      { learningRate: 1, lossType: 'ipo' },
      { learning_rate: 1, lr_scheduler_type: 'cosine', loss_type: ['sigmoid', 'sft'] },
      { lr: 1, epochs: 1, batchSize: 2, max_length: 8, label_smoothing: 0.1 },
      // @ts-expect-error: not a setting
      { lossType: 'ipo', cap: 2 },
      // @ts-expect-error: a value of another kind
      { learning_rate: '1' },
      // @ts-expect-error: no such schedule
      { lrSchedulerType: 'step' },
    ];
    const inputs = { model: null as never, trainDataset: [] };
    const made = () => [
      new DPOTrainer({ ...inputs, args: { lossType: capped, cap: 2 } }),
      new DPOTrainer({ ...inputs, args: { lossType: ['sigmoid', capped], cap: 2, beta: 1 } }),
      // @ts-expect-error: there is no custom loss that could have it
      new DPOTrainer({ ...inputs, args: { lossType: 'ipo', cap: 2 } }),
      // @ts-expect-error: a value of another kind, with a custom loss
      new DPOTrainer({ ...inputs, args: { lossType: capped, beta: '1' } }),
    ];
    const others: [KTOArgs, SFTArgs] = [
      { desirable_weight: 2 },
      { max_seq_length: 8, completion_only_loss: null },
    ];
    expect([typed, made, given, others]).to.have.length(4);
  });
});

describe('the settings of runs', () => {
  it('have the order and defaults of existing checkpoints and run.json', () => {
    const training =
      '"learningRate":1e-6,"numTrainEpochs":3,"maxSteps":-1,"perDeviceTrainBatchSize":8,"perDeviceEvalBatchSize":8,' +
      '"gradientAccumulationSteps":1,"lrSchedulerType":"linear","warmupSteps":0,"warmupRatio":0,"maxGradNorm":1,' +
      '"weightDecay":0,"adamBeta1":0.9,"adamBeta2":0.999,"adamEpsilon":1e-8,"seed":42,"shuffleDataset":true,' +
      '"evalSteps":0,"saveSteps":0,"gradientCheckpointing":false,"filterEps":0,"savedActivations":"float32"';
    const completions = `${training},"beta":0.1,"maxLength":1024`;
    const text = (config: object) => JSON.stringify(config).replaceAll('0.000001,', '1e-6,');
    expect(text(DPO_DEFAULTS)).to.equal(
      `{${completions},"lossType":"sigmoid","lossWeights":null,"labelSmoothing":0,"discopopTau":0.05,"ipoTokenMean":1,` +
        '"fDivergence":"reverse_kl","fAlphaDivergenceCoef":0.5,"ldAlpha":null,"useWeighting":false,' +
        '"syncRefModel":false,"refModelMixupAlpha":0.6,"refModelSyncSteps":512,"precomputeRefLogProbs":null}',
    );
    expect(text(CPO_DEFAULTS)).to.equal(
      `{${completions},"lossType":"sigmoid","labelSmoothing":0,"cpoAlpha":1,"simpoGamma":0.5}`,
    );
    expect(text(ORPO_DEFAULTS)).to.equal(`{${completions}}`);
    expect(text(KTO_DEFAULTS)).to.equal(
      `{${completions},"lossType":"kto","desirableWeight":1,"undesirableWeight":1,"precomputeRefLogProbs":null}`,
    );
    expect(text(SFT_DEFAULTS)).to.equal(
      `{${training.replace('1e-6', '0.00002')},"maxLength":1024,"completionOnlyLoss":null}`,
    );
    expect(text(LORA_DEFAULTS)).to.match(
      /^\{"r":16,"loraAlpha":32,"targetModules":\["q_proj",.*\],"useRslora":false\}$/,
    );
    // The same for a run, for any given settings in any order.
    const { learningRate: _, ...others } = DPO_DEFAULTS;
    const run = dpo({ seed: 42, beta: 0.1, lossType: 'sigmoid' });
    expect(text(run)).to.equal(text({ learningRate: 1e-5, ...others }));
    expect(dpo({}, null).learningRate).to.equal(1e-6);
    expect(resolveConfig(TRAINERS.sft, {}).learningRate).to.equal(2e-4);
  });

  it('are accepted under the names of TRL, one at a time', () => {
    const config = dpo({
      learning_rate: 1e-3,
      per_device_train_batch_size: 2,
      loss_type: 'ipo',
      epochs: 2,
      warmup_ratio: 0.1,
    });
    expect(config).to.include({
      learningRate: 1e-3,
      perDeviceTrainBatchSize: 2,
      lossType: 'ipo',
      numTrainEpochs: 2,
    });
    expect(config).to.not.have.any.keys('learning_rate', 'loss_type', 'epochs');
    expect(resolveLoraConfig({ lora_r: 4, target_modules: ['q_proj'] })).to.include({ r: 4, loraAlpha: 32 });
    expect(resolveLoraConfig({}, ['c_attn']).targetModules).to.deep.equal(['c_attn']);
    expect(() => dpo({ learning_rate: 1, learningRate: 2 })).to.throw(
      InputError,
      'learningRate is given twice, as "learning_rate" and "learningRate". Leave one out',
    );
    expect(dpo({ learning_rate: undefined, learningRate: 2 }).learningRate).to.equal(2);
  });

  it('say what to do instead of an unknown name', () => {
    expect(() => dpo({ learningRat: 1 })).to.throw(
      InputError,
      'unknown settings: "learningRat". Did you mean learningRate? Supported settings:',
    );
    expect(() => dpo({ simpoGamma: 1 })).to.throw(InputError, 'unknown settings: "simpoGamma"');
    expect(() => dpo({ bf16: true })).to.throw(
      InputError,
      'bf16: training computes in float32; dtype stores',
    );
    expect(() => dpo({ precompute_ref_batch_size: 4 })).to.throw(
      InputError,
      'batches of perDeviceEvalBatchSize examples',
    );
    expect(() => dpo({ fp16: true, betta: 1 })).to.throw(
      InputError,
      /fp16: .*float32.* Did you mean beta\? Supported/,
    );
    expect(() => resolveLoraConfig({ lora_dropout: 0.1 } as object)).to.throw(InputError, 'without dropout');
    expect(() => resolveLoraConfig({ rank: 4 } as object)).to.throw(
      InputError,
      'Supported settings: r, loraAlpha',
    );
  });

  it('are validated by their declarations', () => {
    const refused: [object, string][] = [
      [{ learningRate: -1 }, 'settings: learningRate is -1. Give a number from 0.'],
      [{ beta: 0 }, 'beta is 0. Give a number above 0'],
      [{ beta: '1' }, 'beta is "1". Give a number'],
      [{ maxLength: 1 }, 'maxLength is 1. Give a whole number from 2'],
      [{ seed: 1.5 }, 'seed is 1.5. Give a whole number from 0'],
      [{ adamBeta2: 1 }, 'adamBeta2 is 1. Give a number from 0 to below 1'],
      [{ useWeighting: 'yes' }, 'useWeighting is "yes". Give true or false'],
      [
        { lrSchedulerType: 'cosin' },
        'lrSchedulerType is "cosin". Did you mean cosine? Supported: linear, cosine',
      ],
      [{ lossWeights: [1, '2'] }, 'lossWeights is [1,"2"]. Give a list of numbers'],
      [{ lossType: 3 }, 'lossType is 3. Give the name of a loss'],
      [{ lossType: { shader: {} } }, 'a descriptor with its shader and options'],
      [{ discopopTau: 0 }, 'discopopTau is 0. Give a number from 0.001: the loss divides by it'],
      [{ learningRate: null }, 'learningRate is null'],
    ];
    for (const [args, message] of refused) expect(() => dpo(args), message).to.throw(InputError, message);
    expect(dpo({ ldAlpha: null, lossWeights: null })).to.include({ ldAlpha: null, lossWeights: null });
    expect(() => resolveLoraConfig({ r: 0 })).to.throw(InputError, 'r is 0. Give a whole number from 1');
    expect(() => resolveLoraConfig({ loraAlpha: 0 })).to.throw(
      InputError,
      'loraAlpha is 0. Give a number above 0',
    );
  });

  it('include the options of a user-defined loss', () => {
    expect(dpo({ lossType: capped })).to.include({ cap: 1, beta: 0.1 });
    expect(dpo({ lossType: ['sft', capped], cap: 3 })).to.include({ cap: 3 });
    expect(dpo({ loss_type: [capped], cap: 3 })).to.include({ cap: 3 });
    expect(() => dpo({ lossType: capped, cap: 10 })).to.throw(
      InputError,
      'cap is 10. Give a number from 0 to 9: so says the test',
    );
    expect(() => dpo({ lossType: capped, caps: 1 })).to.throw(
      InputError,
      /"caps". Did you mean cap\? Supported settings: .*cap/,
    );
    expect(() => dpo({ lossType: 'sigmoid', cap: 1 })).to.throw(InputError, 'unknown settings: "cap"');
    // If two losses have an option of the same name, the first one declares it.
    const other: Loss = { ...capped, options: { beta: { default: 1 }, cap: { default: 5 } } };
    expect(dpo({ lossType: [other, capped] })).to.include({ cap: 5 });
    expect(dpo({ lossType: [capped, other] })).to.include({ cap: 1 });
  });
});

describe("the catalogue's options", () => {
  it('of newer losses are settings of their runs only, so that other checkpoints stay valid', () => {
    expect(dpo({ lossType: 'cal_dpo' })).to.include({ calDpoShift: 0.5 });
    expect(dpo({ lossType: ['sft', 'cal_dpo'], calDpoShift: 0.25 })).to.include({ calDpoShift: 0.25 });
    expect(dpo({ lossType: 'sigmoid' })).to.not.have.property('calDpoShift');
    expect(() => dpo({ calDpoShift: 2 })).to.throw(InputError, 'calDpoShift is 2. Give a number from 0 to 1');
    expect(() => trlArguments({ lossType: 'cal_dpo', calDpoShift: 0.5 })).to.throw(
      InputError,
      'TRL has no loss cal_dpo',
    );
  });

  const declared = Object.entries(OPTIONS) as [string, { trainers: readonly FamilyName[] }][];

  it('are settings of trainers whose losses read them', () => {
    for (const [name, { trainers }] of declared) {
      for (const trainer of trainers) {
        const { losses, plus }: Family = FAMILIES[trainer];
        const isRead = losses.some((each) => name in each.options);
        expect(isRead || plus?.weight === name, `${name} of ${trainer}`).to.equal(true);
      }
    }
  });

  it('are all that formulas read besides β', () => {
    const read = Object.values(LOSSES).flatMap(({ options }) => Object.keys(options));
    const names = declared.map(([name]) => name).filter((name) => name !== FAMILIES.cpo.plus.weight);
    // These are settings of trainers, with their own defaults or texts.
    const ofTrainers = ['beta', 'epsilonHigh', 'delta', 'importanceSamplingLevel', 'useBiasCorrectionKl'];
    const others = [...ofTrainers, 'offPolicyMaskThreshold', 'maxCompletionLength'];
    expect(new Set(read)).to.deep.equal(new Set([...others, ...names]));
  });
});

describe('for TRL', () => {
  it('settings have its names, and those that it lacks are omitted or rejected', () => {
    expect(
      trlArguments({ learningRate: 1e-3, ldAlpha: null, filterEps: 0, savedActivations: 'float32' }),
    ).to.deep.equal({
      learning_rate: 1e-3,
    });
    expect(trlArguments({ warmupSteps: 0, warmupRatio: 0.1 })).to.deep.equal({ warmup_steps: 0.1 });
    expect(trlArguments({ warmupSteps: 5, warmupRatio: 0.1 })).to.deep.equal({ warmup_steps: 5 });
    expect(trlArguments({ evalSteps: 0, saveSteps: 0, shuffleDataset: false })).to.deep.equal({
      save_strategy: 'no',
      train_sampling_strategy: 'sequential',
    });
    expect(trlArguments({ assistantOnlyLoss: true })).to.deep.equal({ assistant_only_loss: true });
    expect(() => trlArguments({ lossType: ['sigmoid', 'sft'], useWeighting: true })).to.throw(
      InputError,
      'sft is in the list',
    );
    expect(trlArguments({ evalSteps: 2, saveSteps: 3 })).to.deep.equal({
      eval_strategy: 'steps',
      eval_steps: 2,
      save_strategy: 'steps',
      save_steps: 3,
    });
    expect(trlArguments({ lossType: ['ipo'], ipoTokenMean: 1, fDivergence: 'js' })).to.deep.equal({
      loss_type: 'ipo',
      f_divergence_type: 'js_divergence',
    });
    expect(trlArguments({ lossType: ['sigmoid', 'sft'], ipoTokenMean: 0 })).to.deep.equal({
      loss_type: ['sigmoid', 'sft'],
    });
    // CPO's ipo takes token means, and has no setting for it.
    expect(trlArguments({ lossType: 'ipo' })).to.deep.equal({ loss_type: 'ipo' });
    expect(() => trlArguments({ lossType: 'ipo', ipoTokenMean: 0 })).to.throw(
      InputError,
      "TRL's ipo only supports ipoTokenMean 1",
    );
    expect(() => trlArguments({ rank: 1 })).to.throw(InputError, 'no setting is called "rank"');
  });
});
