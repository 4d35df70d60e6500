/**
 * Stepwise alignment for readers: what it is, how to use it, and its results on the embedded task, as a page of Markdown
 * and as lines for a terminal. All statements are computed from the results; equal results give equal bytes.
 */
import { ALIGN_LORA, ALIGN_TRAINING } from '../../cli/align-task.ts';
import type { Estimate } from '../../cli/statistics.ts';
import { number, plusMinus } from '../shared/figures.ts';
import type { Checks, Move, Point, Tradeoff } from './analysis.ts';
import { ERRORS, TRADEOFF_SAMPLING, type TradeoffTask } from './task.ts';

export interface PageData {
  tradeoff: Tradeoff;
  checks: Checks;
  task: TradeoffTask;
  /** Pairs of each criterion, and the number whose order the second criterion reverses. */
  pairs: { reward: number; calm: number; opposed: number };
  /** The adapters that produced the results. */
  adapters: readonly string[];
  /** The plot, relative to the page. */
  plot: string;
}

/** In order: before, each stage by q, at once. */
function pointsOf({ base, reward, scaled, both }: Tradeoff): Point[] {
  // At q = 0 the model is that of the first stage.
  return [base, { ...reward, q: 0 }, ...scaled.filter(({ q }) => q !== 0), both];
}

export function tradeoffPage(data: PageData): string {
  const { tradeoff, task, pairs, adapters, plot } = data;
  const { reward, scaled, both } = tradeoff;
  const steps = (scaled.at(-1) as Point).steps;
  return `# Stepwise alignment: one criterion, then another

An answer should be helpful *and* harmless, and data for the two seldom comes together. Stepwise alignment (SACPO, Wachi et al. 2024) trains
on one criterion after the other. It rests on [Theorem 1](theorem-1.md): the optimal policy for reward r + λg is

$$\\pi^*_{r + \\lambda g}(y|x) \\;\\propto\\; \\pi_{\\mathrm{ref}}(y|x)\\, e^{(r + \\lambda g)/\\beta} \\;\\propto\\; \\pi^*_r(y|x)\\, e^{g(x, y)\\,/\\,(\\beta/\\lambda)}$$

so aligning to r first and then to g, with the *first result as the reference* and β/λ in place of β, ends where both at once would. Here each
stage is a LoRA adapter of its own on top of those before. The reference of a stage is the model with that adapter off, which costs no second
model, and what an earlier stage has learned is never touched again. Scaling the last adapter by q from 0 to 1 moves between the two results
(P-SACPO) without training.

## How to use it

\`stages.json\` names the stages in their order. Each has a \`method\` that starts from a reference (\`dpo\` or \`kto\`), its \`data\`, perhaps \`lambda\`,
and takes every setting of that method's command:

\`\`\`json
{
  "stages": [
    { "name": "reward", "method": "dpo", "data": "helpful.jsonl", "beta": 0.1 },
    { "name": "safety", "method": "kto", "data": "safe-or-not.jsonl", "beta": 0.1, "lambda": 2 }
  ]
}
\`\`\`

\`\`\`
npx webalign sacpo --model SmolLM2-135M --stages stages.json --out run
npx webalign generate --model SmolLM2-135M --adapter run/1-reward --adapter run/2-safety --q 0.5 --prompt "How do I"
npx webalign export --adapter run/1-reward --adapter run/2-safety --q 0.5 --out half
\`\`\`

\`run/1-reward\` and \`run/2-safety\` are PEFT adapters that add up; \`run\` itself and \`half\` are single ones that hold both, exact, at the sum of
the ranks. Stopped, the first command goes on with \`--resume\`. In code it is \`SACPOTrainer\`: \`stages\` with data sets, \`train()\` for the events,
\`scale(q)\`, \`combined(q)\`.

## What it does: two criteria in tension

The embedded model's stories are first made **glad**, as in [\`webalign align\`](command-line.md#try-the-embedded-example): the sum of AFINN-165's ratings of their words.
Then they are made **calm**: as few *strong* words (rated beyond ±2) and exclamation marks as possible. The two pull apart, because most of the
gladness of these stories is in strong words (*happy*, *love*, *fun*, *good*: 3 or 4), while mild ones (*liked*, *help*, *smiled*, *friend*: 1 or 2) are
calm. Both stages see the same ${pairs.reward} pairs of completions, labeled once for each criterion, as PKU-SafeRLHF labels its answers. Calm tells
${pairs.calm} of the pairs apart, and in ${pairs.opposed} of them it wants the completion that gladness rejects.

![${altText(tradeoff)}](${plot})

| | q | steps | gladness | calm | KL to the model as it was |
|---|---:|---:|---:|---:|---:|
${pointsOf(tradeoff).map(row).join('\n')}

± is one standard error, from the spread between openings; differences below are taken opening by opening. KL is the mean of
log π − log π_ref over the model's own stories, in nats. Every model wrote ${task.stories} stories for each of the same ${task.openings} openings with the same
random numbers.

${verdict(data)
  .map((each) => `- ${each}`)
  .join('\n')}

## How it was made

\`npm run tradeoff\`. Stage one is DPO with β = ${ALIGN_TRAINING.beta}, ${reward.steps} steps of ${ALIGN_TRAINING.perDeviceTrainBatchSize} pairs; stage two DPO with β/λ = ${number(ALIGN_TRAINING.beta / task.lambda)} (λ = ${task.lambda}), ${steps - reward.steps} steps;
learning rate ${ALIGN_TRAINING.learningRate} with a warm-up over a tenth of the steps and then linear decay, LoRA of rank ${ALIGN_LORA.r} on every linear layer, seed ${ALIGN_TRAINING.seed}.
*Both at once* is one adapter on the pairs of both labellings together, shuffled, with the first stage's settings and as many steps as the two
stages have (${both.steps}). Stories have at most ${task.maxNewTokens} tokens, at temperature ${TRADEOFF_SAMPLING.temperature} from the whole distribution; their mean length is ${number(Math.min(...pointsOf(tradeoff).map(({ tokens }) => tokens.mean)))} tokens or more for every
model, so that none is calm by being short. Calm counts words and marks and knows nothing of what is told: it stands for a safety criterion here
because anyone can check it.

Ran on ${adapters.join('; ')}. Every sample is kept in [\`sacpo/\`](sacpo): with nothing changed, the command draws this page again without
training.
`;
}

