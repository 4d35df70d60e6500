/**
 * `webalign loss`: its input, its output, and what is refused with which message.
 */
import { expect } from 'chai';
import { expectClose } from '../reference/compare.ts';
import { Workshop } from './workshop.ts';

const PAIR = { policyChosen: -10, policyRejected: -12, referenceChosen: -11, referenceRejected: -11 };
const BARE = { policyChosen: -10, policyRejected: -12 };
const TOKENS = { chosenTokens: 5, rejectedTokens: 4 };
const EXAMPLE = { policy: -10, reference: -11, desirable: true };

describe('webalign loss', () => {
  let workshop: Workshop;
  before(async () => {
    workshop = await Workshop.open();
  });
  after(() => workshop.close());

  const run = async (input: unknown) =>
    workshop.run(['loss', '--input', await workshop.write('cases.json', JSON.stringify(input))]);

  it('accepts the former names of the command and of the field, but not both at once', async () => {
    const former = { objective: 'dpo', pairs: [PAIR] };
    const path = await workshop.write('former.json', JSON.stringify(former));
    const { code, json } = await workshop.run(['objective', '--input', path]);
    expect(code).to.equal(0);
    expect(json.loss).to.deep.equal((await run({ loss: 'dpo', pairs: [PAIR] })).json.loss);
    const both = await run({ ...former, loss: 'ipo' });
    expect(both.code).to.equal(1);
    expect(both.stderr).to.include('has both "loss" and "objective"');
  });

  it('answers a case with losses, their derivatives and metrics', async () => {
    const { code, json } = await run({ loss: 'dpo', options: { beta: 0.5 }, pairs: [PAIR, PAIR] });
    expect(code).to.equal(0);
    // z = 0.5 · (1 − (−1)) = 1
    const [loss, slope] = [Math.log1p(Math.exp(-1)), -0.5 / (1 + Math.E)];
    expectClose(json.loss as number[], [loss, loss], { relative: 1e-6 });
    expectClose([json.meanLoss as number], [loss], { relative: 1e-6 });
    expectClose(json.dPolicyChosen as number[], [slope, slope], { relative: 1e-6 });
    expectClose(json.dPolicyRejected as number[], [-slope, -slope], { relative: 1e-6 });
    expect(json.metrics).to.include({ 'rewards/margins': 1, 'rewards/accuracies': 1, 'logps/chosen': -10 });
  });

  it('answers a case for a reward model, with a margin and centering', async () => {
    const pairs = [{ policyChosen: 1.5, policyRejected: 0.5, margin: 0.25 }];
    const { code, json } = await run({ loss: 'reward', options: { centerRewardsCoefficient: 0.01 }, pairs });
    expect(code).to.equal(0);
    const slope = -1 / (1 + Math.exp(0.75));
    expectClose(json.loss as number[], [Math.log1p(Math.exp(-0.75)) + 0.04], { relative: 1e-6 });
    expectClose(json.dPolicyChosen as number[], [slope + 0.04], { relative: 1e-6 });
    expectClose(json.dPolicyRejected as number[], [0.04 - slope], { relative: 1e-6 });
    expect(json.metrics).to.include({
      accuracy: 1,
      margin: 1,
      min_reward: 0.5,
      mean_reward: 1,
      max_reward: 1.5,
    });
    const bad = await run({ loss: 'bradley_terry', pairs: [{ ...pairs[0], margin: 'much' }] });
    expect(bad.stderr).to.include('pairs 1').and.include('margin is "much"');
  });

  it('answers a list of cases in its order, each loss by its family or its own name', async () => {
    const cases = [
      { loss: 'ipo', options: { beta: 0.5, ipoTokenMean: 0 }, pairs: [PAIR] },
      { loss: 'dpo', options: { lossType: 'hinge', beta: 0.25 }, pairs: [PAIR] },
      { loss: 'simpo', options: { beta: 2, simpoGamma: 0 }, pairs: [{ ...BARE, ...TOKENS }] },
      { loss: 'orpo', pairs: [{ ...BARE, ...TOKENS }] },
      {
        loss: 'kto',
        options: { beta: 1 },
        examples: [EXAMPLE, { ...EXAMPLE, desirable: false }],
        kl: 1,
      },
      { loss: 'sft', examples: [{ policy: -6, tokens: 4 }] },
    ];
    const { code, json, stderr } = await run(cases);
    expect(code).to.equal(0);
    const results = json.results as { loss: number[]; dPolicy: number[] }[];
    const losses = results.map(({ loss }) => loss[0]);
    // (2 − 1)²; 1 − 0.5; −log σ(2 (−2 + 3)); see below; 1 − σ(1 − 1); 6 / 4
    const odds = -2 + 3 - (Math.log1p(-Math.exp(-2)) - Math.log1p(-Math.exp(-3)));
    const expected = [1, 0.5, Math.log1p(Math.exp(-2)), 2 + 0.1 * Math.log1p(Math.exp(-odds)), 0.5, 1.5];
    expectClose(losses, expected, { relative: 2e-6 });
    expectClose(results[4].dPolicy, [-0.25, 0.25], { relative: 1e-6 });
    expect(stderr).not.to.include('counts as 0');
  });

  it('reports inputs that are not used, and missing ones that count as 0', async () => {
    const { stderr } = await run([
      { loss: 'hinge', options: { labelSmoothing: 0.1 }, pairs: [PAIR] },
      { loss: 'kto', examples: [EXAMPLE] },
    ]);
    expect(stderr).to.include('case 1: labelSmoothing is not used by hinge');
    expect(stderr).to.include('case 2: kto has a KL baseline, and kl is missing: it counts as 0');
  });

  const REFUSED: [what: string, input: unknown, message: string][] = [
    ['pairs for tokens', { loss: 'rloo', pairs: [PAIR] }, 'rloo needs tokens, but there are pairs'],
    [
      'tokens for pairs',
      { loss: 'dpo', tokens: [{ logp: -1 }] },
      'sigmoid needs pairs, but there are tokens',
    ],
    ['an unknown loss', { loss: 'dqo' }, 'unknown loss "dqo". Supported losses: dpo, cpo,'],
    ['no loss', [{ pairs: [PAIR] }], 'case 1: unknown loss undefined'],
    ['something else', [3], 'case 1: expected a case, got a number'],
    ['an empty list', [], 'contains no cases'],
    ['no pairs', { loss: 'dpo', pairs: [] }, 'sigmoid needs pairs, but there are no pairs'],
    ['examples for pairs', { loss: 'dpo', examples: [EXAMPLE] }, 'but there are examples'],
    ['no reference', { loss: 'dpo', pairs: [PAIR, BARE] }, 'pairs 2: has no referenceChosen'],
    ['no tokens', { loss: 'orpo', pairs: [BARE] }, 'pairs 1: has no chosenTokens'],
    ['half a token', { loss: 'dpo', pairs: [{ ...PAIR, chosenTokens: 0.5 }] }, 'chosenTokens is 0.5'],
    ['text', { loss: 'dpo', pairs: [{ ...PAIR, policyChosen: '1' }] }, 'policyChosen is "1"'],
    ['a large number', { loss: 'dpo', pairs: [{ ...PAIR, policyChosen: -1e39 }] }, 'Give a number'],
    ['no label', { loss: 'kto', examples: [{ policy: 1, reference: 1 }] }, 'Give true or false'],
    ['a KL that is text', { loss: 'kto', examples: [EXAMPLE], kl: 'x' }, 'kl is "x"'],
    ['an unknown option', { loss: 'dpo', options: { gamma: 1 } }, 'dpo has no option "gamma"'],
    ['an option that is text', { loss: 'dpo', options: { beta: '1' } }, 'beta is "1". Give a number'],
    ['an unknown loss type', { loss: 'cpo', options: { lossType: 'aot' } }, 'unknown loss "aot"'],
    ['two losses', { loss: 'ipo', options: { lossType: 'aot' } }, 'lossType is "aot"'],
    ['an additional term', { loss: 'simpo', options: { cpoAlpha: 1 } }, 'Set loss to cpo'],
    ['too few weights', { loss: 'dpo', options: { lossWeights: [1, 2] } }, 'lossWeights has 2 entries'],
    ['LD-DPO', { loss: 'dpo', options: { ldAlpha: 0.5 } }, 'ldAlpha weights tokens by their position'],
    ['TR-DPO', { loss: 'dpo', options: { syncRefModel: true } }, 'syncRefModel moves the reference'],
    ['WPO', { loss: 'dpo', options: { useWeighting: true } }, 'useWeighting weights pairs by'],
    ['exo_pair without ε', { loss: 'exo_pair', pairs: [PAIR] }, 'labelSmoothing is 0, but must be from'],
    ['robust at 1/2', { loss: 'robust', options: { labelSmoothing: 0.5 } }, '1 − 2 labelSmoothing'],
    ['an unsupported divergence', { loss: 'aot', options: { fDivergence: 'js' } }, 'requires the reverse KL'],
    ['an unknown divergence', { loss: 'dpo', options: { fDivergence: 'tv' } }, 'unknown divergence "tv"'],
  ];
  for (const [what, input, message] of REFUSED) {
    it(`refuses ${what}`, async () => {
      const { code, error } = await run(input);
      expect(error.message).to.include('cases.json').and.to.include(message);
      expect(error.name).to.equal('InputError');
      expect(code).to.equal(1);
    });
  }
});
