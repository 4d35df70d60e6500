/**
 * What stands behind a blind comparison, once its last vote is cast: how far each model has gone from the model before and how it
 * writes, from fresh drafts of the voted prompts at temperature 1, and what automatic judges say of the very drafts that were voted on.
 */
import type { TokenizedSequence } from 'webalign/data';
import type { Around } from 'webalign/gpu';
import {
  type Adapter,
  addUpdate,
  emptyGenerations,
  sampledTokens,
  sequenceLogprobs,
  streamGeneration,
} from 'webalign/models';
import { sentiment } from 'webalign/rollouts';
import { type Estimate, estimateKl } from 'webalign/theory';
import { type SampleFigures, sampleFigures } from 'webalign/trainers';
import { pastRuns } from './history.ts';
import type { Draft, Judgment, Prompt, Source } from './preferences/judgment.ts';
import { sideAt, stepNamed } from './run-names.ts';
import type { Runtime } from './runtime.ts';
import type { Pairing } from './win-rate.ts';

/** Fresh drafts share no random numbers with those that were voted on. */
const SEED = 2 ** 30;

/** A model that was compared. */
interface Contender {
  /** Its adapter's name; undefined for the model before. */
  name: string | undefined;
  /** Puts the model into its state; undefined where its adapter is no longer here. */
  around: Around | undefined;
}

export interface MeasuredSide extends SampleFigures {
  name: string | undefined;
  /** KL(π ‖ π_ref) in nats a draft; undefined for the model before itself. */
  kl: Estimate | undefined;
}

/** How a judge votes on the same drafts. */
export interface JudgeVotes {
  judge: string;
  /** Votes for the model whose wins are counted, for the other one, and for neither. */
  wins: number;
  losses: number;
  undecided: number;
  /** Of the votes that it decides: as the person did. */
  agreed: number;
}

export interface Unblinded {
  sides: MeasuredSide[];
  judges: JudgeVotes[];
  /** Models whose adapter is no longer here. */
  missing: string[];
}

const REWARD_JUDGE = 'Reward model of your picks';

type Score = (judgment: Judgment) => readonly number[];

/** Rates every draft of a judgment. */
const RULES: readonly { judge: string; rate(draft: Draft): number }[] = [
  { judge: 'Rule: happier words (AFINN)', rate: ({ text }) => sentiment(text) },
  { judge: 'Rule: the longer draft', rate: ({ text }) => text.length },
];

/** A comparison whose last vote is cast. */
export interface Ballot {
  /** Those that its result counts. */
  votes: readonly Judgment[];
  pairing: Pairing;
  /** Tokens of a fresh draft. */
  maxNewTokens: number;
}

type NameOf = (side: 'before' | 'now') => Source;

/** Measures both models and asks the judges. Works in turns with whatever else uses the GPU. */
export async function unblind(
  runtime: Runtime,
  { votes, pairing, maxNewTokens }: Ballot,
  nameOf: NameOf,
  reward?: Adapter,
): Promise<Unblinded> {
  const contenders: Contender[] = [];
  for (const name of [pairing.adapter, pairing.against])
    contenders.push({ name, around: await aroundOf(runtime, name, nameOf) });
  const sides: MeasuredSide[] = [];
  const judges: JudgeVotes[] = [];
  const prompts = votes.map(({ prompt }) => prompt);
  for (const { name, around } of contenders) {
    if (!around) continue;
    sides.push(await measured(runtime, prompts, { name, around }, maxNewTokens));
    if (name === undefined) continue;
    const implicit = await implicitScores(runtime, votes, around);
    judges.push(votesOf(`Implicit reward of ${name}`, votes, pairing, implicit));
  }
  if (reward) judges.push(votesOf(REWARD_JUDGE, votes, pairing, await rewardScores(runtime, votes, reward)));
  for (const { judge, rate } of RULES)
    judges.push(votesOf(judge, votes, pairing, ({ drafts }) => drafts.map(rate)));
  const missing = contenders.flatMap(({ name, around }) => (around ? [] : [name ?? '']));
  return { sides, judges, missing };
}

