/**
 * `webalign loss` on tokens: the loss of a batch of completions and its derivatives against float64, and what is refused.
 */
import { expect } from 'chai';
import { LOSSES } from '../../src/losses/catalogue.ts';
import { expectClose } from '../reference/compare.ts';
import { type PolicyOptions, policyLoss } from '../reference/policy-losses.ts';
import { Workshop } from './workshop.ts';

interface Token {
  logp: number;
  oldLogp?: number;
  referenceLogp?: number;
  advantage: number;
  sequence: number | string;
}

/** Two completions, whose tokens are interleaved. */
const TOKENS: Token[] = [
  { sequence: 'a', logp: -1.1, oldLogp: -1.25, advantage: 0.5 },
  { sequence: 'b', logp: -0.4, oldLogp: -0.9, advantage: -1.5 },
  { sequence: 'a', logp: -2, oldLogp: -1.93, advantage: 0.5 },
  { sequence: 'b', logp: -3, oldLogp: -3.2, advantage: -1.5 },
  { sequence: 'a', logp: -0.7, oldLogp: -0.82, advantage: 0.5 },
];
const WITH_REFERENCE = TOKENS.map((token, i) => ({ ...token, referenceLogp: token.logp + 0.1 * (i - 1) }));

const sequences = ['a', 'b'];
const of = (sequence: string, tokens = TOKENS) => tokens.filter((token) => token.sequence === sequence);
const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);

