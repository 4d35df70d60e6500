/**
 * The frontier as a page of Markdown for the documentation, and as a few lines for a terminal. All statements are computed
 * from the results; equal results give equal bytes.
 */
import { LEAST_EFFECTIVE_SAMPLES } from 'webalign/theory';
import type { Estimate } from '../../cli/statistics.ts';
import { number, plusMinus } from '../shared/figures.ts';
import type { BestPoint, Checks, CurvePoint, Frontier, MethodPoint } from './analysis.ts';
import { optimumAt } from './price.ts';
import { CONTENDER, ERRORS, FRONTIER_TRAINING, type FrontierTask, PRICE, STORIES_PER_PAIR } from './task.ts';

export interface PageData {
  frontier: Frontier;
  checks: Checks;
  task: FrontierTask;
  /** The adapters that produced the results. */
  adapters: readonly string[];
  /** The plot, relative to the page. */
  plot: string;
}

/** β of the optimum's table: powers of two. */
const isShown = ({ beta }: CurvePoint) => Number.isInteger(Math.log2(beta));
const isPowerOfTwo = ({ n }: BestPoint) => Number.isInteger(Math.log2(n));

export function frontierPage(data: PageData): string {
  const { frontier, task, adapters, plot } = data;
  const { best, points } = frontier;
  return `# The frontier: reward against KL

How much reward does each method gain per nat of KL? This page repeats figure 2 of *Direct Preference Optimization* (Rafailov et al. 2023)
with the embedded model and the task of [\`webalign align\`](command-line.md#try-the-embedded-example): happier stories, rated by AFINN-165. \`npm run frontier\`
computes every number.

![${altText(frontier)}](${plot})

${verdict(data)
  .map((each) => `- ${each}`)
  .join('\n')}

## Read the plot

${reading(data)}

## Methods

| method | | reward | KL (k1) | k3 | maximum at this KL | gap | lead over best-of-n at this KL | as good as best of |
|---|---|---:|---:|---:|---:|---:|---:|---:|
${points.map((point) => methodRow(point, best.length)).join('\n')}

± is one standard error, from the spread between openings. *Maximum at this KL* is the minimum of β KL + β log Z over the β of the curve;
by Theorem 1 no policy exceeds it${points.some(({ beyond }) => beyond) ? '. † marks a KL beyond the curve, where the limit is the tangent' : ''}. *Gap* is the distance to it, β KL(π ‖ π\\*). k1 is the mean of log π − log π_ref over
the policy's own stories. k3 is Schulman's estimate, which is never negative. It is up to one nat too small far from the reference, because
samples hardly ever contain the rare large terms that make it unbiased.

${priceSection(data)}

## Best of n

| n | maximum KL | reward | gap |
|---:|---:|---:|---:|
${best
  .filter(isPowerOfTwo)
  .map(({ n, kl, reward, room }) => `| ${n} | ${number(kl)} | ${plusMinus(reward)} | ${plusMinus(room)} |`)
  .join('\n')}

For large n the estimated gap is too small: limit and reward depend on the same few best stories of each opening.

${optimumSection(data)}

## Settings and reproduction

The methods on pairs train on ${task.pairs} pairs ([\`demos/align/data\`](../demos/align/data/README.md)) in steps of ${FRONTIER_TRAINING.perDeviceTrainBatchSize} pairs (KTO: of their ${2 * FRONTIER_TRAINING.perDeviceTrainBatchSize} completions), with a learning
rate of ${FRONTIER_TRAINING.learningRate}, a warm-up over a tenth of the steps and then linear decay. RLOO learns from the rewards of its own stories for the openings
of these pairs, with a learning rate of 2e-3${shortRuns(data)}. All train a LoRA of rank ${FRONTIER_TRAINING.r} on every linear layer, with seed ${FRONTIER_TRAINING.seed}. Stories have at
most ${task.maxNewTokens} tokens, sampled at temperature 1 from the full distribution; the KL is the sum over their tokens, including the end token.
The learning rate of the methods on pairs was chosen once, for DPO, and only β was varied.

To measure a separate long run, use \`npm run frontier -- --adapter FOLDER\` with the folder that \`webalign rloo\` wrote.

The study ran on ${adapters.join('; ')}. Every sample is stored in [\`frontier/\`](frontier): if nothing changed, the command writes this page again
without training.
`;
}

/** Points that are not at their method's convergence. */
function shortRuns({ frontier: { points }, task }: PageData): string {
  const short = task.entries.filter(({ method, isGiven }) => method === 'rloo' && !isGiven);
  const drawn = points.filter(({ id }) => short.some((entry) => entry.id === id));
  if (drawn.length === 0) return '';
  return `; ${drawn.map(nameOf).join(' and ')} ${drawn.length > 1 ? 'are short runs, which stop' : 'is a short run, which stops'} long before converging`;
}

function reading({ frontier, task }: PageData): string {
  const { curve } = frontier;
  const end = curve.at(-1)!;
  return `The horizontal axis is KL(π ‖ π_ref), the distance of a policy from the original model in nats per story, on a square-root scale. The
vertical axis is E[r], the mean sentiment of its stories. For each KL there is a maximum reward, which the optimal policy of
[Theorem 1](theorem-1.md) reaches. The **solid line** is that policy π* ∝ π_ref e^(r/β), with one point for each β, estimated
from ${storiesOf(task)} stories of the untrained model for each opening and corrected for their number (below). The **thin line** is the estimate without
the correction. The curve ends at KL ${number(end.kl.mean)} (β = ${number(end.beta)}), where those stories have fewer than
${LEAST_EFFECTIVE_SAMPLES} effective samples of π* per opening. From there the **dashed line** continues as the tangent, with
slope β. The optimum's reward is concave in KL, so it is below the tangent: the tangent is a valid but loose limit.

**Best of n** generates n stories and keeps the happiest. It needs no training and n times the work for every story. The plot shows it at the
upper bound of its KL, log n − (n − 1)/n (Beirami et al. 2024); its reward is the unbiased mean over all subsets of n.

**A method's point** is an adapter. Its reward and KL are those of its stories for ${task.openings} held-out openings, ${task.stories} for each
opening${task.entries.some(({ stories }) => stories) ? `, ${Math.max(...task.entries.map(({ stories = 0 }) => stories))} for a long run` : ''}. Values of β are not comparable between families.`;
}

