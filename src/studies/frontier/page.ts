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

How much reward does each method gain for a nat of KL? This is figure 2 of *Direct Preference Optimization* (Rafailov et al. 2023), for
the embedded model and the task of [\`webalign align\`](command-line.md#try-the-embedded-example): happier stories, rated by AFINN-165. \`npm run frontier\` makes
every number here.

![${altText(frontier)}](${plot})

${verdict(data)
  .map((each) => `- ${each}`)
  .join('\n')}

## How to read it

${reading(data)}

## Methods

| method | | reward | KL (k1) | k3 | most at this KL | room | over best-of-n at this KL | as good as best of |
|---|---|---:|---:|---:|---:|---:|---:|---:|
${points.map((point) => methodRow(point, best.length)).join('\n')}

± is one standard error, from the spread between openings. *Most at this KL* is the least of β KL + β log Z over the β of the curve, which
by Theorem 1 no policy exceeds${points.some(({ beyond }) => beyond) ? '; † where the KL is beyond the curve and the limit is its tangent' : ''}. *Room* is the distance to it: β KL(π ‖ π\\*). k1 is the mean of log π − log π_ref over
the policy's own stories; k3 is Schulman's estimate that is never negative. Far from the model the rare large terms that make k3 unbiased
are hardly ever drawn, and it falls short by up to one nat.

${priceSection(data)}

## Best of n

| n | KL at most | reward | room |
|---:|---:|---:|---:|
${best
  .filter(isPowerOfTwo)
  .map(({ n, kl, reward, room }) => `| ${n} | ${number(kl)} | ${plusMinus(reward)} | ${plusMinus(room)} |`)
  .join('\n')}

For large n the room is too small: limit and reward are estimated from the same few best stories of each opening.

${optimumSection(data)}

## How it was made

The pairs' methods learn from ${task.pairs} pairs ([\`demos/align/data\`](../demos/align/data/README.md)) in steps of ${FRONTIER_TRAINING.perDeviceTrainBatchSize} pairs (KTO: of their ${2 * FRONTIER_TRAINING.perDeviceTrainBatchSize} completions), with a learning
rate of ${FRONTIER_TRAINING.learningRate}, a warm-up over a tenth of the steps and then linear decay. RLOO learns from the rewards of its own stories for the openings
of these pairs, with a learning rate of 2e-3${shortRuns(data)}. All train a LoRA of rank ${FRONTIER_TRAINING.r} on every linear layer, with seed ${FRONTIER_TRAINING.seed}. Stories have at
most ${task.maxNewTokens} tokens, drawn at temperature 1 from the whole distribution; the KL is summed over their tokens and the one that ends them.
The learning rate of the pairs' methods was chosen once, on DPO, and no method was tuned beyond its β.

A long run that was made apart is measured by \`npm run frontier -- --adapter FOLDER\`, where FOLDER is what \`webalign rloo\` wrote.

Ran on ${adapters.join('; ')}. Every sample is kept in [\`frontier/\`](frontier): with nothing changed, the command draws this page again
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
  const end = curve.at(-1) as CurvePoint;
  return `The horizontal axis is KL(π ‖ π_ref), the distance of a policy from the original model in nats a story, drawn by its root. The vertical
axis is E[r], the mean sentiment of its stories. For each KL there is a largest reward that any policy can have, and
[Theorem 1](theorem-1.md) says which policy has it. The **solid line** is that policy π* ∝ π_ref e^(r/β), one point for each β, estimated
from ${storiesOf(task)} stories of the untrained model for each opening and corrected for their number (below). The **thin line** is the same without the
correction. The curve ends at KL ${number(end.kl.mean)} (β = ${number(end.beta)}), where those stories are worth fewer than
${LEAST_EFFECTIVE_SAMPLES} stories of π* for an opening. The **dashed line** goes on as the tangent there, with
slope β. The optimum's reward is concave in KL, so it lies below the tangent: the limit still holds, but it is no longer sharp.

**Best of n** draws n stories and keeps the happiest. It trains nothing and costs n times the work for every story. Its KL is at most
log n − (n − 1)/n (Beirami et al. 2024), where it is drawn; the reward is the unbiased mean over all subsets of n.

**A method's point** is an adapter. Its reward and KL are those of its stories for ${task.openings} openings that no method was trained on, ${task.stories} for each
opening${task.entries.some(({ stories }) => stories) ? `, ${Math.max(...task.entries.map(({ stories = 0 }) => stories))} for a long run` : ''}. The β of one family is not that of another.`;
}

const storiesOf = ({ referenceStories, referenceSets }: FrontierTask) => referenceStories * referenceSets;

/** An estimate of the remaining bias, from the results themselves. */
function optimumSection({ frontier, task }: PageData): string {
  const { curve } = frontier;
  return `## The optimum, and what few samples do to it

| β | KL(π\\* ‖ π_ref) | plain | last rise | E_π\\*[r] | plain | last rise | effective stories an opening |
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

The optimum is seen through stories of the untrained model, each weighted by e^(r/β). Where β is small a handful of stories carries all
the weight, and the best stories of π* are not among them: the plain figures are too low, by an amount that no standard error shows.
They are corrected by the jackknife within each opening, which removes the part of the bias that falls as 1/n. *Last rise* is by how much
the corrected figures still grew from half of the ${storiesOf(task)} stories to all of them. About as much may be left: at small β the corrected
line is still a line from below, and the band shows its sampling error alone. The limit that methods are held against uses β log Z, which
converges faster than E_π*[r] and KL do; where it is too low, the check is stricter than it has to be.`;
}

function priceSection({ frontier }: PageData): string {
  const { curve, points } = frontier;
  const at = curve.find(({ beta }) => beta === PRICE);
  const optimum = at
    ? `From the untrained model's stories J* = β log Z is ${plusMinus(optimumAt(at))}.`
    : 'The curve does not reach this β, so J* is not known here.';
  const certified = points.flatMap((point) => {
    const { certificate } = point.priced;
    return certificate ? [{ point, certificate }] : [];
  });
  const own = certified.map(
    ({ point, certificate: { optimum: plain, corrected, effectiveSamples, isLowerBound } }) =>
      `From the stories of ${nameOf(point)} itself it is ${isLowerBound ? 'at least ' : ''}${plusMinus(corrected.optimum)} (plain ${plusMinus(plain)}, ${effectiveSamples.toFixed(1)} effective stories an opening), which makes its gap ${isLowerBound ? 'at least ' : ''}${plusMinus(corrected.gap)}.`,
  );
  return `## At one price: β = ${PRICE}

| method | | J = E[r] − ${PRICE} KL | J\\* − J | stories written to learn from | steps | seconds |
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

${[optimum, ...own].join(' ')} Stories written to learn from are those of the policy itself, or those that the pairs were chosen from (${number(STORIES_PER_PAIR)}
a pair). Seconds are those of the training on the machine below, writing included, where they were taken; other work may have run beside it.`;
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
      ? `**${CONTENDER} is ahead of best-of-n** at the same KL: ${ahead.map((point) => `${nameOf(point)} by ${plusMinus(point.lead as Estimate)}`).join(', ')}.`
      : `**${CONTENDER} is nowhere ahead of best-of-n** at the same KL by more than ${ERRORS} standard errors, up to the ${number(most.kl)} nats of the best of ${most.n}.`;
  return [bound, lead, ...work(points, best)];
}

/** What the contender saves: it samples one story where best-of-n samples n. */
function work(points: readonly MethodPoint[], best: readonly BestPoint[]): string[] {
  const own = points.filter(({ family }) => family === CONTENDER);
  if (own.length === 0) return [];
  const top = own.reduce((a, b) => (b.reward.mean > a.reward.mean ? b : a));
  const same = best[(top.sameAsBestOf ?? best.length) - 1] as BestPoint;
  const drawn = top.sameAsBestOf === undefined ? `more than ${same.n}` : String(same.n);
  return [
    `It draws one story where best-of-n draws n: ${nameOf(top)} earns ${plusMinus(top.reward)}, for which best-of-n draws ${drawn}, but it goes ${number(top.kl.mean)} nats and not ${number(same.kl)}.`,
  ];
}

/** One line per method, for a terminal. */
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
