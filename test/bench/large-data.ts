/**
 * What a large data set costs the host before the first step: tokenizing in slices, hashing, planning, the reference of one
 * batch. Pairs are generated here, of about 60 tokens of prompt and 300 per completion with the embedded model's tokenizer.
 */
import tokenizerJson from '../../demos/align/model/tokenizer.json' with { type: 'json' };
import tokenizerConfig from '../../demos/align/model/tokenizer_config.json' with { type: 'json' };
import type { PreferenceRow } from '../../src/data/preference-dataset.ts';
import { Random } from '../../src/data/random.ts';
import { Tokenizer } from '../../src/data/tokenizer.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { memoryFiles } from '../../src/io/files.ts';
import { CausalLM } from '../../src/model/causal-lm.ts';
import { DPOTrainer } from '../../src/train/dpo-trainer.ts';
import type { DataAnswer, DataRequest } from './data-worker.ts';
import { MODELS, randomModel } from './models.ts';

const WORDS =
  'once upon a time there was little girl who liked to play with her friend in the garden they saw big red ball and were very happy but then it started rain so went home mom said you can have cake';
/** Characters of a prompt and of a completion. */
const SIZES = { prompt: 140, completion: 840 };

/** Milliseconds and bytes of one step on this number of pairs; the host's bytes are those of the whole process, in Node. */
export async function largeData(gpu: Gpu, pairs: number): Promise<Record<string, number>> {
  const tokenizer = await Tokenizer.fromFiles(
    memoryFiles({
      'tokenizer.json': JSON.stringify(tokenizerJson),
      'tokenizer_config.json': JSON.stringify(tokenizerConfig),
    }),
  );
  const model = await CausalLM.load(gpu, randomModel(MODELS.embedded, 'random'));
  const trainDataset = madeRows(pairs);
  const begun = performance.now();
  const idle = longestTurn();
  const trainer = await DPOTrainer.create({
    model,
    args: { maxSteps: 1 },
    trainDataset,
    processingClass: tokenizer,
  });
  const tokenized = performance.now();
  let firstStep = Number.NaN;
  for await (const event of trainer.train()) if (event.type === 'step') firstStep = performance.now();
  const longest = idle();
  trainer.dispose();
  model.dispose();
  return {
    'tokenizing milliseconds': tokenized - begun,
    'first step milliseconds': firstStep - begun,
    'longest turn milliseconds': longest,
    ...hostPeak(),
  };
}

/** The same in a worker of this page, and the longest time that the page itself is blocked meanwhile. */
export async function largeDataInWorker(request: DataRequest): Promise<Record<string, number>> {
  const worker = new Worker('/data-worker.js', { type: 'module' });
  const idle = longestTurn();
  try {
    const answer = await new Promise<DataAnswer>((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<DataAnswer>) => resolve(data);
      worker.onerror = (event) => reject(new Error(event.message));
      worker.postMessage(request);
    });
    if ('problem' in answer) throw new Error(answer.problem);
    return { ...answer.numbers, 'longest turn of the page milliseconds': idle() };
  } finally {
    worker.terminate();
  }
}

function madeRows(count: number): PreferenceRow[] {
  const random = new Random(7);
  const words = WORDS.split(' ');
  const text = (length: number) => {
    const made: string[] = [];
    for (let left = length; left > 0; ) {
      const word = ` ${words[random.below(words.length)]}`;
      made.push(word);
      left -= word.length;
    }
    // Concatenated word by word, the string would hold a node for each word.
    return made.join('');
  };
  return Array.from({ length: count }, () => ({
    prompt: text(SIZES.prompt),
    chosen: text(SIZES.completion),
    rejected: text(SIZES.completion),
  }));
}

/** Measures how long the event loop is blocked; returns the longest time. */
function longestTurn(): () => number {
  let last = performance.now();
  let longest = 0;
  const timer = setInterval(() => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  }, 1);
  return () => {
    clearInterval(timer);
    return longest;
  };
}

function hostPeak(): Record<string, number> {
  if (typeof process === 'undefined' || !process.resourceUsage) return {};
  return { 'host bytes': process.resourceUsage().maxRSS * 1024 };
}
