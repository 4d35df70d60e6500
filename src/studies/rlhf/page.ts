/**
 * Writes the results of the study, RLHF compared with DPO, as a page of Markdown and as lines for a terminal. All
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
  return `# Reward model and RL, compared with DPO

There are two ways from preferences to a policy (figure 1 of *Direct Preference Optimization*, Rafailov et al. 2023). RLHF trains a reward
model on the pairs and then maximizes E[r] − β KL(π ‖ π_ref) with reinforcement learning. DPO trains on the same pairs directly. By
[Theorem 1](theorem-1.md) both have the same optimum at the same β. This study compares them on the embedded model and its task, happier
stories. The true reward is known (AFINN-165), so over-optimization of a reward model is visible. \`npm run rlhf\` computes every number on this page${isQuick ? '; the figures are those of its short form, `--quick`' : ''}.

![${altText(rlhf)}](${plot})

${verdict(rlhf)
  .map((each) => `- ${each}`)
  .join('\n')}

## Results at the end

| method | steps | generated stories | seconds | GPU memory | learned reward | true reward | KL | J, learned | J\\* − J |
|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|
${rewardModels.map((learned) => baseRow(learned, rlhf)).join('\n')}
${roads.map(endRow).join('\n')}

Learned reward, true reward (sentiment) and KL in nats are means over ${task.openings} held-out openings, with ${task.stories} stories each. ± is one
standard error, from the spread between openings. J is E[learned reward] − β KL at the method's own β, and J\\* = β log Z of the learned
reward, from ${task.referenceStories} stories of the untrained model for each opening${roads.some(({ isGapLowerBound }) => isGapLowerBound) ? ' (*at least* where those have fewer than 5 effective samples of the optimum)' : ''}. Seconds include generation; other
work may have run on the same machine. Memory is the planned memory of the run. RLOO and PPO need a reward model:

| reward model | steps | seconds | GPU memory | accuracy on held-out pairs | correlation with the true reward |
|---|---:|---:|---:|---:|---:|
${rewardModels.map(learnedRow).join('\n')}

The correlation is over single stories of the untrained model.

## Results during training

| method | step | seconds | learned reward | true reward | KL | J, learned | J\\* − J |
|---|---:|---:|---:|---:|---:|---:|---:|
${roads.flatMap((outcome) => outcome.points.map((point) => stepRow(outcome, point))).join('\n')}

## Sample stories

${openings
  .slice(0, base.samples.length)
  .map((opening, i) => sampleList(opening, i, rlhf))
  .join('\n\n')}

## Settings and reproduction

DPO trains on its pairs ([\`demos/align/data\`](../demos/align/data/README.md)) once, ${RLHF_TRAINING.perDeviceTrainBatchSize} per step; all reward models take the same number of steps. All runs use a learning
rate of ${RLHF_TRAINING.learningRate}, a warm-up over a tenth of the steps and then linear decay, a LoRA of rank ${RLHF_TRAINING.r} on every linear layer, and seed ${RLHF_TRAINING.seed}.
The reward model scores a text at its end token. An end token is added to stories that were cut off, because otherwise the score hardly
depends on the story. RLOO and PPO generate stories for the openings of the pairs and learn only from the reward model's scores: ${storiesOf(roads)}.
Stories have at most ${task.maxNewTokens} tokens. Held-out pairs: ${task.heldOut}.

The study ran on ${first.adapter}. Every figure is stored in [\`rlhf/\`](rlhf): if nothing changed, the command writes this page again without
training. If it was stopped, it continues.
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
  const name =
    rewardModels.length > 1 ? `untrained model, reward model of ${pairs} pairs` : 'untrained model';
  return `| ${name} | 0 | 0 | 0 |  | ${plusMinus(proxy)} | ${plusMinus(base.gold)} | 0 |  |  |`;
}

function learnedRow({ pairs, of, correlation }: LearnedOutcome): string {
  const share = `${(100 * of.accuracy).toFixed(0)} %`;
  const cells = [`of ${pairs} pairs`, of.steps, number(of.seconds), formatBytes(of.bytes), share];
  return `| ${[...cells, number(correlation)].join(' | ')} |`;
}

function endRow({ road, written, bytes, points, isGapLowerBound }: RoadOutcome): string {
  const last = points.at(-1)!;
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
    { name: 'untrained model', text: base.samples[i] },
    ...roads.map(({ road: { name }, samples }) => ({ name, text: samples[i] })),
  ];
  return `*${opening}* …\n\n${told.map(({ name, text = '' }) => `- ${name}: …${text.replace(/\s+/g, ' ')}`).join('\n')}`;
}

/** The outcome, one sentence each. */
export function verdict({ roads }: Rlhf): string[] {
  const gains = roads.map(({ road, gain, points }) => {
    const last = points.at(-1)!;
    return `**${road.name}**: the learned reward changed by ${signed(gain.proxy)} and the true one by ${signed(gain.gold)}, at ${plusMinus(last.kl)} nats.`;
  });
  const over = roads.flatMap(({ road, overoptimized }) =>
    overoptimized ? [{ name: road.name, ...overoptimized }] : [],
  );
  const told = over.map(
    ({ name, from, to, gold, proxy }) =>
      `**${name} over-optimizes its reward model**: from step ${from} to ${to} the learned reward changed by ${signed(proxy)}, the true one by ${signed(gold)}.`,
  );
  const nowhere = `No method over-optimizes its reward model by more than ${ERRORS} standard errors: the true reward never falls while the learned one rises.`;
  return [...gains, ...(told.length > 0 ? told : [nowhere])];
}

/** One line per method, for a terminal. */
export function rlhfLines({ base, rewardModels, roads }: Rlhf): string[] {
  const lines = roads.map(({ road, points }) => {
    const { proxy, gold, kl } = points.at(-1)!;
    return `${road.name.padEnd(26)} learned ${plusMinus(proxy)}  true ${plusMinus(gold)}  KL ${plusMinus(kl)}`;
  });
  const before = rewardModels.map(
    ({ pairs, base: proxy }) =>
      `${`untrained, ${pairs} pairs`.padEnd(26)} learned ${plusMinus(proxy)}  true ${plusMinus(base.gold)}`,
  );
  return [...before, ...lines];
}

export function altText({ base, roads }: Rlhf): string {
  const told = roads.map(({ road, points }) => {
    const { gold, kl } = points.at(-1)!;
    return `${road.name} ends at a true reward of ${number(gold.mean)} and ${number(kl.mean)} nats`;
  });
  return `Reward against KL during each training, from ${number(base.gold.mean)} at KL 0: ${told.join('; ')}`;
}

function signed(estimate: { mean: number; standardError: number }): string {
  return `${estimate.mean > 0 ? '+' : ''}${plusMinus(estimate)}`;
}
