/**
 * The planned bytes of a run are those that it then holds, for every kind of run. All of it on devices that only count, on
 * which a run requests the same buffers as on a GPU; `test/cli/plan` compares with a GPU.
 */
import { expect } from 'chai';
import { Tokenizer } from '../../src/data/tokenizer.ts';
import { CausalLM } from '../../src/model/causal-lm.ts';
import { freshAdapter } from '../../src/model/lora.ts';
import { openSource } from '../../src/node/sources.ts';
import { A2POTrainer } from '../../src/rollout/a2po-trainer.ts';
import { GRPOTrainer } from '../../src/rollout/grpo-trainer.ts';
import { OnlineDPOTrainer } from '../../src/rollout/online-dpo-trainer.ts';
import { PPOTrainer } from '../../src/rollout/ppo-trainer.ts';
import { RLOOTrainer } from '../../src/rollout/rloo-trainer.ts';
import { DPOTrainer } from '../../src/train/dpo-trainer.ts';
import { KTOTrainer } from '../../src/train/kto-trainer.ts';
import { RewardModel } from '../../src/train/measures/reward-model.ts';
import { planMemory } from '../../src/train/memory-plan.ts';
import { RewardTrainer } from '../../src/train/reward-trainer.ts';
import { SFTTrainer } from '../../src/train/sft-trainer.ts';
import type { Trainer } from '../../src/train/trainer.ts';
import { MODELS, randomModel } from '../bench/models.ts';
import { random } from '../reference/compare.ts';
import { fiveWords } from '../rollout/five-words.ts';
import { testGpu } from '../support/gpu.ts';

const LORA = { r: 8, loraAlpha: 16, targetModules: ['q_proj', 'v_proj', 'down_proj'] };
/** As a share of the bytes that are held. */
const TOLERANCE = 0.1;

type Args = Record<string, unknown>;
type Make = (model: CausalLM, processingClass: Tokenizer) => Trainer;

/** Pairs whose lengths differ widely. */
function pairs(count: number) {
  const { int, ints } = random(3);
  const ids = (most: number) => [...ints(1 + int(most), 200)];
  return Array.from({ length: count }, () => ({ prompt: ids(20), chosen: ids(40), rejected: ids(40) }));
}

const PAIRS = pairs(64);
const TEXTS = PAIRS.map(({ prompt, chosen }) => ({ prompt, completion: chosen }));
const LABELLED = PAIRS.flatMap(({ prompt, chosen, rejected }) => [
  { prompt, completion: chosen, desirable: true },
  { prompt, completion: rejected, desirable: false },
]);
const PROMPTS = Array.from({ length: 9 }, (_, i) => ({ prompt: 'Tom was happy '.repeat(1 + (i % 3)) }));

const on =
  (Made: unknown, trainDataset: readonly unknown[], args: Args, more: object = {}): Make =>
  (model, processingClass) =>
    new (Made as new (options: object) => Trainer)({
      model,
      args: { perDeviceTrainBatchSize: 8, maxSteps: 20, ...args },
      trainDataset,
      peftConfig: LORA,
      processingClass,
      ...more,
    });

const rewardFuncs = ({ completionIds }: { completionIds: readonly unknown[] }) =>
  completionIds.map((_, i) => i % 3);
const written = (Made: unknown, args: Args, more: object = {}) =>
  on(Made, PROMPTS, { maxCompletionLength: 24, maxSteps: 3, ...args }, { rewardFuncs, ...more });
const heldOut = { evalDataset: PROMPTS.slice(0, 2) };

const RUNS: Record<string, Make> = {
  dpo: on(DPOTrainer, PAIRS, {}),
  'dpo, more than an epoch': on(DPOTrainer, PAIRS, { maxSteps: 0, numTrainEpochs: 4 }),
  'dpo, one step': on(DPOTrainer, PAIRS, { maxSteps: 1 }),
  'dpo, micro-batches': on(DPOTrainer, PAIRS, { gradientAccumulationSteps: 4, perDeviceTrainBatchSize: 2 }),
  'dpo, large batches held out': on(
    DPOTrainer,
    PAIRS.slice(0, 40),
    // So large that scoring takes more memory than a step.
    { evalSteps: 5, perDeviceTrainBatchSize: 1, perDeviceEvalBatchSize: 24 },
    { evalDataset: PAIRS.slice(40) },
  ),
  'dpo, no activations kept': on(DPOTrainer, PAIRS, { gradientCheckpointing: true }),
  'dpo, a moving reference': on(DPOTrainer, PAIRS, {
    syncRefModel: true,
    refModelSyncSteps: 2,
    perDeviceTrainBatchSize: 2,
  }),
  sft: on(SFTTrainer, TEXTS, {}),
  kto: on(KTOTrainer, LABELLED, {}),
  'reward-model': on(RewardTrainer, PAIRS, {}),
  rloo: written(RLOOTrainer, { numGenerations: 4 }),
  'rloo, micro-batches and prompts held out': written(
    RLOOTrainer,
    { numGenerations: 4, perDeviceTrainBatchSize: 4, gradientAccumulationSteps: 2, numGenerationsEval: 16 },
    heldOut,
  ),
  'rloo, a reward model on the same base': (model, processingClass) => {
    const fresh = freshAdapter({ ...LORA, useRslora: false }, model.targets(LORA.targetModules), '', 1);
    const reward = { ...fresh, head: new Float32Array(model.config.hiddenSize) };
    // The completions differ here only because of the other function.
    const both = [RewardModel.on(model, reward, { tokenizer: processingClass }), rewardFuncs];
    return written(RLOOTrainer, { numGenerations: 4 }, { rewardFuncs: both })(model, processingClass);
  },
  'grpo, KL in the loss': written(GRPOTrainer, { numGenerations: 4, beta: 0.04 }),
  'grpo, no reference': written(GRPOTrainer, { numGenerations: 4 }),
  ppo: written(PPOTrainer, { maxSteps: 8 }),
  'ppo, groups': written(PPOTrainer, { maxSteps: 8, numGenerations: 4 }),
  'online-dpo': written(OnlineDPOTrainer, { perDeviceTrainBatchSize: 4 }),
  a2po: written(A2POTrainer, { numValueSamples: 4 }),
};

