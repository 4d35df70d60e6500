/**
 * Writes a page of Markdown on stepwise alignment (what it is, how to use it, its results on the embedded task), and lines
 * for a terminal. All statements are computed from the results; equal results give equal bytes.
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
  const steps = scaled.at(-1)!.steps;
  return `# Stepwise alignment: one criterion, then another

An answer should be helpful *and* harmless, but few data sets cover both. Stepwise alignment (SACPO, Wachi et al. 2024) trains
on one criterion after the other. It is based on [Theorem 1](theorem-1.md): the optimal policy for reward r + λg is

$$\\pi^*_{r + \\lambda g}(y|x) \\;\\propto\\; \\pi_{\\mathrm{ref}}(y|x)\\, e^{(r + \\lambda g)/\\beta} \\;\\propto\\; \\pi^*_r(y|x)\\, e^{g(x, y)\\,/\\,(\\beta/\\lambda)}$$

Training on r first and then on g, with the *first result as the reference* and β/λ instead of β, therefore has the same optimum as training on
both at once. Each stage trains its own LoRA adapter on top of the earlier ones. The reference of a stage is the model with that adapter off,
which needs no second model. Later stages do not change earlier adapters. Scaling the last adapter by q from 0 to 1 interpolates between the
two results (P-SACPO) without training.

## Run the stages

\`stages.json\` lists the stages in order. Each has a \`method\` with a reference (\`dpo\` or \`kto\`), its \`data\`, optionally \`lambda\`,
and any setting of that method's command:

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

\`run/1-reward\` and \`run/2-safety\` are PEFT adapters that add up. \`run\` itself and \`half\` are single adapters that contain both exactly; their
rank is the sum of the ranks. If the first command was stopped, \`--resume\` continues it. In code, use \`SACPOTrainer\`: \`stages\` with data sets,
\`train()\` for the events, \`scale(q)\`, \`combined(q)\`.

## Results with two conflicting criteria

The first stage trains for **gladness**, as in [\`webalign align\`](command-line.md#try-the-embedded-example): the sum of AFINN-165's ratings of a story's words.
The second stage trains for **calm**: as few *strong* words (rated beyond ±2) and exclamation marks as possible. The criteria conflict, because most
of the gladness of these stories comes from strong words (*happy*, *love*, *fun*, *good*: 3 or 4), while mild ones (*liked*, *help*, *smiled*, *friend*: 1 or 2)
are calm. Both stages use the same ${pairs.reward} pairs of completions, labeled once for each criterion, as PKU-SafeRLHF labels its answers. Calm has a
preference in ${pairs.calm} of the pairs, and in ${pairs.opposed} of them it prefers the completion that gladness rejects.

![${altText(tradeoff)}](${plot})

| | q | steps | gladness | calm | KL to the untrained model |
|---|---:|---:|---:|---:|---:|
${pointsOf(tradeoff).map(row).join('\n')}

± is one standard error, from the spread between openings; differences below are computed per opening. KL is the mean of
log π − log π_ref over the model's own stories, in nats. Every model generated ${task.stories} stories for each of the same ${task.openings} openings with the same
random numbers.

${verdict(data)
  .map((each) => `- ${each}`)
  .join('\n')}

## Settings and reproduction

\`npm run tradeoff\` computes every number. Stage one is DPO with β = ${ALIGN_TRAINING.beta}, ${reward.steps} steps of ${ALIGN_TRAINING.perDeviceTrainBatchSize} pairs; stage two is DPO with β/λ = ${number(ALIGN_TRAINING.beta / task.lambda)} (λ = ${task.lambda}), ${steps - reward.steps} steps;
learning rate ${ALIGN_TRAINING.learningRate} with a warm-up over a tenth of the steps and then linear decay, LoRA of rank ${ALIGN_LORA.r} on every linear layer, seed ${ALIGN_TRAINING.seed}.
*Both at once* is one adapter, trained on the shuffled pairs of both labelings, with the first stage's settings and as many steps as the two
stages have (${both.steps}). Stories have at most ${task.maxNewTokens} tokens, sampled at temperature ${TRADEOFF_SAMPLING.temperature} from the full distribution; their mean length is ${number(Math.min(...pointsOf(tradeoff).map(({ tokens }) => tokens.mean)))} tokens or more for every
model, so no model is calm because its stories are short. Calm only counts words and marks and ignores the meaning of a story. It represents a
safety criterion here because anyone can check it.

The study ran on ${adapters.join('; ')}. Every sample is stored in [\`sacpo/\`](sacpo): if nothing changed, the command writes this page again without
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
    `After both stages, gladness has changed by ${signed(whole.sentiment)} and calm by ${signed(whole.calm)} compared with the untrained model.`,
    checks.back.length === 0
      ? `**q interpolates between the stages**: calm never falls and gladness never rises from one q to the next by more than ${ERRORS} standard errors${against.length === 0 ? ', in fact not at all' : ` (by less, from ${against.map(told).join(', from ')})`}.`
      : `**q does not move steadily**: it goes back from ${checks.back.map(told).join(', from ')}.`,
    checks.untouched
      ? '**The first stage is untouched**: its weights are the same bytes before and after the second, and at q = 0 every story and every log-probability is that of the first stage.'
      : '**The first stage was touched**: its weights or its stories at q = 0 are not those from before the second.',
    `The adapter trained on both at once reaches gladness ${plusMinus(both.sentiment)} and calm ${plusMinus(both.calm)}; compared with both stages, gladness ${signed(atOnce.sentiment)} and calm ${signed(atOnce.calm)}.`,
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
