/**
 * The frontier in words and tables: a page of Markdown for the documentation, and the same few lines for a terminal. All
 * that it says is computed from the results; the same results give the same bytes.
 */
import type { Estimate } from '../statistics.ts';
import { number, plusMinus } from '../study/figures.ts';
import type { BestPoint, Checks, CurvePoint, Frontier, MethodPoint } from './analysis.ts';
import { CONTENDER, ERRORS, FRONTIER_TRAINING, type FrontierTask, LEAST_EFFECTIVE } from './task.ts';

export interface PageData {
  frontier: Frontier;
  checks: Checks;
  task: FrontierTask;
  /** Steps of every method. */
  steps: number;
  /** What the results were made on. */
  adapters: readonly string[];
  /** The plot, relative to the page. */
  plot: string;
}

/** β of the optimum's table: whole octaves. */
const isShown = ({ beta }: CurvePoint) => Number.isInteger(Math.log2(beta));
const isPowerOfTwo = ({ n }: BestPoint) => Number.isInteger(Math.log2(n));

export function frontierPage(data: PageData): string {
  const { frontier, task, steps, adapters, plot } = data;
  const { curve, best, points } = frontier;
  const end = curve.at(-1) as CurvePoint;
  return `# The frontier: reward against KL

What does a method get for the distance it goes? Figure 2 of *Direct Preference Optimization* (Rafailov et al. 2023), on the
embedded model and the task of [\`webalign align\`](../README.md#try-it): glad stories, rated by AFINN-165. Every number here is made by
\`npm run frontier\`, which also holds them against the two checks below.

![${altText(frontier)}](${plot})

${verdict(data)
  .map((each) => `- ${each}`)
  .join('\n')}

## How to read it

To the right is KL(π ‖ π_ref), how far a policy has gone from the model it was, in nats a story; the axis is drawn by its root. Upwards is
E[r], the mean sentiment of its stories. Nothing is to be had for nothing: for a given KL there is a most that any policy can earn, and
[Theorem 1](theorem-1.md) says which policy earns it. The **solid line** is that policy π* ∝ π_ref e^(r/β), one point for each β, estimated
from ${task.referenceStories} stories of the untrained model for each opening. It ends at KL ${number(end.kl.mean)} (β = ${number(end.beta)}): beyond, those stories are worth fewer than
${LEAST_EFFECTIVE} stories of π* for an opening, and an estimate would be of the best few alone. The **dashed line** goes on as the tangent there, with
slope β. The optimum's reward is concave in KL, so that it lies below the tangent: the limit still holds, but is no longer sharp.

**Best of n** draws n stories and keeps the gladdest. It trains nothing, costs n times the work for every story, and is near the optimum
while n is small. Its KL is at most log n − (n − 1)/n (Beirami et al. 2024), where it is drawn; the reward is the unbiased mean over all
subsets of n.

**A method's point** is an adapter trained on the same pairs, in the same order, with the same steps and learning rate; the β of one
family is not that of another. Reward and KL are those of ${task.stories} stories for each of ${task.openings} openings that no method was trained on.

## Methods

| method | | reward | KL (k1) | k3 | most at this KL | room | over best-of-n at this KL | as good as best of |
|---|---|---:|---:|---:|---:|---:|---:|---:|
${points.map((point) => methodRow(point, best.length)).join('\n')}

± is one standard error, from the spread between openings. *Most at this KL* is the least of β KL + β log Z over the β of the curve, which
by Theorem 1 no policy exceeds${points.some(({ beyond }) => beyond) ? '; † where the KL is beyond the curve and the limit is its tangent' : ''}. *Room* is what is left up to it: β KL(π ‖ π\\*). k1 is the mean of log π − log π_ref over
the policy's own stories; k3 is Schulman's estimate that is never negative; far from the model
the rare large terms that make it unbiased are hardly ever drawn, and it falls short by up to one nat.

## Best of n

| n | KL at most | reward | room |
|---:|---:|---:|---:|
${best
  .filter(isPowerOfTwo)
  .map(({ n, kl, reward, room }) => `| ${n} | ${number(kl)} | ${plusMinus(reward)} | ${plusMinus(room)} |`)
  .join('\n')}

## The optimum

| β | KL(π\\* ‖ π_ref) | E_π\\*[r] | effective stories an opening |
|---:|---:|---:|---:|
${curve
  .filter(isShown)
  .map(
    ({ beta, kl, reward, effectiveSamples }) =>
      `| ${number(beta)} | ${plusMinus(kl)} | ${plusMinus(reward)} | ${effectiveSamples.toFixed(1)} |`,
  )
  .join('\n')}

## How it was made

${task.pairs} pairs ([\`demos/align/data\`](../demos/align/data/README.md)), ${steps} steps of ${FRONTIER_TRAINING.perDeviceTrainBatchSize} pairs (KTO: of their ${2 * FRONTIER_TRAINING.perDeviceTrainBatchSize} completions), learning rate
${FRONTIER_TRAINING.learningRate} with a warm-up over a tenth of the steps and then linear decay, LoRA of rank ${FRONTIER_TRAINING.r} on every linear layer, seed ${FRONTIER_TRAINING.seed}. Stories have at
most ${task.maxNewTokens} tokens, drawn at temperature 1 from the whole distribution; the KL is summed over their tokens and the one that ends them.
The learning rate was chosen once, on DPO, and no method was tuned beyond its β: another one or more data would move its point,
below the line in any case.

Ran on ${adapters.join('; ')}. Every sample is kept in [\`frontier/\`](frontier): with nothing changed, the command draws this page again
without training.
`;
}

