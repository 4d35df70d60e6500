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

Read this page before you choose a method or its settings. All methods are meant to maximize objective (1), expected reward
minus β KL(π ‖ π_ref), but not all of them do. Here the optimal policy is known, and every method is trained until it
converges. \`npm run fixed-points\` computes every number.

| method | J on the tree | predicted | J on the bandit | predicted |
|---|---:|---:|---:|---:|
${rows.map(tableRow).join('\n')}
| **maximum over all policies, β log Z** | | **${number(optimumOf(TREE))}** | | **${number(optimumOf(BANDIT))}** |

J = E[r] − β KL(π ‖ π_ref). A method whose J is below β log Z has converged too, but to another policy: the fixed point of its
own gradient.

## What each method optimizes

${rows.map(({ method: { name, remark, predicted } }) => `- **${name}.** ${remark} (${predicted.how})`).join('\n')}

The table does not include PPO with k3 in the reward, because webalign rejects it: its expected gradient and that of the KL point in
opposite directions (their cosine on the tree is −0.55), so training diverges.

## The two problems

- **The tree.** ${described(TREE)}
- **The bandit.** ${described(BANDIT)}

Logits of π_ref and rewards are normally distributed ([\`problems.json\`](../src/studies/fixed-points/problems.json)); β is
${TREE.beta}.

## How the numbers are computed

The policy is a table of logits with a row for every prefix, initialized to π_ref. It is trained like a model: rows are gathered,
log-probabilities computed, the driver runs the method's loss, the tape computes gradients, and the optimizer takes
${TRAINING.steps} steps of Adam at a learning rate of ${TRAINING.learningRate}, which falls to 0 over the last ${TRAINING.falling}, without clipping or weight decay. Its β₂ is ${TRAINING.adamBeta2}:
with the usual 0.999, the large initial gradients make the steps small for a thousand steps, and methods whose last
differences are between rare completions have not converged after ${TRAINING.steps} (online DPO by 0.0013, as in float64: no bias).${otherwise(rows)} Nothing is
sampled. A step's batch contains
every completion, weighted by its probability under the current policy, with its expected advantage over all groups, so that
the gradient is the expected one. If a formula may treat advantages above and below zero differently, every completion occurs
twice, once with each. "G = 2" means groups of two, for which all pairs are listed. "Large groups" have the mean, deviation and
mean length of the policy itself.

Predictions are computed in float64, without the losses, from the equation in parentheses. ${closeness(rows)}

The study ran on ${[...new Set(rows.map(({ result }) => result.adapter))].join('; ')}. Figures are stored in [\`fixed-points/\`](fixed-points): if nothing
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
    adamBeta2 === undefined ? [] : [`${name} has ${adamBeta2}, because it does not converge otherwise`],
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
  return `At most ${longest} of ${vocabulary} tokens; token 0 ends a completion: ${completions.length} completions, ${prefixes.length} prefixes.`;
}

function number(value: number): string {
  return value.toFixed(4).replace('-', '−');
}