function row({ name, q, steps, sentiment, calm, kl }: Point): string {
  const cells = [
    name.replace(/, q = .*/, ''),
    q ?? '',
    steps,
    plusMinus(sentiment),
    plusMinus(calm),
    plusMinus(kl),
  ];
  return `| ${cells.join(' | ')} |`;
}

/** The outcome, one sentence each. */
export function verdict({ tradeoff, checks }: Pick<PageData, 'tradeoff' | 'checks'>): string[] {
  const { first, second, whole, moves, both, atOnce } = tradeoff;
  const against = moves.filter(({ calm, sentiment }) => calm.mean < 0 || sentiment.mean > 0);
  return [
    `The first stage changed gladness by ${signed(first.sentiment)} and calm by ${signed(first.calm)}.`,
    checks.calmer
      ? `**The second stage made stories calmer**, by ${signed(second.calm)}, at a cost in gladness of ${plusMinus(negative(second.sentiment))}.`
      : `**The second stage did not make stories calmer**: calm changed by ${signed(second.calm)}.`,
    `After both stages gladness is ${signed(whole.sentiment)} and calm ${signed(whole.calm)} from where the model was.`,
    checks.back.length === 0
      ? `**q moves from one stage to the other**: at no step of q does calm fall or gladness rise by more than ${ERRORS} standard errors${against.length === 0 ? ', nor at all' : ` (by less, from ${against.map(told).join(', from ')})`}.`
      : `**q does not move steadily**: it goes back from ${checks.back.map(told).join(', from ')}.`,
    checks.untouched
      ? '**The first stage is untouched**: its weights are the same bytes before and after the second, and at q = 0 every story and every log-probability is that of the first stage.'
      : '**The first stage was touched**: its weights or its stories at q = 0 are not those from before the second.',
    `Both at once reaches gladness ${plusMinus(both.sentiment)} and calm ${plusMinus(both.calm)}: from both stages, gladness ${signed(atOnce.sentiment)} and calm ${signed(atOnce.calm)}.`,
  ];
}

function told({ from, to, calm, sentiment }: Move): string {
  return `${from} to ${to}: calm ${signed(calm)}, gladness ${signed(sentiment)}`;
}

/** One line per model, for a terminal. */
export function tradeoffLines(tradeoff: Tradeoff): string[] {
  return pointsOf(tradeoff).map(
    ({ name, sentiment, calm, kl }) =>
      `${name.padEnd(22)} gladness ${plusMinus(sentiment)}  calm ${plusMinus(calm)}  KL ${plusMinus(kl)}`,
  );
}

export function altText(tradeoff: Tradeoff): string {
  const told = pointsOf(tradeoff).map(
    ({ name, sentiment, calm }) => `${name} ${number(sentiment.mean)} at ${number(calm.mean)}`,
  );
  return `Gladness against calm: ${told.join('; ')}`;
}

function signed(estimate: Estimate): string {
  return `${estimate.mean > 0 ? '+' : ''}${plusMinus(estimate)}`;
}

function negative({ mean, standardError }: Estimate): Estimate {
  return { mean: -mean, standardError };
}
