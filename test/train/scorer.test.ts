/**
 * What a loss can be computed from: log-probabilities at a temperature, and numbers from a learned head, at the ends of
 * completions or at every target. Compared with the float64 decoder, and in the trainer, whose store contains the adapter
 * and the head.
 */
import { expect } from 'chai';
import { packExamples, type TokenizedExample } from '../../src/data/packing.ts';
import { memoryCheckpointStore } from '../../src/io/checkpoint.ts';
import { FAMILIES } from '../../src/losses/families.ts';
import { lossOf } from '../../src/losses/family.ts';
import { DeviceBatch } from '../../src/model/batch.ts';
import type { CausalLM } from '../../src/model/causal-lm.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { DPO_DEFAULTS } from '../../src/train/config.ts';
import { DatasetSource } from '../../src/train/dataset-source.ts';
import { LossEvaluation } from '../../src/train/evaluation.ts';
import { sequenceLogprobs } from '../../src/train/measures/sequence-logprobs.ts';
import { logprobs, type ScorerKind, scalars } from '../../src/train/scorer.ts';
import { Trainer } from '../../src/train/trainer.ts';
import { loadFixture, randomPairs } from '../model/tiny.ts';
import { expectClose, random, relativeL2 } from '../reference/compare.ts';
import { decoder, decoderLogits } from '../reference/decoder.ts';
import { tinyLlama } from '../reference/fixtures.ts';
import { COARSE_PASS } from '../support/coarse.ts';
import { testGpu } from '../support/gpu.ts';
import { LORA, trained } from './runs.ts';

const { config, weights } = tinyLlama;
const SETTINGS = { kept: 'float32', filterEps: 0 } as const;
const GROUPS: TokenizedExample[] = randomPairs(3, 5).map(({ prompt, chosen, rejected }) => ({
  prompt,
  completions: [chosen, rejected, [...rejected, ...chosen]],
}));

/** The scores of some examples, and with `upstream` the gradients of Σ upstream · score in all weights. */
async function scored(kind: ScorerKind, examples: readonly TokenizedExample[], upstream?: Float32Array) {
  const gpu = await testGpu();
  const model = await loadFixture(gpu, tinyLlama, upstream !== undefined);
  const head = headOf(model, kind);
  const scorer = kind.create(model, { get: () => head.tensor } as never);
  const packed = packExamples(examples, { rows: scorer.rows });
  const batch = new DeviceBatch(gpu, packed, model.trainedTables);
  const tape = upstream ? Tape.forTraining(gpu) : Tape.forInference(gpu);
  const { values } = scorer.score(tape, batch, SETTINGS);
  const read = gpu.recorder.read(values);
  if (upstream) values.grad = Tensor.from(gpu, upstream, [upstream.length], 'upstream');
  if (upstream) tape.backward();
  else tape.dispose();
  gpu.recorder.flush();
  const gradients = upstream ? await model.parameters!.read('gradients') : new Map<string, Float32Array>();
  const result = { values: new Float32Array(await read), packed, gradients, head: head.values };
  scorer.dispose();
  model.dispose();
  return result;
}

function headOf(model: CausalLM, kind: ScorerKind) {
  const [spec] = kind.parameters(model, 7);
  const values = spec?.values ?? new Float32Array(0);
  return { values, tensor: spec && Tensor.from(model.gpu, values, spec.shape, spec.name) };
}

