/**
 * A whole training run in float64 compared with TRL's in float32: the same pairs, the same initial adapter, the same
 * settings. The step below is a short version of what DPOTrainer does with accumulation, clipping and the schedule; every
 * logged number of every step must agree, and so must the adapter at the end.
 */
import { expect } from 'chai';
import { packPairs, type TokenizedPair } from '../../src/data/packing.ts';
import { adamW, adamWState } from './adamw.ts';
import { accumulate, dot, mean, segmentSums } from './arrays.ts';
import { expectClose } from './compare.ts';
import { decoder } from './decoder.ts';
import { dpoTrajectory, type TrajectorySteps, tinyLlama } from './fixtures.ts';
import { clipGradients } from './grad-norm.ts';
import type { LoraAdapter } from './linear.ts';
import { dpo } from './losses.ts';

type Settings = typeof dpoTrajectory.settings;
type Metrics = Record<string, number>;

/** Metrics of one micro-batch and the gradient of its mean loss, A and B in the adapters' order. */
function microBatch(pairs: readonly TokenizedPair[], adapters: Map<string, LoraAdapter>, beta: number) {
  const batch = packPairs(pairs);
  const policy = decoder({ ...tinyLlama, adapters }, batch);
  const reference = decoder(tinyLlama, batch);
  const side = (parity: number, values: Float64Array) =>
    segmentSums(values, batch.sequenceOffsets).filter((_, s) => s % 2 === parity);
  const result = dpo(
    {
      policyChosen: side(0, policy.logprob),
      policyRejected: side(1, policy.logprob),
      referenceChosen: side(0, reference.logprob),
      referenceRejected: side(1, reference.logprob),
    },
    { beta },
  );
  const upstream = new Float64Array(batch.targets.length);
  const isChosen = new Float64Array(batch.targets.length);
  for (let s = 0; s < 2 * pairs.length; s++) {
    const slope = (s % 2 === 0 ? result.dchosen : result.drejected)[s >> 1] / pairs.length;
    upstream.fill(slope, batch.sequenceOffsets[s], batch.sequenceOffsets[s + 1]);
    isChosen.fill(1 - (s % 2), batch.sequenceOffsets[s], batch.sequenceOffsets[s + 1]);
  }
  const chosenTokens = isChosen.reduce((sum, x) => sum + x);
  const rejectedTokens = isChosen.length - chosenTokens;
  const metrics: Metrics = {
    loss: result.loss,
    ...result.metrics,
    'logits/chosen': dot(policy.meanLogit, isChosen) / chosenTokens,
    'logits/rejected':
      dot(
        policy.meanLogit,
        isChosen.map((x) => 1 - x),
      ) / rejectedTokens,
    entropy: mean(policy.entropy),
    meanTokenAccuracy: dot(policy.top1, isChosen) / chosenTokens,
  };
  const { adapters: gradients } = policy.backward(upstream);
  const ordered = [...adapters.keys()].flatMap((module) => {
    const { a, b } = gradients.get(module) ?? { a: new Float64Array(), b: new Float64Array() };
    return [a, b];
  });
  return { metrics, gradients: ordered };
}

/** transformers' linear and cosine schedules: the factor for optimizer step k, counted from 0. */
function scheduleFactor(k: number, { lr_scheduler_type, warmup_steps, max_steps }: Settings): number {
  if (k < warmup_steps) return k / Math.max(1, warmup_steps);
  const progress = (k - warmup_steps) / Math.max(1, max_steps - warmup_steps);
  return lr_scheduler_type === 'linear'
    ? Math.max(0, 1 - progress)
    : 0.5 * (1 + Math.cos(Math.PI * progress));
}

