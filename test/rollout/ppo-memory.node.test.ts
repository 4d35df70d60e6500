/**
 * The memory of PPO's four roles compared with RLOO's two, on the embedded model: policy, reference, value model and a
 * reward model share one base, and use the memory of a step in turn.
 */
import { expect } from 'chai';
import { Tokenizer } from '../../src/data/tokenizer.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { CausalLM } from '../../src/model/causal-lm.ts';
import { freshAdapter } from '../../src/model/lora.ts';
import { openSource } from '../../src/node/sources.ts';
import { PPOTrainer } from '../../src/rollout/ppo-trainer.ts';
import { RLOOTrainer } from '../../src/rollout/rloo-trainer.ts';
import type { Trainer } from '../../src/train/trainer.ts';
import { freshGpu } from '../support/gpu.ts';

const MODULES = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'];
const LORA = { r: 16, loraAlpha: 32, targetModules: MODULES };
const MOST = 1.3;

const rewardFuncs = ({ completionIds }: { completionIds: readonly (readonly number[])[] }) =>
  completionIds.map((ids, i) => i + ids.length);

/** The trainers on equally many completions of equally many tokens; RLOO's share each prompt between four. */
async function trainers(gpu: Gpu, completions: number, maxCompletionLength: number) {
  const files = await openSource('demos/align/model');
  const processingClass = await Tokenizer.fromFiles(files);
  const common = { peftConfig: LORA, processingClass, rewardFuncs };
  const sizes = { perDeviceTrainBatchSize: completions, maxCompletionLength };
  const rows = (count: number) => Array.from({ length: count }, () => ({ prompt: 'Tom was happy' }));
  const rloo = async (): Promise<Trainer> =>
    new RLOOTrainer({
      ...common,
      model: await CausalLM.load(gpu, files),
      trainDataset: rows(completions / 4),
      args: { ...sizes, numGenerations: 4, maxSteps: 1 },
    }) as never;
  const ppo = async (): Promise<Trainer> => {
    const model = await CausalLM.load(gpu, files);
    const reward = freshAdapter({ ...LORA, useRslora: false }, model.targets(MODULES), 'reward', 1);
    model.attach(reward, { name: 'reward' }).enabled = false;
    const args = { ...sizes, maxSteps: 4 };
    return new PPOTrainer({ ...common, model, trainDataset: rows(completions), args }) as never;
  };
  return { rloo, ppo };
}

describe('rollout: the memory of PPO', () => {
  it(`is at most ${MOST} times that of RLOO`, async () => {
    const gpu = await freshGpu();
    const planned = async (name: 'rloo' | 'ppo') => {
      const all = await trainers(gpu.countingCopy(), 32, 40);
      return (await (await all[name]()).plan()).plannedBytes;
    };
    const [rloo, ppo] = [await planned('rloo'), await planned('ppo')];
    console.log(
      `      RLOO ${(rloo / 1e6).toFixed(1)} MB, PPO ${(ppo / 1e6).toFixed(1)} MB: ${(ppo / rloo).toFixed(3)}`,
    );
    expect(ppo / rloo).to.be.below(MOST);
    gpu.dispose();
  });
});
