/**
 * Bradley–Terry on language: stories of the embedded model, each pair of which is labeled randomly, the happier one chosen
 * with probability σ(Δ/τ). The truth is known, so a reward model can be compared with the best possible result for such
 * labels: loss, accuracy, calibration, and its ranking of stories.
 */
import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { Tokenizer } from '../../src/data/tokenizer.ts';
import { CausalLM } from '../../src/model/causal-lm.ts';
import { openSource } from '../../src/node/sources.ts';
import { sentiment } from '../../src/rollout/sentiment.ts';
import { RewardModel } from '../../src/train/measures/reward-model.ts';
import { RewardTrainer } from '../../src/train/reward-trainer.ts';
import { random } from '../reference/compare.ts';
import { testGpu } from '../support/gpu.ts';

/** For the differences in sentiment, whose mean is 7.6, a label is wrong in a quarter of the pairs. */
const TAU = 6;
const TRAINED = 320;
const BINS = 10;

interface Pair {
  prompt: string;
  chosen: string;
  rejected: string;
}

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
const pairsOf = async (file: string) =>
  (await readFile(`demos/align/data/${file}`, 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Pair);

/** Random labels, and the probability of each. */
function labelled(pairs: readonly Pair[], seed: number) {
  const { uniform } = random(seed);
  return pairs.map(({ prompt, chosen, rejected }) => {
    const difference = (sentiment(chosen) - sentiment(rejected)) / TAU;
    const isRight = uniform() < sigmoid(difference);
    const [first, second] = isRight ? [chosen, rejected] : [rejected, chosen];
    return { prompt, chosen: first, rejected: second, logit: isRight ? difference : -difference };
  });
}

/** Ranks, where equal values get the mean of theirs. */
function ranks(values: readonly number[]): number[] {
  return values.map((value) => {
    const below = values.filter((other) => other < value).length;
    return below + values.filter((other) => other === value).length / 2;
  });
}

function correlation(a: readonly number[], b: readonly number[]): number {
  const [x, y] = [a, b].map((values) => values.map((value) => value - mean(values))) as [number[], number[]];
  const dot = (p: readonly number[], q: readonly number[]) => mean(p.map((v, i) => v * q[i]));
  return dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y));
}

/** Expected calibration error of the predicted probabilities that the chosen side is chosen; both sides of a pair are counted. */
function calibrationError(logits: readonly number[]): number {
  const asked = logits.flatMap((logit) => [
    { p: sigmoid(logit), isTrue: 1 },
    { p: sigmoid(-logit), isTrue: 0 },
  ]);
  const bins = Array.from({ length: BINS }, (_, bin) =>
    asked.filter(({ p }) => Math.min(BINS - 1, Math.floor(BINS * p)) === bin),
  );
  return bins.reduce((sum, bin) => {
    if (bin.length === 0) return sum;
    const apart = Math.abs(mean(bin.map(({ p }) => p)) - mean(bin.map(({ isTrue }) => isTrue)));
    return sum + (bin.length / asked.length) * apart;
  }, 0);
}

describe('truth: a reward model of stories', function () {
  this.timeout(300_000);

  it('is close to the best possible with random labels', async () => {
    const gpu = await testGpu();
    const files = await openSource('demos/align/model');
    const model = await CausalLM.load(gpu, files);
    const tokenizer = await Tokenizer.fromFiles(files);
    const trainer = new RewardTrainer({
      model,
      processingClass: tokenizer,
      peftConfig: { r: 16, loraAlpha: 32 },
      args: {
        learningRate: 2e-3,
        perDeviceTrainBatchSize: 16,
        numTrainEpochs: 1,
        warmupRatio: 0.1,
        seed: 42,
      },
      trainDataset: labelled((await pairsOf('train.jsonl')).slice(0, TRAINED), 1),
    });
    for await (const _ of trainer.train());
    const learned = RewardModel.on(model, trainer.adapter!, { tokenizer });
    const held = labelled(await pairsOf('eval.jsonl'), 2);
    const texts = held.flatMap(({ prompt, chosen, rejected }) => [
      { prompt, completion: chosen },
      { prompt, completion: rejected },
    ]);
    const scores = await learned.score(texts);
    const logits = held.map((_, i) => scores[2 * i] - scores[2 * i + 1]);
    const loss = (values: readonly number[]) => mean(values.map((value) => Math.log1p(Math.exp(-value))));
    const oracle = held.map(({ logit }) => logit);
    const accuracy = (values: readonly number[]) => mean(values.map((value) => (value > 0 ? 1 : 0)));
    const bayes = mean(oracle.map((logit) => sigmoid(Math.abs(logit))));
    const found = {
      loss: loss(logits),
      oracle: loss(oracle),
      accuracy: accuracy(logits),
      bayes,
      oracleAccuracy: accuracy(oracle),
      calibration: calibrationError(logits),
      order: correlation(ranks(scores), ranks(texts.map(({ completion }) => sentiment(completion)))),
    };
    console.log(
      `      ${Object.entries(found)
        .map(([name, value]) => `${name} ${value.toFixed(3)}`)
        .join(', ')}`,
    );
    // A coin has a loss of log 2 and an accuracy of a half; on these labels only luck can be better than the truth.
    expect(found.loss).to.be.within(found.oracle - 0.03, (found.oracle + Math.LN2) / 2 + 0.03);
    expect(found.accuracy).to.be.above(0.5 + (bayes - 0.5) / 2);
    expect(found.calibration).to.be.below(0.15);
    expect(found.order).to.be.above(0.4);
    // A score belongs to a story, whatever else is in the batch.
    const [alone] = await learned.score(texts.slice(5, 6));
    expect(scores[5]).to.be.closeTo(alone, 1e-4);
    learned.dispose();
    trainer.dispose();
    model.dispose();
  });
});
