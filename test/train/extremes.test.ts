/**
 * Extreme numbers: every numeric setting of every trainer at the limits of numbers. Each is refused by its name, or a run
 * with it can be planned. On a device that only counts.
 */
import { expect } from 'chai';
import { isOwn } from '../../src/base/lookup.ts';
import { FLOAT32_MOST, WHOLE_MOST } from '../../src/base/range.ts';
import type { Setting } from '../../src/base/setting.ts';
import { MemoryCapError } from '../../src/gpu/errors.ts';
import { InputError } from '../../src/io/errors.ts';
import { LORA } from '../../src/io/lora-settings.ts';
import { CausalLM } from '../../src/model/causal-lm.ts';
import { generate } from '../../src/model/generation.ts';
import { A2POTrainer } from '../../src/rollout/a2po-trainer.ts';
import { GRPOTrainer } from '../../src/rollout/grpo-trainer.ts';
import { OnlineDPOTrainer } from '../../src/rollout/online-dpo-trainer.ts';
import { PPOTrainer } from '../../src/rollout/ppo-trainer.ts';
import { RLOOTrainer } from '../../src/rollout/rloo-trainer.ts';
import { resolveConfig, resolveLoraConfig } from '../../src/train/config.ts';
import { CPOTrainer } from '../../src/train/cpo-trainer.ts';
import { DPOTrainer } from '../../src/train/dpo-trainer.ts';
import { KTOTrainer } from '../../src/train/kto-trainer.ts';
import { ORPOTrainer } from '../../src/train/orpo-trainer.ts';
import { RewardTrainer } from '../../src/train/reward-trainer.ts';
import { TRAINERS } from '../../src/train/settings/trainers.ts';
import { TRAINING } from '../../src/train/settings/training.ts';
import { SFTTrainer } from '../../src/train/sft-trainer.ts';
import type { Trainer } from '../../src/train/trainer.ts';
import { filesOf, loadFixture, randomPairs } from '../model/tiny.ts';
import { tinyLlama } from '../reference/fixtures.ts';
import { fiveWords } from '../rollout/five-words.ts';
import { freshGpu, testGpu } from '../support/gpu.ts';

const EXTREMES = [0, -0, -1, 1, 2 ** 31, 2 ** 53, 1e-50, 1e39, 1e308, Number.NaN, Number.POSITIVE_INFINITY];
/** The same, and the limits of the allowed range. */
const extremesOf = ({ range = {} }: Setting) => [
  ...EXTREMES,
  ...[range.from ?? 0, range.upTo ?? 0, FLOAT32_MOST, -FLOAT32_MOST, WHOLE_MOST],
];

const PAIRS = randomPairs(4, 5);
const TEXTS = PAIRS.map(({ prompt, chosen }) => ({ prompt, completion: chosen }));
const MADE: Record<keyof typeof TRAINERS, [made: unknown, rows: readonly unknown[]]> = {
  dpo: [DPOTrainer, PAIRS],
  cpo: [CPOTrainer, PAIRS],
  orpo: [ORPOTrainer, PAIRS],
  kto: [KTOTrainer, TEXTS.map((text, i) => ({ ...text, desirable: i % 2 === 0 }))],
  sft: [SFTTrainer, TEXTS],
  reward: [RewardTrainer, PAIRS],
  rloo: [RLOOTrainer, []],
  grpo: [GRPOTrainer, []],
  ppo: [PPOTrainer, []],
  'online-dpo': [OnlineDPOTrainer, []],
  a2po: [A2POTrainer, []],
};
const PROMPTS = ['a b', 'c'].map((prompt) => ({ prompt }));
/** Trainers with which the common settings are tested. */
const SHARED_BY: readonly string[] = ['dpo', 'rloo'];
const isEnd = ({ range: { from, upTo = WHOLE_MOST } = {} }: Setting, value: number) =>
  value === from || value === upTo;
const isNumeric = ({ kind }: Setting) => kind === 'number' || kind === 'whole';

