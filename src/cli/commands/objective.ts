/**
 * `webalign objective`: an objective's losses and derivatives on given log-probabilities.
 */
import { InputError } from '../../io/errors.ts';
import { isObject, type Json, kindOf, parseJson } from '../../io/json.ts';
import { evaluateObjective } from '../../train/evaluate-objective.ts';
import type { ObjectiveCase } from '../../train/objective-case.ts';
import { command } from '../command.ts';
import { adapterJson, readText, withGpu } from '../open.ts';

export const objective = command({
  name: 'objective',
  summary: 'losses and derivatives of an objective on numbers',
  description:
    'Runs an objective on log-probabilities, summed over completions, with the kernels that train. The input is a case,\n' +
    'or a list of cases: {"objective": "ipo", "options": {"beta": 0.1}, "pairs": [{"policyChosen": -10,\n' +
    '"policyRejected": -12, "referenceChosen": -11, "referenceRejected": -11, "chosenTokens": 5,\n' +
    '"rejectedTokens": 6}]}. "objective" is a family (dpo, cpo, orpo, kto, sft) with "lossType" among its options, or\n' +
    'an objective itself. kto and sft take "examples": [{"policy", "reference", "tokens", "desirable"}], kto with "kl".\n' +
    'Derivatives are of the sum of the losses, not of their mean.',
  example: 'objective --input cases.json --json',
  options: ['input'],
  required: ['input'],
  defaults: {},
  async run({ settings: { input, ...settings }, terminal }) {
    const parsed = parseJson(await readText(input), input);
    const cases = (Array.isArray(parsed) ? parsed : [parsed]).map((value, index) => ({
      where: Array.isArray(parsed) ? `${input}, case ${index + 1}` : input,
      value,
    }));
    if (cases.length === 0) throw new InputError(input, 'holds no cases', 'Put a case there, or several');
    return withGpu(terminal, settings, async (gpu) => {
      const results = [];
      for (const { value, where } of cases) {
        const { notices, ...values } = await evaluateObjective(gpu, caseOf(value, where), where);
        for (const notice of notices) terminal.info(`${where}: ${notice}.`);
        for (const [row, loss] of values.loss.entries()) {
          const slopes = [values.dPolicyChosen, values.dPolicyRejected, values.dPolicy];
          const own = slopes.flatMap((side) => side?.[row]?.toPrecision(6) ?? []);
          terminal.print(`${row + 1}: loss ${loss.toPrecision(6)}, derivative ${own.join(' ')}`);
        }
        terminal.print(`mean loss ${values.meanLoss.toPrecision(6)}`);
        results.push(values);
      }
      const adapter = adapterJson(gpu.adapter);
      return { json: Array.isArray(parsed) ? { results, adapter } : { ...results[0], adapter } };
    });
  },
});

/** Its parts are checked where they are used. */
function caseOf(value: Json, where: string): ObjectiveCase {
  if (isObject(value)) return value as unknown as ObjectiveCase;
  throw new InputError(where, `holds ${kindOf(value)}, not a case`, 'Give an object with "objective"');
}