/** Trains from `initial`; returns the log and the final adapters. */
function train(pairs: readonly TokenizedPair[], initial: Map<string, LoraAdapter>, settings: Settings) {
  const { per_device_train_batch_size: size, gradient_accumulation_steps: accumulation } = settings;
  const modules = [...initial.keys()];
  let states = [...initial.values()].flatMap(({ a, b }) => [adamWState(a), adamWState(b)]);
  const current = () =>
    new Map(
      modules.map((module, i) => {
        const { rank = 0, scale = 0 } = initial.get(module) ?? {};
        return [module, { a: states[2 * i].parameter, b: states[2 * i + 1].parameter, rank, scale }];
      }),
    );
  const log: Metrics[] = [];
  let numTokens = 0;
  let position = 0;
  for (let k = 0; k < settings.max_steps; k++) {
    // An epoch's last step has fewer micro-batches, its last micro-batch fewer pairs.
    const micro: ReturnType<typeof microBatch>[] = [];
    while (micro.length < accumulation && position < pairs.length) {
      const rows = pairs.slice(position, position + size);
      position += rows.length;
      micro.push(microBatch(rows, current(), settings.beta));
      for (const { prompt, chosen, rejected } of rows)
        numTokens += 2 * prompt.length + chosen.length + rejected.length;
    }
    if (position >= pairs.length) position = 0;
    const gradients = states.map(({ parameter }) => new Float64Array(parameter.length));
    for (const { gradients: each } of micro) {
      gradients.forEach((sum, i) => {
        accumulate(
          sum,
          each[i].map((g) => g / micro.length),
        );
      });
    }
    const clipped = clipGradients(gradients, settings.max_grad_norm);
    const learningRate = settings.learning_rate * scheduleFactor(k, settings);
    const options = { step: k + 1, learningRate, weightDecay: settings.weight_decay };
    states = states.map((state, i) => adamW(state, clipped.gradients[i], options));
    const names = Object.keys(micro[0].metrics);
    const averaged = names.map((name) => [name, mean(micro.map(({ metrics }) => metrics[name]))]);
    log.push({ ...Object.fromEntries(averaged), gradNorm: clipped.norm, learningRate, numTokens });
  }
  return { log, adapters: current() };
}

/** TRL computes in float32; after 50 steps its numbers are within these of the exact ones. (Its own bound on a loss: 1e-4.) */
const TOLERANCE = { absolute: 2e-6, relative: 1e-6 };

function expectSameRun(
  run: ReturnType<typeof train>,
  steps: Omit<TrajectorySteps, 'epoch'> & { epoch?: number[] },
  final: Map<string, LoraAdapter>,
): void {
  const { epoch: _, ...columns } = steps;
  for (const [name, expected] of Object.entries(columns)) {
    expectClose(
      run.log.map((entry) => entry[name]),
      expected,
      { ...TOLERANCE, label: name },
    );
  }
  expect([...run.adapters.keys()]).to.have.members([...final.keys()]);
  for (const [module, { a, b }] of final) {
    expectClose(run.adapters.get(module)?.a ?? [], a, { l2: 1e-5, label: `${module} A` });
    expectClose(run.adapters.get(module)?.b ?? [], b, { l2: 1e-5, label: `${module} B` });
  }
}

describe("reference: TRL's training run", function () {
  this.timeout(120_000);

  it('50 steps, linear schedule with warm-up', () => {
    const run = train(dpoTrajectory.pairs, dpoTrajectory.initial(), dpoTrajectory.settings);
    expect(run.log[0].loss).to.equal(Math.LN2);
    expect(run.log[0]['rewards/margins']).to.equal(0);
    expectSameRun(run, dpoTrajectory.steps, dpoTrajectory.final());
  });

  it('6 steps over uneven epochs, with clipping, weight decay and the cosine schedule', () => {
    const { pairs, settings, steps, final } = dpoTrajectory.uneven;
    const run = train(dpoTrajectory.pairs.slice(0, pairs), dpoTrajectory.initial(), settings);
    expect(run.log.some(({ gradNorm }) => gradNorm > settings.max_grad_norm)).to.equal(true);
    expectSameRun(run, steps, final());
  });
});
