/**
 * `webalign preferences`: the controlled-sentiment task of the DPO paper (Rafailov et al. 2023, section 6) for any model.
 * For each opening the model writes several continuations; the gladdest and the saddest become a pair. Made this way, the
 * pairs are the model's own words, so nothing but their order is new to it.
 */

import { shuffle } from '../../data/random.ts';
import { wholeSentences } from '../../data/sentences.ts';
import { sentiment } from '../../data/sentiment.ts';
import type { Tokenizer } from '../../data/tokenizer.ts';
import { InputError } from '../../io/errors.ts';
import { writeFiles } from '../../node/folder.ts';
import { command } from '../command.ts';
import { type Continuation, continueOpenings } from '../continuations.ts';
import { openModel, readText, withGpu } from '../open.ts';

/** Openings that are continued at a time. */
const AT_A_TIME = 50;

interface Pair {
  prompt: string;
  chosen: string;
  rejected: string;
}

export const preferences = command({
  name: 'preferences',
  summary: 'make preference pairs by sentiment',
  description:
    'Continues every opening several times and pairs the gladdest continuation with the saddest, by the words of\n' +
    'AFINN-165. Writes train.jsonl and eval.jsonl, which share no opening, and a README.md that says how.',
  example: 'preferences --model demos/align/model --openings demos/align/recipe/openings.txt --out pairs',
  options: [
    'model',
    'openings',
    'out',
    'pairs',
    'heldOut',
    'completions',
    'margin',
    'maxTokens',
    'temperature',
    'topK',
    'topP',
    'seed',
  ],
  required: ['model', 'openings', 'out'],
  defaults: {
    pairs: 640,
    heldOut: 160,
    completions: 6,
    margin: 5,
    maxTokens: 40,
    temperature: 1,
    topK: 0,
    topP: 1,
    seed: 42,
  },
  async run({ settings, terminal, signal }) {
    const {
      model: path,
      openings: openingsPath,
      out,
      pairs,
      heldOut,
      completions,
      margin,
      seed,
      memoryCap,
    } = settings;
    const openings = [
      ...new Set((await readText(openingsPath)).split('\n').map((line) => line.trim())),
    ].filter(Boolean);
    const order = [...shuffle(openings.length, seed, 0)].map((i) => openings[i] as string);
    return withGpu(terminal, memoryCap, async (gpu) => {
      const { model, tokenizer } = await openModel(gpu, path);
      const { maxTokens, temperature, topK, topP } = settings;
      const options = {
        maxNewTokens: maxTokens,
        temperature,
        topK,
        topP,
        numReturnSequences: completions,
        signal,
      };
      const made: Pair[] = [];
      let tried = 0;
      while (made.length < pairs + heldOut && tried < order.length) {
        const some = order.slice(tried, tried + AT_A_TIME);
        // Every group has random numbers of its own.
        const written = await continueOpenings(model, tokenizer, some, {
          ...options,
          seed: seed + 2 ** 32 * tried,
        });
        for (const [i, prompt] of some.entries()) {
          const pair = bestAndWorst(
            prompt,
            written.slice(i * completions, (i + 1) * completions),
            margin,
            tokenizer,
          );
          if (pair) made.push(pair);
        }
        tried += some.length;
        terminal.progress(
          'Pairs',
          Math.min(made.length, pairs + heldOut),
          pairs + heldOut,
          `from ${tried} openings`,
        );
      }
      if (made.length < pairs + heldOut) {
        const what = `its ${tried} openings gave ${made.length} pairs of the ${pairs + heldOut} asked for`;
        throw new InputError(
          openingsPath,
          what,
          'Lower --margin or --pairs, raise --completions, or give more openings',
        );
      }
      const [train, evaluation] = [made.slice(0, pairs), made.slice(pairs, pairs + heldOut)];
      const about = {
        model: model.fingerprint,
        openings: openings.length,
        tried,
        completions,
        margin,
        maxTokens,
        temperature,
        topK,
        topP,
        seed,
      };
      const encode = (text: string) => new TextEncoder().encode(text);
      await writeFiles(out, {
        'train.jsonl': encode(jsonLines(train)),
        'eval.jsonl': encode(jsonLines(evaluation)),
        'README.md': encode(readme(train, evaluation, about)),
      });
      terminal.print(
        `${train.length} pairs for training and ${evaluation.length} held out written to ${out}`,
      );
      return { json: { pairs: train.length, heldOut: evaluation.length, ...about, out } };
    });
  },
});

/** The two continuations that differ most, ended at a sentence; undefined where they differ by less than `margin`. */
function bestAndWorst(
  prompt: string,
  written: readonly Continuation[],
  margin: number,
  tokenizer: Tokenizer,
): Pair | undefined {
  const candidates = written
    .map(({ text }) => wholeSentences(text))
    .filter((text) => text !== undefined && tokenizesApart(prompt, text, tokenizer))
    .map((text) => ({ text: text as string, value: sentiment(text as string) }))
    .sort((a, b) => b.value - a.value);
  const [best, worst] = [candidates.at(0), candidates.at(-1)];
  if (!best || !worst || best.value - worst.value < margin) return undefined;
  return { prompt, chosen: best.text, rejected: worst.text };
}

/** Whether the tokens of prompt and completion begin with the prompt's own, and say the same text. */
function tokenizesApart(prompt: string, completion: string, tokenizer: Tokenizer): boolean {
  const alone = tokenizer.encode(prompt);
  const whole = tokenizer.encode(prompt + completion);
  return (
    whole.length > alone.length &&
    alone.every((id, i) => whole[i] === id) &&
    tokenizer.decode(whole) === tokenizer.decode(alone) + completion
  );
}

function jsonLines(rows: readonly object[]): string {
  return rows.map((row) => `${JSON.stringify(row)}\n`).join('');
}

function readme(
  train: readonly Pair[],
  evaluation: readonly Pair[],
  about: Record<string, string | number>,
): string {
  const mean = (side: 'chosen' | 'rejected') =>
    (train.reduce((sum, pair) => sum + sentiment(pair[side]), 0) / train.length).toFixed(2);
  return `# Preference pairs by sentiment

The controlled-sentiment task of *Direct Preference Optimization* (Rafailov et al. 2023, section 6), made by
\`webalign preferences\`: for each opening the model wrote ${about.completions} continuations of at most ${about.maxTokens} tokens; each was
ended at its last sentence end and rated by AFINN-165 (F. Å. Nielsen, 2011), the sum over its words. The highest is
\`chosen\`, the lowest \`rejected\`; an opening whose two differ by less than ${about.margin} was left out.

| file | pairs | openings |
|---|---|---|
| \`train.jsonl\` | ${train.length} | one a pair |
| \`eval.jsonl\` | ${evaluation.length} | one a pair, none of them in \`train.jsonl\` |

Mean sentiment in \`train.jsonl\`: chosen ${mean('chosen')}, rejected ${mean('rejected')}.

\`\`\`json
${JSON.stringify(about, null, 2)}
\`\`\`
`;
}