/** The outcome of the checks, a sentence each. */
export function verdict({ frontier, checks }: Pick<PageData, 'frontier' | 'checks'>): string[] {
  const { points, best } = frontier;
  const { crossing, crossingBest, ahead } = checks;
  const nearest = points.reduce((a, b) => (inErrors(b.room) < inErrors(a.room) ? b : a));
  const above = [
    ...crossing.map((point) => `${nameOf(point)} by ${plusMinus({ ...point.room, mean: -point.room.mean })}`),
    ...crossingBest.map((n) => `the best of ${n}`),
  ];
  const bound =
    above.length === 0
      ? `**The bound holds.** No method and no best-of-n is above the optimum by more than ${ERRORS} standard errors; the nearest method, ${nameOf(nearest)}, is ${plusMinus(nearest.room)} below it.`
      : `**The bound does not hold.** Above the optimum by more than ${ERRORS} standard errors: ${above.join(', ')}.`;
  const most = best.at(-1) as BestPoint;
  const lead =
    ahead.length > 0
      ? `**${CONTENDER} is ahead of best-of-n** at the same KL: ${ahead.map((point) => `${nameOf(point)} by ${plusMinus(point.lead as Estimate)}`).join(', ')}.`
      : `**${CONTENDER} is nowhere ahead of best-of-n** at the same KL by more than ${ERRORS} standard errors, up to the ${number(most.kl)} nats of the best of ${most.n}.`;
  return [bound, lead, ...work(points, best)];
}

/** What the contender saves: it draws one story where best-of-n draws n. */
function work(points: readonly MethodPoint[], best: readonly BestPoint[]): string[] {
  const own = points.filter(({ family }) => family === CONTENDER);
  if (own.length === 0) return [];
  const top = own.reduce((a, b) => (b.reward.mean > a.reward.mean ? b : a));
  const same = best[(top.sameAsBestOf ?? best.length) - 1] as BestPoint;
  const drawn = top.sameAsBestOf === undefined ? `more than ${same.n}` : String(same.n);
  return [
    `For every story it draws one: ${nameOf(top)} earns ${plusMinus(top.reward)}, for which best-of-n draws ${drawn}, but it goes ${number(top.kl.mean)} nats and not ${number(same.kl)}.`,
  ];
}

/** One line a method, for a terminal. */
export function frontierLines({ points }: Frontier): string[] {
  return points.map((point) => {
    const { reward, kl, room, lead } = point;
    const ahead = lead ? `, over best-of-n ${plusMinus(lead)}` : '';
    return `${nameOf(point).padEnd(14)} reward ${plusMinus(reward)}  KL ${plusMinus(kl)}  room ${plusMinus(room)}${ahead}`;
  });
}

function methodRow(point: MethodPoint, most: number): string {
  const { family, label, reward, kl, k3, limit, beyond, room, lead, sameAsBestOf } = point;
  const cells = [
    family,
    label,
    plusMinus(reward),
    plusMinus(kl),
    plusMinus(k3),
    `${number(limit)}${beyond ? '†' : ''}`,
    plusMinus(room),
    lead ? plusMinus(lead) : `beyond n = ${most}`,
    sameAsBestOf === undefined ? `more than ${most}` : String(sameAsBestOf),
  ];
  return `| ${cells.join(' | ')} |`;
}

export function altText({ points, best, curve }: Frontier): string {
  const end = curve.at(-1) as CurvePoint;
  const start = best[0] as BestPoint;
  const listed = points.map(
    (point) => `${nameOf(point)} ${number(point.reward.mean)} at ${number(point.kl.mean)}`,
  );
  return (
    `Reward against KL. The optimum rises from ${number(start.reward.mean)} at KL 0 to ${number(end.reward.mean)} at ${number(end.kl.mean)} nats. ` +
    `Below it: ${listed.join(', ')}`
  );
}

function nameOf({ family, label }: MethodPoint): string {
  return `${family} ${label}`;
}

function inErrors({ mean, standardError }: Estimate): number {
  return mean / standardError;
}
