/**
 * The study for readers: the two ways from preferences to a policy, as a page of Markdown and as lines for a terminal. All
 * statements are computed from the results; equal results give equal bytes.
 */
import { formatBytes } from 'webalign/gpu';
import { number, plusMinus } from '../shared/figures.ts';
import type { LearnedOutcome, Point, Rlhf, RoadOutcome } from './analysis.ts';
import { ERRORS, RLHF_TRAINING, type RlhfTask } from './task.ts';

export interface PageData {
  rlhf: Rlhf;
  task: RlhfTask;
  /** Whether this is the quick version. */
  isQuick: boolean;
  openings: readonly string[];
  /** The plot, relative to the page. */
  plot: string;
}

export function rlhfPage(data: PageData): string {
  const { rlhf, task, isQuick, openings, plot } = data;
  const { rewardModels, base, roads } = rlhf;
  const [{ of: first }] = rewardModels as [LearnedOutcome];
  return `# Two roads from preferences to a policy

Figure 1 of *Direct Preference Optimization* (Rafailov et al. 2023), run on the embedded model and its task, happier stories. One road
learns a reward model from the pairs and then maximizes E[r] − β KL(π ‖ π_ref) by reinforcement learning. The other, DPO, trains on
the same pairs directly. By [Theorem 1](theorem-1.md) both have the same optimum at the same β. Here the true reward is known
(AFINN-165), so that a reward model can be caught out. \`npm run rlhf\` makes every number here${isQuick ? '; the figures are those of its short form, `--quick`' : ''}.

![${altText(rlhf)}](${plot})

${verdict(rlhf)
  .map((each) => `- ${each}`)
  .join('\n')}

## Where each road ends

| road | steps | stories written | seconds | GPU memory | learned reward | true reward | KL | J, learned | J\\* − J |
|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|
${rewardModels.map((learned) => baseRow(learned, rlhf)).join('\n')}
${roads.map(endRow).join('\n')}

Learned reward, true reward (sentiment) and KL in nats are means over ${task.openings} openings that nothing was trained on, ${task.stories} stories each. ± is one
standard error, from the spread between openings. J is E[learned reward] − β KL at the road's own β, J\\* = β log Z of the learned
reward, from ${task.referenceStories} stories of the untrained model for each opening${roads.some(({ isGapLowerBound }) => isGapLowerBound) ? ' (*at least* where those are worth fewer than 5 of the optimum)' : ''}. Seconds are those of the road's training, writing included, with
other work beside it where the machine had any. Memory is what the run planned with. A road of RLOO or PPO begins with a reward model:

| reward model | steps | seconds | GPU memory | orders held-out pairs rightly | correlation with the true reward |
|---|---:|---:|---:|---:|---:|
${rewardModels.map(learnedRow).join('\n')}

The correlation is over single stories of the untrained model.

## Over the steps

| road | step | seconds | learned reward | true reward | KL | J, learned | J\\* − J |
|---|---:|---:|---:|---:|---:|---:|---:|
${roads.flatMap((outcome) => outcome.points.map((point) => stepRow(outcome, point))).join('\n')}

## What they write

${openings
  .slice(0, base.samples.length)
  .map((opening, i) => sampleList(opening, i, rlhf))
  .join('\n\n')}

## How it was made

DPO sees its pairs ([\`demos/align/data\`](../demos/align/data/README.md)) once, ${RLHF_TRAINING.perDeviceTrainBatchSize} a step; all reward models make as many steps. All trainings have a learning
rate of ${RLHF_TRAINING.learningRate}, a warm-up over a tenth of the steps and then linear decay, a LoRA of rank ${RLHF_TRAINING.r} on every linear layer, and seed ${RLHF_TRAINING.seed}.
A score is read at the end token of a text; a story that was cut at its length is given one, without which the score hardly depends on
the story. RLOO and PPO write stories for the openings of the pairs and learn from the reward model's scores alone: ${storiesOf(roads)}.
Stories have at most ${task.maxNewTokens} tokens. Held-out pairs: ${task.heldOut}.

Ran on ${first.adapter}. Every figure is kept in [\`rlhf/\`](rlhf): with nothing changed, the command draws this page again without
training. Stopped, it goes on where it was.
`;
}

/** The size of a batch of stories, one phrase per method. */
function storiesOf(roads: readonly RoadOutcome[]): string {
  const told = roads.flatMap(({ road: { method, settings } }) => {
    const { numGenerations, numPpoEpochs, perDeviceTrainBatchSize } = settings;
    const [name] = method === 'dpo' ? [] : [method.toUpperCase()];
    if (!name) return [];
    const each = numGenerations ? `, ${numGenerations} for each opening` : '';
    const passes = numPpoEpochs ? `, each batch in ${numPpoEpochs} steps` : '';
    return [`${name} ${perDeviceTrainBatchSize} at a time${each}${passes}`];
  });
  return [...new Set(told)].join('; ');
}