describe('webalign loss: tokens', () => {
  let workshop: Workshop;
  before(async () => {
    workshop = await Workshop.open();
  });
  after(() => workshop.close());

  const run = async (input: unknown) =>
    workshop.run(['loss', '--input', await workshop.write('cases.json', JSON.stringify(input))]);

  it('rloo: ratios of whole completions, clipped', async () => {
    const { code, json, stderr } = await run({
      objective: 'rloo',
      options: { epsilon: 0.3 },
      tokens: TOKENS,
    });
    expect(code, stderr).to.equal(0);
    const each = sequences.map((sequence) => {
      const all = of(sequence);
      const ratio = Math.exp(sum(all.map(({ logp, oldLogp = 0 }) => logp - oldLogp)));
      const advantage = all[0].advantage;
      const bound = Math.min(1.3, Math.max(0.7, ratio)) * advantage;
      const isClipped = ratio * advantage > bound;
      return { loss: -Math.min(ratio * advantage, bound), slope: isClipped ? 0 : -ratio * advantage };
    });
    expectClose([json.loss as number], [sum(each.map(({ loss }) => loss)) / 2], { relative: 1e-6 });
    const slopes = TOKENS.map(({ sequence }) => each[sequences.indexOf(String(sequence))].slope / 2);
    expectClose(json.dLogp as number[], slopes, { relative: 1e-6 });
    expect(json.metrics).to.include.keys('loss', 'clip_ratio/high_mean');
  });

  it('a2po: the implicit reward of whole completions against their advantage', async () => {
    const beta = 0.4;
    const { code, json, stderr } = await run({ loss: 'a2po', options: { beta }, tokens: WITH_REFERENCE });
    expect(code, stderr).to.equal(0);
    const residuals = sequences.map((sequence) => {
      const all = of(sequence, WITH_REFERENCE);
      return beta * sum(all.map(({ logp, referenceLogp = 0 }) => logp - referenceLogp)) - all[0].advantage;
    });
    expectClose([json.loss as number], [sum(residuals.map((each) => each ** 2)) / 2], { relative: 1e-5 });
    const slopes = TOKENS.map(
      ({ sequence }) => (2 * beta * residuals[sequences.indexOf(String(sequence))]) / 2,
    );
    expectClose(json.dLogp as number[], slopes, { relative: 1e-5 });
    expect((json.metrics as Record<string, number>).advantage).to.be.closeTo(-0.5, 1e-6);
    // Columns that it does not read are allowed.
    expect(stderr).to.not.include('referenceLogp');
  });

  /** The divisor of the sum over a completion, for these lengths. */
  const DIVISORS: Record<string, (length: number) => number> = {
    rloo: () => 1,
    grpo: (length) => length,
    bnpo: () => 2.5,
    dr_grpo: () => 16,
    dapo: () => 2.5,
    luspo: () => 1,
    cispo: () => 2.5,
    sapo: (length) => length,
    vespo: () => 2.5,
    gmpo: (length) => length,
  };
  /** `grpo` without more is the family of losses, whose default is another loss. */
  const OWN: Record<string, object> = { dr_grpo: { maxCompletionLength: 16 }, grpo: { lossType: 'grpo' } };
  const CASES: [options: Record<string, unknown>, reference: Partial<PolicyOptions>][] = [
    [{}, {}],
    [
      { epsilon: 0.05, epsilonHigh: 0.1 },
      { epsilon: 0.05, epsilonHigh: 0.1 },
    ],
    [
      { beta: 0.2, useBiasCorrectionKl: false },
      { beta: 0.2, corrected: false },
    ],
    [
      { beta: 0.2, importanceSamplingLevel: 'sequence', delta: 1.2 },
      { beta: 0.2, sequence: true, delta: 1.2 },
    ],
  ];
  it('every loss of the catalogue on tokens, by its own name and in its family, against float64', async () => {
    // PPO's columns have their own tests.
    const others = Object.values(LOSSES).filter(
      ({ unit, name }) => unit === 'token' && !name.startsWith('ppo'),
    );
    expect([...Object.keys(DIVISORS), 'a2po']).to.have.members(others.map(({ name }) => name));
    const cases = Object.entries(DIVISORS).flatMap(([name, divisor]) =>
      CASES.flatMap(([given, reference]) => {
        const known = LOSSES[name].options;
        if (Object.keys(given).some((option) => !(option in known)) || (name === 'rloo' && given.beta))
          return [];
        const options = { ...given, ...OWN[name] };
        const tokens = given.beta ? WITH_REFERENCE : TOKENS;
        const results = sequences.map((sequence) => {
          const all = of(sequence, tokens);
          const column = (field: keyof Token) => Float64Array.from(all, (token) => Number(token[field] ?? 0));
          const values = { logp: column('logp'), old: column('oldLogp'), reference: column('referenceLogp') };
          return { all, ...policyLoss(name, { ...values, advantage: column('advantage') }, reference) };
        });
        const loss = sum(results.map(({ loss: each, all }) => each / divisor(all.length))) / 2;
        const dLogp = tokens.map((token) => {
          const { all, slopes } = results[sequences.indexOf(String(token.sequence))];
          // RLOO's and GMPO's slopes are those of the sum, as all others are.
          return slopes[all.indexOf(token)] / divisor(all.length) / 2;
        });
        return [{ name, loss, dLogp, input: { loss: name, options, tokens } }];
      }),
    );
    expect(cases.length).to.be.above(25);
    const { code, json, stderr } = await run(cases.map(({ input }) => input));
    expect(code, stderr).to.equal(0);
    const found = json.results as { loss: number; dLogp: number[] }[];
    for (const [i, { name, loss, dLogp, input }] of cases.entries()) {
      const what = `${name} ${JSON.stringify(input.options)}`;
      // Numbers near 1, in float32; slopes of the reference are finite differences.
      expect(found[i].loss, what).to.be.closeTo(loss, 2e-6);
      for (const [t, slope] of dLogp.entries()) expect(found[i].dLogp[t], what).to.be.closeTo(slope, 2e-6);
    }
    const inFamily = {
      loss: 'grpo',
      options: { lossType: 'dr_grpo', maxCompletionLength: 16 },
      tokens: TOKENS,
    };
    const alone = cases.find(({ name }) => name === 'dr_grpo')!;
    expect((await run(inFamily)).json.loss).to.be.closeTo(alone.loss, 2e-6);
  });

  it('gives advantages, in a list of cases too', async () => {
    const asked = { advantages: { rewards: [[0, 1, 2, 5]], numGenerations: 2, scaleRewards: 'none' } };
    const { code, json } = await run(asked);
    expect(code).to.equal(0);
    expect(json.advantages).to.deep.equal([-0.5, 0.5, -1.5, 1.5]);
    const list = await run([{ loss: 'rloo', tokens: TOKENS }, asked]);
    expect((list.json.results as object[])[1]).to.deep.equal({ advantages: [-0.5, 0.5, -1.5, 1.5] });
    const wrong = await run([{ advantages: { ...asked.advantages, numGenerations: 3 } }]);
    expect(wrong.error.message).to.include('case 1, advantages').and.include('numGenerations is 3');
    const both = await run({ ...asked, loss: 'rloo' });
    expect(both.error.message).to.include('has "loss" together with "advantages"');
  });

  it('reports that a reference is not used', async () => {
    const { stderr } = await run([{ loss: 'rloo', tokens: WITH_REFERENCE }]);
    expect(stderr).to.include('case 1: referenceLogp is not used by rloo');
  });

  const [first, ...others] = TOKENS as [Token, ...Token[]];
  const { advantage: _, ...without } = first;
  const REFUSED: [what: string, input: unknown, message: string][] = [
    ['no tokens', { loss: 'rloo', tokens: [] }, 'rloo needs tokens, but there are no tokens'],
    ['no object', { loss: 'rloo', tokens: [1] }, 'tokens 1: is 1'],
    ['no advantage', { loss: 'rloo', tokens: [...others, without] }, 'tokens 5: has no advantage'],
    ['no reference', { loss: 'a2po', tokens: TOKENS }, 'tokens 1: has no referenceLogp'],
    [
      'a name that is no field',
      { loss: 'rloo', tokens: [{ ...first, oldLogps: 1 }] },
      '"oldLogps" is not a field',
    ],
    [
      'two advantages of a completion',
      { loss: 'rloo', tokens: [first, { ...others[1], advantage: 2 }] },
      'tokens 2: advantage is 2, but 0.5 at tokens 1',
    ],
    ['text', { loss: 'rloo', tokens: [{ ...first, logp: '1' }] }, 'tokens 1: logp is "1"'],
    [
      'an old log-probability above 0',
      { loss: 'rloo', tokens: [{ ...first, oldLogp: 0.7 }] },
      'oldLogp is 0.7',
    ],
    ['a list as sequence', { loss: 'rloo', tokens: [{ ...first, sequence: [] }] }, 'Give a number or a name'],
    ['pairs beside', { loss: 'rloo', tokens: TOKENS, pairs: [] }, 'but there are pairs'],
    [
      'an unknown option',
      { loss: 'rloo', options: { gamma: 1 }, tokens: TOKENS },
      'rloo has no option "gamma"',
    ],
    ['an option out of range', { loss: 'rloo', options: { epsilon: -1 }, tokens: TOKENS }, 'epsilon is -1'],
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
