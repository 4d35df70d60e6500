/**
 * Reward models merged into their base, for every architecture: the same scores, and the configuration that transformers
 * expects.
 */
import { expect } from 'chai';
import { type Files, memoryFiles } from '../../src/io/files.ts';
import type { Adapter } from '../../src/io/peft.ts';
import { parseSafetensors } from '../../src/io/safetensors.ts';
import { ARCHITECTURES } from '../../src/model/architectures.ts';
import { CausalLM } from '../../src/model/causal-lm.ts';
import { describeModel } from '../../src/model/description.ts';
import { ggufAdapter } from '../../src/model/gguf-adapter.ts';
import { freshAdapter } from '../../src/model/lora.ts';
import { mergedModelFiles } from '../../src/model/merged-model.ts';
import { linearsOf } from '../../src/model/weight-shapes.ts';
import { RewardModel } from '../../src/train/measures/reward-model.ts';
import { expectRefused } from '../io/refused.ts';
import { expectClose, random } from '../reference/compare.ts';
import { decodeBytes, tinyLlama } from '../reference/fixtures.ts';
import { COARSE_PASS } from '../support/coarse.ts';
import { testGpu } from '../support/gpu.ts';
import { type ArchitectureFixture, FIXTURES } from './fixtures.ts';
import { filesOf } from './tiny.ts';

const { smollm2: _, ...MODELS } = FIXTURES;
const SEQUENCES = [[1, 5, 9, 7, 2], [4, 8, 2], [6]].map((completion) => ({ prompt: [], completion }));
const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

async function adapterFor(files: Files): Promise<Adapter> {
  const { config, architecture } = await describeModel(files);
  const { normals } = random(7);
  const lora = { r: 4, loraAlpha: 8, targetModules: ['all-linear'], useRslora: false };
  const adapter = freshAdapter(lora, linearsOf(architecture, config), 'base', 1);
  for (const { b } of adapter.weights.values()) b.set(normals(b.length, 0.1));
  return { ...adapter, head: Float32Array.from(normals(config.hiddenSize)) };
}

const configOf = async (files: Record<string, Uint8Array>) =>
  JSON.parse(new TextDecoder().decode(files['config.json'])) as Record<string, unknown>;

describe('merged-reward', function () {
  this.timeout(120_000);

  it('is tested with every architecture', () => {
    const types = Object.values(MODELS).map(({ config }) => config.model_type);
    expect(types.sort()).to.deep.equal(Object.keys(ARCHITECTURES).sort());
  });

  for (const { config, weights } of Object.values<ArchitectureFixture>(MODELS)) {
    const type = config.model_type;
    if (!ARCHITECTURES[type].classifier) {
      it(`${type}: is rejected, since transformers has no such model`, async () => {
        const files = { 'config.json': json(config), 'model.safetensors': decodeBytes(weights) };
        const base = memoryFiles(files, 'base');
        const parts = [{ adapter: await adapterFor(base), factor: 1 }];
        await expectRefused(() => mergedModelFiles(base, parts), 'base', type, 'sequence classification');
      });
      continue;
    }
    it(`${type}: scores like base and adapter`, async () => {
      const gpu = await testGpu();
      const base = memoryFiles(
        { 'config.json': json(config), 'model.safetensors': decodeBytes(weights) },
        'base',
      );
      const adapter = await adapterFor(base);
      const files = await mergedModelFiles(base, [{ adapter, factor: 1 }]);
      const { architectures, id2label, label2id } = await configOf(files);
      expect(architectures).to.deep.equal([ARCHITECTURES[type].classifier]);
      expect([id2label, label2id]).to.deep.equal([{ 0: 'LABEL_0' }, { LABEL_0: 0 }]);
      const { tensors } = parseSafetensors(files['model.safetensors'] as Uint8Array<ArrayBuffer>, 'merged');
      expect([...tensors.keys()])
        .to.include('score.weight')
        .and.not.include('lm_head.weight');

      const apart = await RewardModel.load(gpu, base, { adapter });
      const whole = await RewardModel.load(gpu, memoryFiles(files as never, 'merged'));
      const scores = await apart.scoreTokens(SEQUENCES);
      // Merging rounds each weight once.
      const close = { absolute: 1e-5 + COARSE_PASS * 10, relative: 1e-5 + COARSE_PASS };
      expectClose(await whole.scoreTokens(SEQUENCES), scores, close);
      apart.dispose();
      whole.dispose();
    });
  }

  it('has a pad token that no text ends with, unless another is skipped', async () => {
    const padOf = async (own: object, padTokenId?: number | null) => {
      const given = JSON.parse(new TextDecoder().decode(tinyLlama.files.get('config.json')));
      const base = filesOf(tinyLlama, { 'config.json': json({ ...given, eos_token_id: 2, ...own }) });
      const notices: string[] = [];
      const parts = [{ adapter: await adapterFor(base), factor: 1 }];
      const files = await mergedModelFiles(base, parts, (line) => notices.push(line), { padTokenId });
      return [(await configOf(files)).pad_token_id, notices.length];
    };
    expect(await padOf({ pad_token_id: 0 })).to.deep.equal([0, 0]);
    expect(await padOf({ pad_token_id: 2 })).to.deep.equal([2, 0]);
    expect(await padOf({ pad_token_id: 2 }, null)).to.deep.equal([null, 1]);
    expect(await padOf({ pad_token_id: 0 }, null)).to.deep.equal([0, 0]);
    expect(await padOf({ pad_token_id: 0 }, 2)).to.deep.equal([2, 0]);
    expect(await padOf({ pad_token_id: null })).to.deep.equal([null, 1]);
  });

  it('writes a float of the configuration as a float, as transformers requires', async () => {
    const given = new TextDecoder().decode(tinyLlama.files.get('config.json')).replace('{', '{"cap": 30.0, ');
    const base = filesOf(tinyLlama, { 'config.json': new TextEncoder().encode(given) });
    const files = await mergedModelFiles(base, [{ adapter: await adapterFor(base), factor: 1 }]);
    expect(new TextDecoder().decode(files['config.json'])).to.include('"cap": 30.0,');
  });

  it('is rejected for generation, with a partial weight, twice, and in GGUF', async () => {
    const gpu = await testGpu();
    const base = filesOf(tinyLlama);
    const adapter = await adapterFor(base);
    const files = await mergedModelFiles(base, [{ adapter, factor: 1 }]);
    await expectRefused(
      () => CausalLM.load(gpu, memoryFiles(files as never, 'merged')),
      'does not generate text',
    );
    const half = [{ adapter, factor: 0.5, name: 'half' }];
    await expectRefused(() => mergedModelFiles(base, half), 'half', 'full weight');
    const whole = { adapter, factor: 1, name: 'one' };
    await expectRefused(() => mergedModelFiles(base, [whole, whole]), 'one', 'alone');
    const description = await describeModel(base);
    await expectRefused(() => ggufAdapter(description, adapter, 'one'), 'one', 'merged');
  });
});