function baseRow({ pairs, base: proxy }: LearnedOutcome, { base, rewardModels }: Rlhf): string {
  const name = rewardModels.length > 1 ? `the model as it was, by ${pairs} pairs` : 'the model as it was';
  return `| ${name} | 0 | 0 | 0 |  | ${plusMinus(proxy)} | ${plusMinus(base.gold)} | 0 |  |  |`;
}

function learnedRow({ pairs, of, correlation }: LearnedOutcome): string {
  const share = `${(100 * of.accuracy).toFixed(0)} %`;
  const cells = [`of ${pairs} pairs`, of.steps, number(of.seconds), formatBytes(of.bytes), share];
  return `| ${[...cells, number(correlation)].join(' | ')} |`;
}

function endRow({ road, written, bytes, points, isGapLowerBound }: RoadOutcome): string {
  const last = points.at(-1) as Point;
  const cells = [
    road.name,
    last.step,
    written.toLocaleString('en'),
    number(last.seconds),
    formatBytes(bytes),
    plusMinus(last.proxy),
    plusMinus(last.gold),
    plusMinus(last.kl),
    plusMinus(last.objective),
    gapOf(last, isGapLowerBound),
  ];
  return `| ${cells.join(' | ')} |`;
}

function stepRow({ road, isGapLowerBound }: RoadOutcome, point: Point): string {
  const { step, seconds, proxy, gold, kl, objective } = point;
  const figures = [proxy, gold, kl, objective].map(plusMinus);
  return `| ${[road.name, step, number(seconds), ...figures, gapOf(point, isGapLowerBound)].join(' | ')} |`;
}

function gapOf({ gap }: Point, isLowerBound: boolean): string {
  return `${isLowerBound ? 'at least ' : ''}${plusMinus(gap)}`;
}

function sampleList(opening: string, i: number, { base, roads }: Rlhf): string {
  const told = [
    { name: 'the model as it was', text: base.samples[i] },
    ...roads.map(({ road: { name }, samples }) => ({ name, text: samples[i] })),
  ];
  return `*${opening}* …\n\n${told.map(({ name, text = '' }) => `- ${name}: …${text.replace(/\s+/g, ' ')}`).join('\n')}`;
}

/** The outcome, one sentence each. */
export function verdict({ roads }: Rlhf): string[] {
  const gains = roads.map(({ road, gain, points }) => {
    const last = points.at(-1) as Point;
    return `**${road.name}**: the learned reward changed by ${signed(gain.proxy)} and the true one by ${signed(gain.gold)}, at ${plusMinus(last.kl)} nats.`;
  });
  const over = roads.flatMap(({ road, overoptimized }) =>
    overoptimized ? [{ name: road.name, ...overoptimized }] : [],
  );
  const told = over.map(
    ({ name, from, to, gold, proxy }) =>
      `**${name} over-optimizes its reward model**: from step ${from} to ${to} the learned reward changed by ${signed(proxy)}, the true one by ${signed(gold)}.`,
  );
  const nowhere = `No road over-optimizes its reward model by more than ${ERRORS} standard errors: nowhere does the true reward fall while the learned one rises.`;
  return [...gains, ...(told.length > 0 ? told : [nowhere])];
}

/** One line per method, for a terminal. */
export function rlhfLines({ base, rewardModels, roads }: Rlhf): string[] {
  const lines = roads.map(({ road, points }) => {
    const { proxy, gold, kl } = points.at(-1) as Point;
    return `${road.name.padEnd(26)} learned ${plusMinus(proxy)}  true ${plusMinus(gold)}  KL ${plusMinus(kl)}`;
  });
  const before = rewardModels.map(
    ({ pairs, base: proxy }) =>
      `${`as it was, ${pairs} pairs`.padEnd(26)} learned ${plusMinus(proxy)}  true ${plusMinus(base.gold)}`,
  );
  return [...before, ...lines];
}

export function altText({ base, roads }: Rlhf): string {
  const told = roads.map(({ road, points }) => {
    const { gold, kl } = points.at(-1) as Point;
    return `${road.name} ends at a true reward of ${number(gold.mean)} and ${number(kl.mean)} nats`;
  });
  return `Reward against KL along each road, from ${number(base.gold.mean)} at KL 0: ${told.join('; ')}`;
}

function signed(estimate: { mean: number; standardError: number }): string {
  return `${estimate.mean > 0 ? '+' : ''}${plusMinus(estimate)}`;
}