/** What puts the model into the state of this name: as it was, as it stands, or with the adapter of a past run. */
async function aroundOf(
  runtime: Runtime,
  name: string | undefined,
  nameOf: NameOf,
): Promise<Around | undefined> {
  if (name === undefined) return runtime.asItWas;
  if (nameOf('now').adapter === name) return (work) => work();
  const { model } = nameOf('before');
  for (const run of await pastRuns().catch(() => [])) {
    const step = run.model === model ? stepNamed(run, name) : undefined;
    if (step === undefined) continue;
    const side = sideAt(run, step);
    return (await runtime.writerOf(side, nameOf)).around;
  }
  return undefined;
}

async function measured(
  runtime: Runtime,
  prompts: readonly Prompt[],
  { name, around }: { name: string | undefined; around: Around },
  maxNewTokens: number,
): Promise<MeasuredSide> {
  const { model, turns } = runtime;
  const ids = prompts.map((prompt) => runtime.encode(prompt));
  const written = emptyGenerations(ids.length);
  const options = { maxNewTokens, temperature: 1, seed: SEED };
  for await (const updates of turns.each(streamGeneration(model, ids, options), around))
    for (const update of updates) addUpdate(written[update.sequence], update);
  const texts = written.map((each) => ({ ids: sampledTokens(each), finished: each.finished }));
  const sequences = texts.map((text, i) => ({ prompt: ids[i], completion: text.ids }));
  const reference = await sums(runtime, sequences, runtime.asItWas);
  const policy = name === undefined ? undefined : await sums(runtime, sequences, around);
  const kl = policy && estimateKl(policy, reference);
  return { name, kl, ...sampleFigures(texts, reference) };
}

/** The drafts that were voted on, two for each vote. A draft without tokens was judged early: its text is tokenized. */
const draftsOf = (runtime: Runtime, votes: readonly Judgment[]) =>
  votes.flatMap(({ prompt, drafts }) =>
    drafts.map(({ text, tokens }) => ({
      prompt: runtime.encode(prompt),
      completion: [...(tokens ?? runtime.tokenizer.encode(text, { addSpecialTokens: false }))],
    })),
  );

/** Scores in the order of {@link draftsOf}, by vote. */
function byVote(votes: readonly Judgment[], scores: readonly number[]): Score {
  const at = new Map(votes.map((vote, i) => [vote, 2 * i]));
  return (vote) => [0, 1].map((place) => scores[(at.get(vote) ?? 0) + place]);
}

/** log π − log π_ref of every draft. */
async function implicitScores(runtime: Runtime, votes: readonly Judgment[], around: Around): Promise<Score> {
  const sequences = draftsOf(runtime, votes);
  const policy = await sums(runtime, sequences, around);
  const reference = await sums(runtime, sequences, runtime.asItWas);
  return byVote(
    votes,
    policy.map((sum, i) => sum - reference[i]),
  );
}

/** What the reward model of the picks gives every draft. */
async function rewardScores(runtime: Runtime, votes: readonly Judgment[], reward: Adapter): Promise<Score> {
  const { judge, model, tokenizer, turns } = runtime;
  judge.put(model, tokenizer, reward);
  try {
    return byVote(votes, await turns.run(() => judge.score(draftsOf(runtime, votes))));
  } finally {
    judge.drop(runtime.model);
  }
}

async function sums(
  { model, turns }: Runtime,
  sequences: readonly TokenizedSequence[],
  around: Around,
): Promise<number[]> {
  const scores = await turns.run(() => around(() => sequenceLogprobs(model, sequences)));
  return scores.map((values) => values.reduce((a, b) => a + b, 0));
}

/** Counts a judge's votes: the higher of two scores wins, equal ones decide nothing. */
export function votesOf(
  judge: string,
  votes: readonly Judgment[],
  { adapter }: Pick<Pairing, 'adapter'>,
  score: Score,
): JudgeVotes {
  const found = { judge, wins: 0, losses: 0, undecided: 0, agreed: 0 };
  for (const vote of votes) {
    const [first = 0, second = 0] = score(vote);
    if (first === second) {
      found.undecided++;
      continue;
    }
    const better = first > second ? 0 : 1;
    if (vote.drafts[better]?.source?.adapter === adapter) found.wins++;
    else found.losses++;
    if (vote.verdict === (better === 0 ? 'first' : 'second')) found.agreed++;
  }
  return found;
}