const storiesOf = ({ referenceStories, referenceSets }: FrontierTask) => referenceStories * referenceSets;

/** An estimate of the remaining bias, from the results themselves. */
function optimumSection({ frontier, task }: PageData): string {
  const { curve } = frontier;
  return `## The optimum, and the bias of few samples

| β | KL(π\\* ‖ π_ref) | plain | last rise | E_π\\*[r] | plain | last rise | effective stories per opening |
|---:|---:|---:|---:|---:|---:|---:|---:|
${curve
  .filter(isShown)
  .map(({ beta, kl, reward, plain, rise, effectiveSamples }) => {
    const cells = [
      number(beta),
      plusMinus(kl),
      number(plain.kl.mean),
      plusMinus(rise.kl),
      plusMinus(reward),
      number(plain.reward.mean),
      plusMinus(rise.reward),
      effectiveSamples.toFixed(1),
    ];
    return `| ${cells.join(' | ')} |`;
  })
  .join('\n')}

The optimum is estimated from stories of the untrained model, each weighted by e^(r/β). If β is small, a few stories have all
the weight, and the best stories of π* are not among them. The plain figures are then too low, which no standard error shows.
The jackknife within each opening corrects the part of the bias that falls as 1/n. *Last rise* is the increase of the corrected figures
from half of the ${storiesOf(task)} stories to all of them. The remaining bias may be as large: at small β the corrected
line is still a lower estimate, and the band shows only its sampling error. The limit for methods uses β log Z, which
converges faster than E_π*[r] and KL do. If it is too low, the check is stricter than necessary.`;
}

function priceSection({ frontier }: PageData): string {
  const { curve, points } = frontier;
  const at = curve.find(({ beta }) => beta === PRICE);
  const optimum = at
    ? `Estimated from the untrained model's stories, J* = β log Z is ${plusMinus(optimumAt(at))}.`
    : 'The curve does not reach this β, so J* is not known here.';
  const certified = points.flatMap((point) => {
    const { certificate } = point.priced;
    return certificate ? [{ point, certificate }] : [];
  });
  const own = certified.map(
    ({ point, certificate: { optimum: plain, corrected, effectiveSamples, isLowerBound } }) =>
      `From the stories of ${nameOf(point)} itself it is ${isLowerBound ? 'at least ' : ''}${plusMinus(corrected.optimum)} (plain ${plusMinus(plain)}, ${effectiveSamples.toFixed(1)} effective stories per opening), so its gap is ${isLowerBound ? 'at least ' : ''}${plusMinus(corrected.gap)}.`,
  );
  return `## Compared at one β: ${PRICE}

| method | | J = E[r] − ${PRICE} KL | J\\* − J | generated training stories | steps | seconds |
|---|---|---:|---:|---:|---:|---:|
${points
  .map(({ family, label, priced: { objective, gap }, effort: { stories, steps, seconds } }) => {
    const cells = [
      family,
      label,
      plusMinus(objective),
      gap ? plusMinus(gap) : '',
      stories.toLocaleString('en'),
      steps,
      seconds ?? '',
    ];
    return `| ${cells.join(' | ')} |`;
  })
  .join('\n')}

${[optimum, ...own].join(' ')} Generated training stories are those of the policy itself, or those from which the pairs were chosen (${number(STORIES_PER_PAIR)}
per pair). Seconds include generation, on the machine below, where they were measured; other work may have run at the same time.`;
}

/** The outcome of the checks, one sentence each. */
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
      ? `**${CONTENDER} is ahead of best-of-n** at the same KL: ${ahead.map((point) => `${nameOf(point)} by ${plusMinus(point.lead!)}`).join(', ')}.`
      : `**${CONTENDER} is not ahead of best-of-n** at the same KL by more than ${ERRORS} standard errors, up to ${number(most.kl)} nats (best of ${most.n}).`;
  return [bound, lead, ...work(points, best)];
}

/** How much sampling the contender saves: it generates one story where best-of-n generates n. */
function work(points: readonly MethodPoint[], best: readonly BestPoint[]): string[] {
  const own = points.filter(({ family }) => family === CONTENDER);
  if (own.length === 0) return [];
  const top = own.reduce((a, b) => (b.reward.mean > a.reward.mean ? b : a));
  const same = best[(top.sameAsBestOf ?? best.length) - 1];
  const drawn = top.sameAsBestOf === undefined ? `more than ${same.n}` : String(same.n);
  return [
    `It generates one story where best-of-n generates n: ${nameOf(top)} reaches ${plusMinus(top.reward)}, for which best-of-n generates ${drawn}, but at a KL of ${number(top.kl.mean)} nats instead of ${number(same.kl)}.`,
  ];
}

/** One line per method, for a terminal. */
export function frontierLines({ points }: Frontier): string[] {
  return points.map((point) => {
    const { reward, kl, room, lead } = point;
    const ahead = lead ? `, over best-of-n ${plusMinus(lead)}` : '';
    return `${nameOf(point).padEnd(14)} reward ${plusMinus(reward)}  KL ${plusMinus(kl)}  gap ${plusMinus(room)}${ahead}`;
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
  const end = curve.at(-1)!;
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