describe('train/scorer', () => {
  for (const temperature of [0.5, 1, 1.7]) {
    it(`scores log-probabilities at temperature ${temperature}`, async () => {
      const { values, packed } = await scored(logprobs(temperature), GROUPS);
      const logits = decoderLogits({ config, weights }, packed);
      const vocabulary = config.vocabSize;
      const expected = Array.from(packed.rows, (row, r) => {
        const scaled = logits.subarray(row * vocabulary, (row + 1) * vocabulary).map((x) => x / temperature);
        const most = Math.max(...scaled);
        const sum = scaled.reduce((total, x) => total + Math.exp(x - most), 0);
        return scaled[packed.targets[r]] - most - Math.log(sum);
      });
      expectClose(values, expected, { absolute: 2e-5 + COARSE_PASS * 10, relative: COARSE_PASS });
    });
  }

  it('has the gradient of the temperature’s log-probabilities', async () => {
    const temperature = 1.7;
    const { packed } = await scored(logprobs(), GROUPS);
    const { normals } = random(3);
    const upstream = normals(packed.rows.length);
    const { gradients } = await scored(logprobs(temperature), GROUPS, Float32Array.from(upstream));
    // A head divided by the temperature gives the same log-probabilities; its own gradient is divided once more.
    const name = config.tieWordEmbeddings ? 'model.embed_tokens.weight' : 'lm_head.weight';
    expect(name).to.equal('lm_head.weight');
    const divided = new Map(weights).set(
      name,
      weights.get(name)!.map((w) => w / temperature),
    );
    const expected = decoder({ config, weights: divided }, packed).backward(upstream);
    for (const module of ['model.layers.0.self_attn.q_proj.weight', 'model.layers.1.mlp.down_proj.weight']) {
      expect(relativeL2(gradients.get(module)!, expected.weights.get(module)!), module).to.be.below(
        1e-4 + COARSE_PASS,
      );
    }
    const dhead = expected.weights.get(name)!.map((value) => value / temperature);
    expect(relativeL2(gradients.get(name)!, dhead)).to.be.below(1e-4 + COARSE_PASS);
  });

  for (const rows of ['ends', 'targets'] as const) {
    it(`scores learned numbers at ${rows}, with their gradients`, async () => {
      const kind = scalars(rows);
      // If ends are scored, a completion needs no token before it.
      const alone = { prompt: [], completions: [[5, 6, 7], [8]] };
      const groups = rows === 'ends' ? [...GROUPS, alone] : GROUPS;
      const { values, packed, head } = await scored(kind, groups);
      const { hidden, backwardHidden } = decoder({ config, weights }, packed);
      const width = config.hiddenSize;
      const score = (row: number) => head.reduce((sum, w, i) => sum + w * hidden[row * width + i], 0);
      expectClose(values, Array.from(packed.rows, score), {
        absolute: 1e-5 + COARSE_PASS,
        relative: COARSE_PASS,
      });

      const upstream = Float32Array.from(random(4).normals(packed.rows.length));
      const { gradients } = await scored(kind, groups, upstream);
      const dhidden = new Float64Array(hidden.length);
      packed.rows.forEach((row, r) => {
        for (let i = 0; i < width; i++)
          dhidden[row * width + i] = dhidden[row * width + i] + upstream[r] * head[i];
      });
      const expected = backwardHidden(dhidden);
      for (const module of ['model.embed_tokens.weight', 'model.layers.1.self_attn.v_proj.weight']) {
        expect(relativeL2(gradients.get(module)!, expected.weights.get(module)!), module).to.be.below(
          1e-4 + COARSE_PASS,
        );
      }
    });
  }

  it('trains a reward model: pairs, the loss of DPO on scores, one store for the adapter and the head', async () => {
    const gpu = await testGpu();
    const examples = randomPairs(8, 9).map(({ prompt, chosen, rejected }) => ({
      prompt,
      completions: [
        [...chosen, 3],
        [...rejected, 4],
      ],
    }));
    const settings = {
      ...DPO_DEFAULTS,
      beta: 1,
      learningRate: 1e-2,
      perDeviceTrainBatchSize: 4,
      maxSteps: 30,
      saveSteps: 1,
    };
    const loss = { ...lossOf(FAMILIES.dpo, { ...settings }), usesReference: false };
    const start =
      (checkpoint = memoryCheckpointStore()) =>
      (model: CausalLM) =>
        new Trainer(
          { model, peftConfig: LORA, checkpoint },
          {
            config: settings,
            source: new DatasetSource(examples, settings),
            evaluation: new LossEvaluation(examples, 4),
            notices: [],
            loss,
            scorer: scalars('ends'),
          },
        );
    const whole = await trained(gpu, start());
    const losses = whole.log.flatMap((entry) => (entry.type === 'step' ? [entry.metrics.loss] : []));
    expect(losses[0]).to.be.within(0.5, 0.9);
    expect(losses.at(-1)).to.be.below(0.1);
    const { metrics } = whole.log.at(-1)!;
    expect(metrics['eval_rewards/accuracies']).to.equal(1);
    expect(metrics).not.to.have.any.keys('eval_entropy', 'eval_log_ratio/chosen', 'eval_logits/chosen');

    const store = memoryCheckpointStore();
    await trained(gpu, start(store), 7);
    const resumed = await trained(gpu, start(store));
    expect(resumed.bytes).to.deep.equal(whole.bytes);
    expect(resumed.log).to.deep.equal(whole.log);
  });

  it('rejects a head without an adapter, and an invalid temperature', async () => {
    const model = await loadFixture(await testGpu(), tinyLlama, true);
    const [pair] = randomPairs(1, 2);
    const example = { prompt: pair.prompt, completions: [pair.chosen, pair.rejected] };
    const task = {
      config: DPO_DEFAULTS,
      source: new DatasetSource([example], DPO_DEFAULTS),
      evaluation: new LossEvaluation([], 4),
      notices: [],
      loss: lossOf(FAMILIES.dpo, { ...DPO_DEFAULTS }),
      scorer: scalars('ends'),
    };
    expect(() => new Trainer({ model, peftConfig: null }, task)).to.throw('needs an adapter');
    const refused = await sequenceLogprobs(model, [], { temperature: 0 }).catch((error: Error) => error);
    expect(String(refused)).to.include('temperature');
    model.dispose();
  });
});
