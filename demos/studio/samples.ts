/** Samples of a run: the greedy continuations of two fixed prompts, before the first step and at each evaluation. */
import { InputError } from 'webalign';
import type { Lesson, Side } from './messages.ts';
import { type Prompt, promptText } from './preferences/judgment.ts';
import type { StudioRecord } from './record.ts';
import type { Runtime } from './runtime.ts';

export interface Sample {
  step: number;
  /** In the order of the prompts. */
  texts: string[];
}

export interface Samples {
  prompts: readonly Prompt[];
  /** By step. */
  taken: readonly Sample[];
}

const PROMPTS = 2;
/** Tokens of a sample. */
const LENGTH = 48;

/** Prompts to sample during a run, those held out first: how the model writes on them was not trained on. */
export function samplePrompts({ train, heldOut }: Pick<Lesson, 'train' | 'heldOut'>): Prompt[] {
  const prompts = new Map([...heldOut, ...train].map(({ prompt }) => [promptText(prompt), prompt]));
  return [...prompts.values()].slice(0, PROMPTS);
}

/** Whether a step is sampled: each evaluation, and the last step. */
export const isSampled = (step: number, evalSteps: number, totalSteps: number): boolean =>
  step % evalSteps === 0 || step === totalSteps;

/** Writes the sample of a step by the model as it stands, in turns with whatever else uses the GPU. */
export async function takeSample(
  runtime: Runtime,
  prompts: readonly Prompt[],
  step: number,
): Promise<Sample> {
  const texts: string[] = [];
  for (const prompt of prompts) texts.push(await continuation(runtime, prompt));
  return { step, texts };
}

/** Adds the sample of a step to the record, where it is due and not there; says whether. The drafts of an online run are its samples. */
export async function sampleWhereDue(runtime: Runtime, record: StudioRecord, step: number): Promise<boolean> {
  const { lesson, totalSteps, samples, online } = record;
  const isThere = samples.some((each) => each.step === step);
  if (online || isThere || !isSampled(step, lesson.settings.evalSteps, totalSteps)) return false;
  record.samples = [...samples, await takeSample(runtime, samplePrompts(lesson), step)];
  return true;
}

async function continuation(runtime: Runtime, prompt: Prompt): Promise<string> {
  const sides: Side[] = ['now'];
  const request = { prompt, sides, temperature: 0, topP: 1, maxNewTokens: LENGTH, seeds: [0] };
  const { signal } = new AbortController();
  let text = '';
  try {
    await runtime.draft(
      request,
      () => ({ model: '' }),
      signal,
      ({ drafts }) => {
        text = drafts[0]?.text ?? '';
      },
    );
  } catch (error) {
    // A prompt that is too long to continue does not end the run; the page shows why there is no text.
    if (!(error instanceof InputError)) throw error;
    return error.message;
  }
  return text;
}