describe('extreme settings', () => {
  for (const name of Object.keys(MADE) as (keyof typeof TRAINERS)[]) {
    it(`${name}: rejected by name, or planned`, async () => {
      const model = await CausalLM.load((await testGpu()).countingCopy(), filesOf(tinyLlama));
      const [Made, rows] = MADE[name];
      const { settings } = TRAINERS[name];
      const writes = 'maxCompletionLength' in settings;
      const sizes = { perDeviceTrainBatchSize: 4, ...(writes && { maxCompletionLength: 8 }) };
      const processingClass = writes ? await fiveWords() : undefined;
      const planned = async (args: object) => {
        const trainer = new (Made as new (options: object) => Trainer)({
          model,
          args: { ...sizes, ...('numGenerations' in settings && { numGenerations: 2 }), ...args },
          trainDataset: writes ? PROMPTS : rows,
          evalDataset: writes ? PROMPTS : rows,
          peftConfig: { r: 2, targetModules: ['q_proj'] },
          processingClass,
          rewardFuncs: () => [],
        });
        await trainer.plan();
        trainer.dispose();
        if (trainer.adapter) model.detach(trainer.adapter);
      };
      for (const [setting, declaration] of Object.entries(settings as Record<string, Setting>)) {
        if (!isNumeric(declaration)) continue;
        for (const value of new Set(extremesOf(declaration))) {
          const args = { [setting]: value };
          if (declaration.fits(value)) {
            expect(Math.fround(value), setting).to.satisfy(Number.isFinite);
            expect(Math.fround(value) === 0, setting).to.equal(value === 0);
            // Whether the values are useful depends on the device and is the same for all trainers; how many there are does
            // not.
            if (declaration.kind !== 'whole' || !isEnd(declaration, value)) continue;
            if (isOwn(TRAINING, setting) && !SHARED_BY.includes(name)) continue;
            const error = await planned(args).catch((reason) => reason);
            if (error) expect(error, `${setting} ${value}: ${error.stack}`).to.be.instanceOf(InputError);
          } else {
            const where = `${setting} ${value}`;
            expect(() => resolveConfig(TRAINERS[name], args), where).to.throw(
              InputError,
              `${setting} is ${value}`,
            );
          }
        }
      }
      model.dispose();
    });
  }

  it('LoRA: rejected by name; rejects a rank beyond the cap or the device before allocating host memory', async () => {
    for (const value of extremesOf(LORA.r).filter((each) => !LORA.r.fits(each)))
      expect(() => resolveLoraConfig({ r: value }), `${value}`).to.throw(InputError, `r is ${value}`);
    for (const value of extremesOf(LORA.loraAlpha).filter((each) => !LORA.loraAlpha.fits(each)))
      expect(() => resolveLoraConfig({ loraAlpha: value }), `${value}`).to.throw(
        InputError,
        `loraAlpha is ${value}`,
      );
    const gpu = await freshGpu({ memoryCap: 4 * 2 ** 20 });
    const model = await loadFixture(gpu);
    const { live } = gpu.memory();
    const arrays = countedArrays();
    const make = () => new DPOTrainer({ model, trainDataset: PAIRS, peftConfig: { r: 2 ** 16 } });
    expect(make).to.throw(
      MemoryCapError,
      /LoRA of rank 65536 needs .* more than the cap of 4.0 MiB. Lower the LoRA rank/,
    );
    expect(arrays.longest()).to.be.below(2 ** 16);
    expect(gpu.memory().live).to.equal(live);
    gpu.dispose();
  });

  it('generation: rejected by name', async () => {
    const model = await loadFixture(await testGpu());
    const options = [
      'temperature',
      'topK',
      'topP',
      'minP',
      'repetitionPenalty',
      'seed',
      'numReturnSequences',
    ];
    for (const name of [...options, 'maxNewTokens', 'batchSize'])
      for (const value of [-1, 2 ** 53, 1e39, Number.NaN, Number.POSITIVE_INFINITY]) {
        // An ordinary float32 number.
        if (['temperature', 'repetitionPenalty'].includes(name) && value === 2 ** 53) continue;
        const error = await generate(model, [[1]], { maxNewTokens: 2, [name]: value }).catch(
          (reason) => reason,
        );
        expect(error, `${name} ${value}`).to.be.instanceOf(InputError);
      }
    model.dispose();
  });
});

/** The length of the longest float32 array that was created since. */
function countedArrays() {
  const { Float32Array: Original } = globalThis;
  let longest = 0;
  globalThis.Float32Array = new Proxy(Original, {
    construct(target, args, made) {
      if (typeof args[0] === 'number') longest = Math.max(longest, args[0]);
      return Reflect.construct(target, args, made);
    },
  });
  return {
    longest() {
      globalThis.Float32Array = Original;
      return longest;
    },
  };
}
