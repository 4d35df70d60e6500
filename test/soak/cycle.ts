/**
 * A server's life in a separate process: load, train, generate, dispose, as many times as the first argument says. Prints a
 * line of JSON for each cycle: resident bytes, threads and open descriptors.
 */
import { readdirSync } from 'node:fs';
import { generate } from '../../src/model/generation.ts';
import { requestGpu } from '../../src/node.ts';
import { DPOTrainer } from '../../src/train/dpo-trainer.ts';
import { loadFixture, randomPairs } from '../model/tiny.ts';
import { collectGarbage } from '../support/host-memory.ts';

const pairs = randomPairs(8, 5);
for (let cycle = 0; cycle < Number(process.argv[2]); cycle++) {
  const gpu = await requestGpu();
  const model = await loadFixture(gpu);
  const args = { perDeviceTrainBatchSize: 4, maxSteps: 2, seed: cycle };
  const trainer = new DPOTrainer({ model, args, trainDataset: pairs });
  for await (const _ of trainer.train());
  await generate(model, [[1, 2, 3], [4]], { maxNewTokens: 6, seed: cycle, eosTokenIds: [] });
  trainer.dispose();
  model.dispose();
  gpu.dispose();
  await collectGarbage();
  const of = (folder: string) => readdirSync(folder).length;
  const bytes = process.memoryUsage.rss();
  console.log(JSON.stringify({ bytes, threads: of('/proc/self/task'), descriptors: of('/proc/self/fd') }));
}
process.exit();
