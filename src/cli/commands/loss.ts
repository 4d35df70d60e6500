/**
 * `webalign loss`: values and derivatives of a loss on given log-probabilities.
 */
import { isOwn } from '../../base/lookup.ts';
import { InputError, quote } from '../../io/errors.ts';
import { isObject, type Json, type JsonObject, kindOf, parseJson } from '../../io/json.ts';
import { type AdvantageCase, advantagesOfCase } from '../../rollout/advantage-case.ts';
import { evaluateLoss, type LossValues, type TokenLossValues } from '../../train/loss-cases/evaluate-loss.ts';
import type { LossCase } from '../../train/loss-cases/loss-case.ts';
import type { TokenLossCase } from '../../train/loss-cases/token-case.ts';
import { command } from '../command.ts';
import { adapterJson, readText, withGpu } from '../open.ts';

export const loss = command({
  name: 'loss',
  aliases: ['objective'],
  summary: 'values and derivatives of a loss on numbers',
  description:
    'Runs a loss on log-probabilities, summed over completions, with the training kernels. The input is a case,\n' +
    'or a list of cases: {"loss": "ipo", "options": {"beta": 0.1}, "pairs": [{"policyChosen": -10,\n' +
    '"policyRejected": -12, "referenceChosen": -11, "referenceRejected": -11, "chosenTokens": 5,\n' +
    '"rejectedTokens": 6}]}. "loss" is a family (dpo, cpo, orpo, kto, sft) with "lossType" in its options, or\n' +
    'the name of a loss. kto and sft take "examples": [{"policy", "reference", "tokens", "desirable"}], kto with "kl".\n' +
    'Derivatives are of the sum of the losses, not of their mean. Losses on sampled tokens (rloo, grpo, a2po) take\n' +
    '"tokens": [{"logp", "oldLogp", "referenceLogp", "advantage", "sequence"}] and give the loss of that\n' +
    'batch. {"advantages": {"rewards": [[1, 0, 2, 2]], "numGenerations": 2, "scaleRewards": "group"}} gives advantages.',
  example: 'loss --input cases.json --json',
  options: ['input'],
  required: ['input'],
  defaults: {},
  async run({ settings: { input, ...settings }, terminal }) {
    const parsed = parseJson(await readText(input), input);
    const cases = (Array.isArray(parsed) ? parsed : [parsed]).map((value, index) => ({
      where: Array.isArray(parsed) ? `${input}, case ${index + 1}` : input,
      value,
    }));
    if (cases.length === 0)
      throw new InputError(input, 'contains no cases', 'Write one or several cases into it');
    return withGpu(terminal, settings, async (gpu) => {
      const results = [];
      for (const { value, where } of cases) {
        if (isObject(value) && isOwn(value, 'advantages')) {
          const advantages = advantagesIn(value, where);
          terminal.print(`advantages ${advantages.map((each) => each.toPrecision(6)).join(' ')}`);
          results.push({ advantages });
          continue;
        }
        const { notices, ...values } = await evaluateLoss(gpu, caseOf(value, where), where);
        for (const notice of notices) terminal.info(`${where}: ${notice}.`);
        for (const line of 'dLogp' in values ? tokenLines(values) : rowLines(values)) terminal.print(line);
        results.push(values);
      }
      const adapter = adapterJson(gpu.adapter);
      return { json: Array.isArray(parsed) ? { results, adapter } : { ...results[0], adapter } };
    });
  },
});

/** One line for each pair or completion, and their mean. */
function rowLines(values: Omit<LossValues, 'notices'>): string[] {
  const sides = [values.dPolicyChosen, values.dPolicyRejected, values.dPolicy];
  const lines = values.loss.map((loss, row) => {
    const slopes = sides.flatMap((side) => side?.[row]?.toPrecision(6) ?? []);
    return `${row + 1}: loss ${loss.toPrecision(6)}, derivative ${slopes.join(' ')}`;
  });
  return [...lines, `mean loss ${values.meanLoss.toPrecision(6)}`];
}

/** One line for each token, and the loss of the batch. */
function tokenLines({ loss, dLogp }: Omit<TokenLossValues, 'notices'>): string[] {
  return [
    ...dLogp.map((slope, i) => `${i + 1}: derivative ${slope.toPrecision(6)}`),
    `loss ${loss.toPrecision(6)}`,
  ];
}

/** The result of a case with only advantages. */
function advantagesIn({ advantages, ...others }: JsonObject, where: string): number[] {
  const other = Object.keys(others)[0];
  if (other !== undefined)
    throw new InputError(where, `has ${quote(other)} together with "advantages"`, 'Split it into two cases');
  const at = `${where}, advantages`;
  if (!isObject(advantages))
    throw new InputError(
      at,
      `must be an object, got ${kindOf(advantages)}`,
      'Give an object with "rewards" and "numGenerations"',
    );
  return advantagesOfCase(advantages as unknown as AdvantageCase, at);
}

/** Its parts are checked by the code that uses them. */
function caseOf(value: Json, where: string): LossCase | TokenLossCase {
  if (isObject(value)) return value as unknown as LossCase;
  throw new InputError(where, `expected a case, got ${kindOf(value)}`, 'Give an object with "loss"');
}