describe('train: the plan of a run', () => {
  let processingClass: Tokenizer;
  const files = () => openSource('demos/align/model');
  before(async () => {
    processingClass = await Tokenizer.fromFiles(await files());
  });

  /** What `webalign plan` prints, what the run plans, and what it then holds. */
  async function planAndRun(make: Make) {
    const gpu = await testGpu();
    const plan = await planMemory(gpu, await files(), (model) => make(model, processingClass));
    const counting = gpu.countingCopy();
    const model = await CausalLM.load(counting, await files());
    const trainer = make(model, processingClass);
    let planned = 0;
    for await (const event of trainer.train()) if (event.type === 'start') planned = event.plan.plannedBytes;
    trainer.dispose();
    model.dispose();
    return { plan, planned, counting, peak: counting.memory().peak };
  }

  for (const [name, make] of Object.entries(RUNS)) {
    it(`${name}: the plan matches the memory in use within ${100 * TOLERANCE}%`, async () => {
      const { plan, planned, peak, counting } = await planAndRun(make);
      expect(plan.plannedBytes).to.equal(planned);
      expect(planned / peak).to.be.within(1 - TOLERANCE, 1 + TOLERANCE);
      expect(Object.values(plan.parts).reduce((a, b) => a + b, 0)).to.equal(planned);
      // The work that follows on the device may use what it needs.
      expect(counting.pool.budget).to.equal(Number.POSITIVE_INFINITY);
    });
  }

  it('SmolLM2-135M in q4_0: RLOO of 8 × 8 completions of 64 + 128 tokens within 1.5 GB, and PPO within 1.3 times that', async () => {
    const gpu = await testGpu();
    const words = await fiveWords();
    const prompt = Array.from({ length: 64 }, (_, i) => 'abcde'[i % 5]).join(' ');
    const planned = async (Made: unknown, prompts: number, args: Args) => {
      const rows = Array.from({ length: prompts }, () => ({ prompt }));
      const more = { rewardFuncs, peftConfig: { r: 16, loraAlpha: 32 } };
      const make = on(Made, rows, { maxCompletionLength: 128, ...args }, more);
      const files = randomModel(MODELS['SmolLM2-135M'], 'SmolLM2-135M');
      const plan = await planMemory(gpu, files, (model) => make(model, words), { dtype: 'q4_0' });
      return plan.plannedBytes;
    };
    const group = { perDeviceTrainBatchSize: 8, gradientAccumulationSteps: 8, numGenerations: 8 };
    const rloo = await planned(RLOOTrainer, 8, group);
    // A group shares its prompt: 64 + 8 · 128 tokens. Completions of 8 prompts are 8 · (64 + 128), 1.41 times as many, more
    // than is saved because the roles share memory; 6 of those are about as many tokens as a group.
    const ofPpo = async (prompts: number, size: number, numGenerations = 1) => {
      const args = { perDeviceTrainBatchSize: size, gradientAccumulationSteps: 8, numGenerations };
      return (await planned(PPOTrainer, 8 * prompts, args)) / rloo;
    };
    const [byGroups, byTokens, byPrompts] = [await ofPpo(1, 8, 8), await ofPpo(6, 6), await ofPpo(8, 8)];
    const times = [byGroups, byTokens, byPrompts].map((ratio) => ratio.toFixed(3));
    console.log(
      `      RLOO ${(rloo / 1e9).toFixed(3)} GB, PPO ${times[0]} times that with as many groups, ${times[1]} with 6 prompts, ${times[2]} with 8`,
    );
    expect(rloo / 1e9).to.be.below(1.5);
    expect(byGroups).to.be.below(1.15);
    expect(byTokens).to.be.below(1.15);
    expect(byPrompts).to.be.within(1.3, 1.45);
  });
});
