/**
 * The results as a page of Markdown and as lines for a terminal. Equal results give equal bytes.
 */
import type { MethodResult } from './collect.ts';
import type { Method } from './methods.ts';
import { BANDIT, optimumOf, type Problem, TREE } from './problem.ts';
import { TRAINING } from './train.ts';

export interface Row {
  method: Method;
  result: MethodResult;
}

/** Maximum distance of a converged method from its prediction. */
const CLOSE = 1e-3;

export function fixedPointsPage(rows: readonly Row[]): string {
  return `# Where each method converges

Read this page before you choose a method or its settings. All of them are said to maximize objective (1), expected reward
minus β KL(π ‖ π_ref), and not all of them do. Here the best policy is known, so every method can be followed to the policy
where it stops. Every number is made by \`npm run fixed-points\`.

| method | J on the tree | predicted | J on the bandit | predicted |
|---|---:|---:|---:|---:|
${rows.map(tableRow).join('\n')}
| **most that any policy reaches, β log Z** | | **${number(optimumOf(TREE))}** | | **${number(optimumOf(BANDIT))}** |

J = E[r] − β KL(π ‖ π_ref). A method whose J is below β log Z has not failed to converge: it has converged to another policy,
the one that its own gradient asks for.

## What each follows

${rows.map(({ method: { name, remark, predicted } }) => `- **${name}.** ${remark} (${predicted.how})`).join('\n')}

PPO with k3 in the reward is not in the table, because it is refused: its expected gradient and that of the KL point in opposite
directions (their cosine on the tree is −0.55), so that training diverges.

## The two problems

- **The tree.** ${described(TREE)}
- **The bandit.** ${described(BANDIT)}

Logits of π_ref and rewards are normally distributed and stand in [\`problems.json\`](../src/studies/fixed-points/problems.json); β is
${TREE.beta}.

## How it was made

The policy is a table of logits, a row for every prefix, which begins as π_ref. It is trained as a model is: rows are gathered,
log-probabilities taken, the method's loss run by its driver, gradients by the tape, and the optimizer makes
${TRAINING.steps} steps of Adam at a learning rate of ${TRAINING.learningRate}, which falls to 0 over the last ${TRAINING.falling}, without clipping or weight decay. Its β₂ is ${TRAINING.adamBeta2}:
with the usual 0.999 the large gradients of the beginning make the steps small for a thousand steps, and methods whose last
differences are between rare completions are still on their way after ${TRAINING.steps} (online DPO by 0.0013, as in float64: no bias).${otherwise(rows)} Nothing is
sampled. A step's batch is
every completion, weighed by its probability under the policy as it stands, with its expected advantage over all groups, so that
the gradient is the expected one. Where a formula may treat advantages above and below zero differently, every completion stands
twice, once with each. "G = 2" are groups of two, of which all pairs are listed; "large groups" have the mean, deviation and
mean length of the policy itself.

Predictions are computed in float64, without the losses, from the equation in parentheses. ${closeness(rows)}

Ran on ${[...new Set(rows.map(({ result }) => result.adapter))].join('; ')}. Figures are kept in [\`fixed-points/\`](fixed-points): with nothing
changed, the command writes this page again without training.
`;
}

/** One line per method, for a terminal. */
export function fixedPointLines(rows: readonly Row[]): string[] {
  const width = Math.max(...rows.map(({ method }) => method.name.length));
  return rows.map(
    ({ method, result: { tree } }) =>
      `${method.name.padEnd(width)}  J ${number(tree.objective)}  predicted ${number(tree.predicted)}`,
  );
}

/** Methods that are not at their prediction, on either problem. */
export function strayed(rows: readonly Row[]): Row[] {
  return rows.filter(({ result: { tree, bandit } }) => {
    return [tree, bandit].some(({ objective, predicted }) => !(Math.abs(objective - predicted) <= CLOSE));
  });
}

/** Methods with their own β₂. */
function otherwise(rows: readonly Row[]): string {
  const own = rows.flatMap(({ method: { name, adamBeta2 } }) =>
    adamBeta2 === undefined ? [] : [`${name} has ${adamBeta2}, since it does not come to rest otherwise`],
  );
  return own.length > 0 ? ` ${own.join('; ')}.` : '';
}

function closeness(rows: readonly Row[]): string {
  const off = strayed(rows);
  if (off.length > 0) return `Not at their prediction: ${off.map(({ method }) => method.name).join(', ')}.`;
  return `Every method is within ${CLOSE} of its prediction.`;
}

function tableRow({ method, result: { tree, bandit } }: Row): string {
  const cells = [tree, bandit].flatMap(({ objective, predicted }) => [number(objective), number(predicted)]);
  return `| ${method.name} | ${cells.join(' | ')} |`;
}

function described({ vocabulary, completions, prefixes }: Problem): string {
  const longest = Math.max(...completions.map(({ tokens }) => tokens.length));
  if (longest === 1) return `${completions.length} answers of one token each.`;
  return `${vocabulary} tokens, of which token 0 ends a completion, and at most ${longest} of them: ${completions.length} completions, ${prefixes.length} prefixes.`;
}

function number(value: number): string {
  return value.toFixed(4).replace('-', '−');
}
