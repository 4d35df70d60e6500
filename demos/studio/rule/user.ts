/**
 * A rule in the place of the person at the studio: it reads two drafts, picks the happier one, trains with the page's defaults, and
 * the model writes to held-out prompts before and after. Drafts, judgments, split, defaults and trainer are those of the page.
 */
import { memoryCheckpointStore, memoryReferenceCache } from 'webalign/files';
import { sentiment } from 'webalign/rollouts';
import { adviceOn, type SampleFigures } from 'webalign/trainers';
import { ALIGN_SAMPLING, ALIGN_TRAINING } from '../../../src/cli/align-task.ts';
import { type Continuation, continueOpenings } from '../../../src/cli/continuations.ts';
import { readStories } from '../../../src/cli/divergences.ts';
import { estimate } from '../../../src/cli/statistics.ts';
import type { DraftUpdate, Lesson } from '../messages.ts';
import { methodOf } from '../methods.ts';
import type { Judgment, Verdict } from '../preferences/judgment.ts';
import { split } from '../preferences/split.ts';
import type { Runtime } from '../runtime.ts';
import { defaultsFor } from '../task.ts';

/** Picks with a side, as the status of the page counts them. */
const PICKS = 60;
/** The page's form as it stands for the storyteller. */
const DRAFTS = { temperature: 1, topP: 1, maxNewTokens: ALIGN_SAMPLING.maxNewTokens };
const METHOD = 'dpo';

/** What came of one seed. */
export interface Figures {
  seed: number;
  picks: number;
  ties: number;
  /** Pairs that were trained on, and optimizer steps. */
  pairs: number;
  steps: number;
  /** Mean sentiment of a held-out story. */
  before: number;
  after: number;
  /** Mean difference on the same prompt and seed, and its standard error. */
  rise: number;
  standardError: number;
  samples: Record<'before' | 'after', SampleFigures>;
  /** What `webalign align` would say of these stories: empty where fluency and distinct-3 are within its bounds. */
  advice: string[];
  /** Of picking, of training, and of writing the held-out stories. */
  seconds: { picks: number; training: number; stories: number };
}

interface Task {
  runtime: Runtime;
  /** Numbers in the model's weights. */
  parameters: number;
  /** Prompts to pick on. */
  prompts: readonly string[];
  /** Prompts that are only written to before and after. */
  heldOut: readonly string[];
}

/** Sixty picks, a run, and the stories before and after. The same seed gives the same figures on the same device. */
export async function play(task: Task, seed: number): Promise<Figures> {
  const { runtime, parameters, heldOut } = task;
  const started = performance.now();
  const judgments = await pick(task, seed);
  const picked = performance.now();
  const write = () =>
    continueOpenings(runtime.model, runtime.tokenizer, heldOut, {
      ...DRAFTS,
      seed: ALIGN_SAMPLING.seed + seed,
    });
  const before = await write();
  const written = performance.now();
  const { train, heldOut: checked } = split(judgments);
  const pairs = methodOf(METHOD).count(train);
  const settings = { ...defaultsFor(pairs, parameters), seed: defaultsFor(pairs, parameters).seed + seed };
  const steps = await learn(runtime, { method: METHOD, settings, train, heldOut: checked });
  const trained = performance.now();
  const after = await write();
  const rise = estimate(after.map((story, i) => story.sentiment - before[i].sentiment));
  const { samples } = await readStories(runtime, { before, after }, new AbortController().signal);
  runtime.removeTrainer();
  const ended = performance.now();
  const mean = (stories: readonly Continuation[]) => estimate(stories.map((story) => story.sentiment)).mean;
  const picks = judgments.filter(({ verdict }) => verdict !== 'tie').length;
  return {
    seed,
    picks,
    ties: judgments.length - picks,
    pairs,
    steps,
    before: mean(before),
    after: mean(after),
    rise: rise.mean,
    standardError: rise.standardError,
    samples,
    advice: adviceOf(samples),
    seconds: {
      picks: (picked - started) / 1000,
      training: (trained - written) / 1000,
      stories: (written - picked + ended - trained) / 1000,
    },
  };
}

/** Reads both drafts to their end and picks the happier one; two that are as happy are a tie, and the next prompt follows. */
async function pick({ runtime, prompts }: Task, seed: number): Promise<Judgment[]> {
  const judgments: Judgment[] = [];
  for (let picks = 0, at = 0; picks < PICKS; at++) {
    const prompt = prompts[(seed * PICKS + at) % prompts.length];
    const first = 2 * (seed * prompts.length + at) + 1;
    const drafts = await draft(runtime, prompt, [first, first + 1]);
    const [a = 0, b = 0] = drafts.map(({ text }) => sentiment(text));
    const verdict: Verdict = a === b ? 'tie' : a > b ? 'first' : 'second';
    if (verdict !== 'tie') picks++;
    judgments.push({ id: `${seed} ${at}`, time: at, prompt, drafts, verdict });
  }
  return judgments;
}

async function draft(runtime: Runtime, prompt: string, seeds: readonly number[]) {
  let last: DraftUpdate | undefined;
  const request = { ...DRAFTS, prompt, sides: seeds.map(() => 'now' as const), seeds };
  await runtime.draft(
    request,
    () => ({ model: runtime.model.name }),
    new AbortController().signal,
    (update) => {
      last = update;
    },
  );
  return last?.drafts ?? [];
}

async function learn(runtime: Runtime, lesson: Lesson): Promise<number> {
  const kept = { referenceCache: memoryReferenceCache(), checkpoint: memoryCheckpointStore() };
  const trainer = runtime.newTrainer(lesson, kept);
  runtime.trainer = trainer;
  let steps = 0;
  for await (const event of runtime.turns.each(trainer.train({})))
    if (event.type === 'step') steps = event.step;
  return steps;
}

/** Diagnoses of texts, without those of a run. */
const OF_TEXTS = ['not fluent', 'repeats itself'];

function adviceOf(samples: Figures['samples']): string[] {
  const { learningRate } = ALIGN_TRAINING;
  const found = adviceOn({ log: [], examples: PICKS, config: { learningRate }, samples });
  return found
    .filter(({ name }) => OF_TEXTS.includes(name))
    .map(({ sentence }) => sentence.toString((name) => name));
}
